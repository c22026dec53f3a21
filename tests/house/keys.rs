//! Keys of the cockpit, without a terminal.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::Intent;
use holdpoint::ui::{Asked, KeyCode, Model, Overlay, key};

/// What keys do to a review while its step moves on under it.
#[test]
fn a_review_follows_its_step_and_is_armed_anew_at_every_turn() {
    let mut run = Run::new(RUNBOOK, Mode::Write);
    let (step, _) = run.reach_review();
    let mut model = Model::default();
    let press = |model: &mut Model, run: &Run, code| key(model, &run.state, code, run.now);
    press(&mut model, &run, KeyCode::Enter);
    assert_eq!(press(&mut model, &run, KeyCode::Enter), Asked::Nothing, "not armed yet");
    run.pass(600);
    for c in "vault-0".chars() {
        press(&mut model, &run, KeyCode::Char(c));
    }
    let Asked::Intent(release) = press(&mut model, &run, KeyCode::Enter) else { panic!() };
    assert!(matches!(&*release, Intent::Release { typed, .. } if typed == "vault-0"));
    run.ask(&driver(), *release).unwrap();
    model.follow(&run.state, run.now);
    let now = run.now;
    run.prepared(well(now), Ok(proposal("vault-0", "another-uid")));
    model.follow(&run.state, run.now);
    let Overlay::Review(void) = &model.overlay else { panic!("{model:?}") };
    assert_eq!(void.typed, "", "what was typed is void");
    assert_eq!(press(&mut model, &run, KeyCode::Enter), Asked::Nothing, "armed anew");
    run.pass(600);
    let asked = press(&mut model, &run, KeyCode::Enter);
    assert_eq!(asked, Asked::Intent(Box::new(Intent::Review { step: step.clone() })));
    run.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::CloseReview { step: step.clone() }).unwrap();
    run.ask(&driver(), Intent::Skip { step, reason: "no".into() }).unwrap();
    model.follow(&run.state, run.now);
    assert_eq!(model.overlay, Overlay::None);
}
