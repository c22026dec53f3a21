//! Snapshots of recorded states through the real views, colours included, at three sizes.

mod lease;
mod sight;
mod skipped;
mod volumes;
mod window;

use crate::core::evidence;
use crate::support::*;
use holdpoint::event::*;
use holdpoint::journal::{Health, HealthState};
use holdpoint::run::{Intent, State};
use holdpoint::ui::{
    Colours, Frame, KeyCode, Look, Model, Overlay, Pane, Review, View, Writing, draw,
};
use holdpoint::world::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};
use serde_json::json;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

/// Text of the screen, then runs of cells that carry a colour or weight.
fn screen(s: &Shown, (w, h): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(w, h)).unwrap();
    let model = Model { size: (w, h), show_only: s.show_only.is_some(), ..s.model.clone() };
    let frame = Frame {
        state: &s.state,
        model: &model,
        health: &s.health,
        show_only: s.show_only,
        now: s.now,
        clock: "03:14:07 CET",
        look: s.look,
    };
    terminal.draw(|f| drop(draw(f, &frame))).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    let mut styles = String::new();
    for y in 0..h {
        // No view uses a background; one that did would not be recorded here.
        assert!((0..w).all(|x| buffer[(x, y)].bg == Color::Reset), "row {y}");
        let row: String = (0..w).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(row.trim_end());
        text.push('\n');
        let mut x = 0;
        while x < w {
            let c = &buffer[(x, y)];
            let key = (c.fg, c.modifier);
            let start = x;
            while x < w && (buffer[(x, y)].fg, buffer[(x, y)].modifier) == key {
                x += 1;
            }
            if key != (Color::Reset, Modifier::empty()) {
                styles.push_str(&format!("{y}:{start}-{} {:?} {:?}\n", x - 1, key.0, key.1));
            }
        }
    }
    format!("{text}---\n{styles}")
}

struct Shown {
    state: State,
    model: Model,
    health: Health,
    look: Look,
    show_only: Option<&'static str>,
    now: Time,
    /// Words that the screen of any size must have.
    must: &'static [&'static str],
}

/// In doubt one may go back, too.
const GO_BACK: &str = "B go back…";

fn shown(run: Run, overlay: Overlay, must: &'static [&'static str]) -> Shown {
    let now = Time(run.now.0 + 1000);
    Shown {
        now,
        state: run.state,
        look: Look { colours: Colours::Many, ascii: false },
        health: Health {
            state: HealthState::Ok,
            entries: 2114,
            synced_seq: Some(2113),
            synced_head: String::new(),
            synced_at: Some(now),
            head: String::new(),
        },
        model: Model { overlay, ..Model::default() },
        show_only: None,
        must,
    }
}

fn reviewing(run: &Run) -> Overlay {
    let step = run.state.current().unwrap();
    Overlay::Review(Review { typed: "vault-".into(), ..Review::new(step, &run.state, Time(0)) })
}

