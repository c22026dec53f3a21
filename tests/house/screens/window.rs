//! The change window: with time, and without; and the ways back that are offered then.

use super::{Shown, shown};
use crate::support::*;
use holdpoint::event::{Mode, Outcome};
use holdpoint::run::Intent;
use holdpoint::ui::Overlay;
use serde_json::json;

/// A window that has time: when it ends, and until when one goes forward.
pub(super) fn in_time() -> Shown {
    let window = "[window]\nlength = \"4h\"\nbackout_reserve = \"45m\"\n[[guard]]";
    let mut run = Run::new(&RUNBOOK.replacen("[[guard]]", window, 1), Mode::Write);
    run.pass(120_000);
    run.reach_first_step();
    shown(run, Overlay::None, &["3h57", "to 20:00Z", "back in 3h12"])
}

/// What was done can be taken back, and the window has no time for the rest.
pub(super) fn offered() -> Shown {
    shown(short_of_time(), Overlay::None, &["◄ offered: undo (B)", "B go back…"])
}

/// More ways than fit the smallest screen: what is not shown is told, and the cursor is in sight.
pub(super) fn ways_back() -> Shown {
    let must = &["▌ undo:", "OFFERED: the change window: 39m59 left", "- one[vault-0]/claims"];
    shown(short_of_time(), Overlay::Back { at: 9 }, must)
}

fn short_of_time() -> Run {
    let way = |n| {
        format!(
            "[[backout]]\nid = \"way-{n}\"\ntitle = \"For the case that the disks of voter {n} and of \
             the one behind it are lost at once\"\nwhen = 'raft.unsealed == {n}'\n[[backout.step]]\n\
             id = \"hand\"\ntitle = \"By hand\"\nmanual.instruction = \"x\"\n"
        )
    };
    let window = "[window]\nlength = \"4h\"\nbackout_reserve = \"45m\"\n[[guard]]";
    let runbook = RUNBOOK.replacen("[[guard]]", window, 1).replacen(
        "undo.none = \"they",
        "undo.manual = \"put them back: they",
        1,
    );
    let ways: String = (10..19).map(way).collect();
    let mut run = Run::new(&format!("{runbook}{ways}"), Mode::Write);
    let (_, effect) = run.reach_running();
    let (outcome, result) = (Outcome::Failed("the server said no".into()), json!(null));
    run.system(Intent::EffectEnded { effect, outcome, result });
    run.pass(3 * 3_600_000 + 1_200_001);
    run.observe(well(run.now));
    run.system(Intent::Tick);
    run
}
