//! Volumes as rows: each phase and policy, and the cursor among them.

use super::{SIZES, Shown, screen, shown};
use crate::support::*;
use holdpoint::event::*;
use holdpoint::ui::{KeyCode, Overlay};
use holdpoint::world::*;

/// Volumes of each phase under the cursor, two of them left behind by a change.
pub(super) fn volumes() -> Shown {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    run.reach_first_step();
    let now = run.now;
    run.look(well(now));
    let uuid = |n: u32| format!("{n:08x}-ad5e-4b2f-9424-d9e6e89ad284");
    let left = |n: u32, claim: &str, phase: &str, policy: &str| Volume {
        phase: phase.into(),
        policy: policy.into(),
        ..volume(&uuid(n), claim)
    };
    let free =
        Volume { claim: String::new(), size: "500Gi".into(), ..left(5, "", "Available", "Retain") };
    let elsewhere = Volume { claim: "app/cache".into(), ..left(6, "", "Bound", "Delete") };
    let orphan = Volume {
        claim: "gone/cache-with-a-long-name-0".into(),
        ..left(7, "", "Released", "Retain")
    };
    let going = Volume { deleting: true, ..left(8, "audit-vault-1", "Released", "Delete") };
    let rows = Rows {
        upsert: vec![
            left(1, "data-vault-0", "Released", "Retain").into(),
            left(2, "data-vault-1", "Released", "Delete").into(),
            left(3, "audit-vault-2", "Failed", "Delete").into(),
            Volume {
                class: "proxmox-lvm-encrypted".into(),
                ..left(4, "audit-vault-0", "Bound", "Delete")
            }
            .into(),
            free.into(),
            elsewhere.into(),
            orphan.into(),
            going.into(),
        ],
        remove: vec![],
        whole: false,
    };
    run.observe(vec![live(Source::Volumes, now, Update::Volumes(rows))]);
    let must = &["volume", "policy", "DELETE", "RELEASED"];
    let mut shown = shown(run, Overlay::None, must);
    for code in ['2', 'v', 'j', 'j'].map(KeyCode::Char) {
        holdpoint::ui::key(&mut shown.model, &shown.state, code, shown.now);
    }
    shown
}

/// The cursor goes through claims and volumes, as they are narrowed and ordered.
#[test]
fn volumes_are_rows_like_any_other() {
    let mut s = volumes();
    let row = |s: &Shown, size| {
        let text = screen(s, size);
        let turned =
            text.lines().find(|l| l.contains("REVERSED")).unwrap_or_else(|| panic!("{text}"));
        let y: usize = turned.split(':').next().unwrap().parse().unwrap();
        text.lines().nth(y).unwrap().to_owned()
    };
    let mut press = |keys: &str, wanted: &str, kind: &str| {
        let mut asked = holdpoint::ui::Asked::Nothing;
        for c in keys.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            asked = holdpoint::ui::key(&mut s.model, &s.state, code, s.now);
        }
        let holdpoint::ui::Asked::Describe(entry) = asked else { panic!("{keys}: {asked:?}") };
        assert_eq!(entry.kind, kind, "{keys}");
        assert!(entry.name.contains(wanted), "{keys}: {} is not {wanted}", entry.name);
        let shown = entry.name.strip_prefix("pvc-").unwrap_or(&entry.name);
        for size in SIZES {
            let row = row(&s, size);
            assert!(row.contains(&shown[..7]), "{keys} at {size:?}: {row}");
        }
    };
    let (claim, volume) = ("PersistentVolumeClaim", "PersistentVolume");
    press("gd", "data-vault-0", claim);
    press("jjd", "data-vault-2", claim);
    // Without a parameter that names the namespace, by claim: what has none is first.
    press("jd", "00000005", volume);
    press("Gd", "uid-vault-2", volume);
    press("vd", "data-vault-0", claim);
    press("vd", "00000005", volume);
    press("/released\nd", "00000007", volume);
    press("jd", "00000001", volume);
    press("/failed\nd", "00000003", volume);
    press("/delete\nd", "00000004", volume);
    press("/vault-1\nd", "data-vault-1", claim);
    press("/\nooovd", "00000008", volume);
    press("jd", "00000003", volume);
    press("jd", "00000001", volume);
    // Bound to a claim of a namespace that is not looked at.
    assert!(!screen(&s, SIZES[2]).contains("00000006"));
}