fn states() -> Vec<(&'static str, Shown)> {
    let at_first = || {
        let mut run = Run::new(RUNBOOK, Mode::Write);
        run.reach_first_step();
        let now = run.now;
        run.look(well(now));
        run
    };
    let mut blocked = at_first();
    let mut bad = raft("vault-2");
    bad.voters[0].healthy = false;
    bad.voters[0].verdict = VoterVerdict::Sealed;
    bad.voters[0].sealed = true;
    let now = blocked.now;
    blocked.observe(vec![live(Source::Raft, now, Update::Raft(bad.clone().into()))]);
    blocked.look(vec![live(Source::Raft, now, Update::Raft(bad.into()))]);

    let mut confirming = Run::new(RUNBOOK, Mode::Write);
    confirming.reach_review();
    let overlay = reviewing(&confirming);

    let mut running = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = running.reach_running();
    running.system(Intent::Output {
        effect,
        stream: Stream::Note,
        text: "data-vault-0 is being deleted".into(),
    });

    let mut changed = Run::new(RUNBOOK, Mode::Write);
    changed.reach_changed();
    let void = reviewing(&changed);

    let mut failed = Run::new(RUNBOOK, Mode::Write);
    let (_, effect) = failed.reach_running();
    failed.system(Intent::EffectEnded {
        effect,
        outcome: Outcome::Failed("it is not what it was: the UID differs".into()),
        result: json!(null),
    });

    let partly = in_doubt(Probed::Partly, "data-vault-0 is being deleted, and still there");
    let proven = in_doubt(Probed::Done, "data-vault-0 with uid-vault-0 is gone");

    let mut stale = at_first();
    stale.pass(300_000);

    let mut forbidden = at_first();
    for source in [Source::Claims, Source::Pods] {
        forbidden.observe(vec![Change {
            source,
            status: holdpoint::world::Status::Forbidden {
                right: "list persistentvolumeclaims".into(),
            },
            as_of: None,
            reach: None,
            update: Update::Nothing,
        }]);
    }

    let mut hung = at_first();
    let mut raft_hung = raft("vault-2");
    raft_hung.voters[2].verdict = VoterVerdict::Hung;
    raft_hung.voters[2].healthy = false;
    raft_hung.hung_leader = "vault-2".into();
    raft_hung.leader_answers = false;
    raft_hung.unsealed = 2;
    let seen = |at| vec![live(Source::Raft, at, Update::Raft(raft_hung.clone().into()))];
    hung.observe(seen(hung.now));
    hung.look(seen(hung.now));
    let mut breached = hung.fork();
    breached.pass(5_000);
    breached.observe(seen(breached.now));

    let mut show_only = shown(at_first(), Overlay::None, &["SHOW-ONLY"]);
    show_only.show_only = Some("cannot write: no space left on device");
    let mut hangs = shown(at_first(), Overlay::None, &["journal not answering for 7s"]);
    hangs.health.state = HealthState::Waiting { since: Time(hangs.now.0 - 7_000) };
    let mut plain = late();
    plain.look = Look { colours: Colours::None, ascii: true };
    let mut sixteen = late();
    sixteen.look = Look { colours: Colours::Sixteen, ascii: false };
    let mut narrowed = shown(at_first(), Overlay::Filter, &["/vault-1", "by restarts"]);
    narrowed.model.focus = Pane::Pods;
    *narrowed.model.view_mut() = View { filter: "vault-1".into(), order: 2 };
    let mut help = shown(at_first(), Overlay::None, &["review the step", "abort the run"]);
    holdpoint::ui::key(&mut help.model, &help.state, KeyCode::Char('?'), help.now);
    let mut lab = shown(at_first(), Overlay::None, &[" LAB "]);
    let mark = format!("{}4000-8000-000000000000", holdpoint::site::LAB_MARK);
    std::sync::Arc::make_mut(&mut lab.state.header)
        .pins
        .insert(holdpoint::site::KUBERNETES.into(), mark);
    let mut opening = shown(
        Run::new(RUNBOOK, Mode::Write),
        Overlay::None,
        &["opening the journal", "no answer yet"],
    );
    opening.state.world.arriving();
    opening.health = Health::default();
    let mut step = shown(at_first(), Overlay::None, &["Delete the claims of vault-0"]);
    (step.model.focus, step.model.zoomed) = (Pane::Step, true);
    vec![
        ("volumes", volumes::volumes()),
        ("opening", opening),
        ("lab", lab),
        ("narrowed", narrowed),
        ("help", help),
        ("step", step),
        ("crowded", crowded()),
        ("no-colour-ascii", plain),
        ("sixteen-colours", sixteen),
        ("late", late()),
        ("another-window", another_window()),
        (
            "outdated",
            shown(evidence::outdated(), Overlay::None, &["BLOCKED", "one[vault-0]/claims"]),
        ),
        ("journal-hangs", hangs),
        (
            "changed",
            shown(
                changed,
                void,
                &["NOTHING WAS DONE", "uid-vault-0 → another-uid", "Press Enter to review"],
            ),
        ),
        (
            "reading",
            shown(at_first(), Overlay::None, &["READY", "LEADER", "every voter is healthy"]),
        ),
        (
            "blocked",
            shown(blocked, Overlay::None, &["BLOCKED", "SEALED", "not so for vault-0 (sealed)"]),
        ),
        ("confirming", shown(confirming, overlay, &["uid-vault-0", "Type vault-0", "vault-▏"])),
        ("running", shown(running, Overlay::None, &["RUNNING"])),
        ("failed", shown(failed, Overlay::None, &["FAILED", "r retry"])),
        ("in-doubt", shown(partly, Overlay::None, &["partly done: data-", "r retry", GO_BACK])),
        ("in-doubt-done", shown(proven, Overlay::None, &["done: data-", "a accept", GO_BACK])),
        ("stale", shown(stale, Overlay::None, &["stale since 5m01"])),
        ("forbidden", shown(forbidden, Overlay::None, &["forbidden"])),
        ("hung-leader", shown(hung, Overlay::None, &["HUNG"])),
        ("breached", shown(breached, Overlay::None, &["LINE HELD by holdpoint: guard quorum"])),
        ("show-only", show_only),
        ("polled", polled()),
        ("in-time", window::in_time()),
        ("offered", window::offered()),
        ("ways-back", window::ways_back()),
    ]
}

/// The answer to an effect was lost, and its probe looked.
fn in_doubt(verdict: Probed, why: &str) -> Run {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, effect) = run.reach_running();
    run.system(Intent::EffectEnded {
        effect,
        outcome: Outcome::Unknown("the connection broke before an answer came".into()),
        result: json!(null),
    });
    let deleting = Claim { deleting: true, ..claim("data-vault-0", "nfs-proxmox", "uid-vault-0") };
    let claims = if verdict == Probed::Done { vec![] } else { vec![deleting] };
    run.observe(vec![live(Source::Claims, run.now, Update::Claims(Rows::all(claims)))]);
    let ticket = run.state.steps[&step].ticket;
    run.system(Intent::Probed {
        step,
        ticket,
        verdict,
        why: why.into(),
        result: json!(null),
        changes: vec![],
    });
    run
}

/// One of two who are asked has said no, and another answer is written down.
fn polled() -> Shown {
    let mut run = Run::new(&crate::core::polled::polled(), Mode::Write);
    let step = run.reach_first_step();
    for (who, go, reason) in [("storage", true, ""), ("app", false, "the batch still runs")] {
        let (step, who, reason) = (step.clone(), who.into(), reason.into());
        run.ask(&driver(), Intent::Poll { step, who, go, reason }).unwrap();
    }
    run.look(well(run.now));
    let overlay = Overlay::Write { what: Writing::Poll(step), text: "app go".into() };
    shown(run, overlay, &["Go or no-go", "storage: go · app: no-go, the batch still runs"])
}

/// Little of the window is left, and the token ends before the steps do.
fn late() -> Shown {
    let runbook = RUNBOOK
        .replacen("[[guard]]", "[window]\nlength = \"4h\"\nbackout_reserve = \"45m\"\n[[guard]]", 1)
        .replacen("risk =", "estimate = \"10m\"\nrisk =", 1);
    let mut run = Run::new(&runbook, Mode::Write);
    run.pass(3 * 3_600_000 + 1_200_000);
    run.reach_first_step();
    let mut ends = raft("vault-2");
    ends.token_ends = Some(Time(run.now.0 + 900_000));
    let now = run.now;
    run.observe(vec![live(Source::Raft, now, Update::Raft(ends.into()))]);
    shown(run, Overlay::None, &["39m59", "to 20:00Z", "token 14m59, the steps need 30m00 or more"])
}

/// A review of more than fits: how it is released stays in sight.
fn crowded() -> Shown {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let step = run.reach_first_step();
    run.ask(&driver(), Intent::Review { step }).unwrap();
    let mut many = proposal("vault-0", "uid-vault-0");
    let one = many.targets[0].clone();
    many.targets = (0..60)
        .map(|i| Target { name: format!("data-{i}"), uid: Some(format!("uid-{i}")), ..one.clone() })
        .collect();
    let now = run.now;
    run.prepared(well(now), Ok(many));
    let mut overlay = reviewing(&run);
    if let Overlay::Review(open) = &mut overlay {
        open.scroll = 5;
    }
    shown(run, overlay, &["lines above: PgUp", "more: PgDn", "Type vault-0"])
}

/// Another window takes the place of the one there is.
fn another_window() -> Shown {
    let Shown { state, now, .. } = late();
    let window = Slot { start: now, end: now + Span::secs(9 * 3600) };
    let overlay =
        Overlay::Write { what: Writing::WindowWhy(window), text: "agreed with storage".into() };
    let run = Run { state, entries: vec![], now, effects: vec![] };
    shown(run, overlay, &["Another change window", "From now on: 2026-", "Until now: 2026-"])
}

const STATES: [&str; 30] = [
    "polled",
    "in-time",
    "offered",
    "ways-back",
    "outdated",
    "another-window",
    "volumes",
    "opening",
    "lab",
    "narrowed",
    "help",
    "step",
    "crowded",
    "no-colour-ascii",
    "sixteen-colours",
    "changed",
    "late",
    "journal-hangs",
    "reading",
    "blocked",
    "confirming",
    "running",
    "failed",
    "in-doubt",
    "in-doubt-done",
    "stale",
    "forbidden",
    "hung-leader",
    "breached",
    "show-only",
];

#[test]
fn every_state_at_every_size() {
    let states = states();
    let mut cells = std::collections::BTreeSet::new();
    for (name, s) in &states {
        for (w, h) in SIZES {
            let text = screen(s, (w, h));
            for word in s.must {
                assert!(text.contains(word), "{name} at {w}x{h} lacks {word}:\n{text}");
            }
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}-{w}x{h}"), text);
            });
            cells.insert((*name, w, h));
        }
    }
    for name in STATES {
        for (w, h) in SIZES {
            assert!(cells.contains(&(name, w, h)), "no snapshot of {name} at {w}x{h}");
            let file =
                format!("{}/tests/house/snapshots/{name}-{w}x{h}.snap", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&file).exists(), "{file} is missing");
        }
    }
}
