use super::*;
use crate::event::{Actor, Entry, Event, FORMAT, Header, Judged, Mode, Role, Time};
use crate::run::{Intent, apply};
use crate::session::plain::{Typed, command};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ONE: &str = "format = 1\nid = \"x\"\ntitle = \"X\"\nowner = \"o\"\n[[phase]]\nid = \"a\"\n\
    title = \"A\"\n[[phase.step]]\nid = \"s\"\ntitle = \"S\"\nmanual.instruction = \"Do it.\"\n\
    [[phase.step.gate]]\nid = \"g\"\nthat = 'raft.unsealed > 1'\nsays = \"two\"\n";

fn put(state: &mut State, event: Event) {
    let actor = Actor::Person { name: "ana".into(), role: Role::Driver };
    let entry = Entry { seq: state.seq + 1, at: Time(0), actor, event };
    apply(state, &entry).unwrap();
}

/// A gate that says something else is printed anew, with a mark of its own; an override
/// names the mark, and so the failure that was read.
#[test]
fn an_override_names_the_failure_that_was_printed() {
    let header = Header {
        format: FORMAT,
        run: "r".into(),
        runbook: ONE.into(),
        runbook_path: "x.toml".into(),
        params: BTreeMap::new(),
        site: "e".into(),
        site_from: String::new(),
        site_values: BTreeMap::new(),
        shows: BTreeSet::new(),
        pins: BTreeMap::new(),
        mode: Mode::Write,
        version: "0".into(),
        opened_by: Actor::System,
        continues: None,
        scheduled: Vec::new(),
        window: None,
    };
    let runbook = Arc::new(crate::runbook::load(ONE).unwrap().runbook);
    let mut state = State::new(header, runbook, Time(0));
    let step: StepAddr = "a/s".parse().unwrap();
    put(&mut state, Event::PhaseOpened { phase: "a".into(), items: None });
    put(&mut state, Event::StepOpened { step: step.clone() });
    put(&mut state, Event::ReviewOpened { step: step.clone() });
    let mut printer = Printer::default();
    let mut marks = Vec::new();
    for (why, news) in
        [("raft.unsealed is 1", true), ("raft.unsealed is 1", false), ("raft.unsealed is 0", true)]
    {
        let judged =
            Judged { verdict: Verdict::Fail, why: why.into(), values: vec![], at: Time(0) };
        let gates = vec![GateJudged { gate: "g".into(), says: "two".into(), judged }];
        put(&mut state, Event::GatesJudged { step: step.clone(), gates });
        printer.print(&state);
        let said = printer.take().into_iter().find(|l| l.contains("gate g#"));
        assert_eq!(said.is_some(), news, "{why}: {said:?}");
        let Some(said) = said else { continue };
        let (mark, told) = said.split_once('#').unwrap().1.split_once(' ').unwrap();
        assert_eq!(told, format!("fail: two ({why})"));
        let typed = command(&state, &format!("override g#{mark} it is known"));
        let Typed::Intent(asked) = typed else { panic!("{said}") };
        let (gate, reason, seen) = ("g".into(), "it is known".into(), mark.to_owned());
        assert_eq!(*asked, Intent::Override { step: step.clone(), gate, seen, reason });
        marks.push(mark.to_owned());
    }
    assert_ne!(marks[0], marks[1]);
    let Typed::Say(said) = command(&state, "override g it is known") else { panic!() };
    assert!(said.contains("override g#MARK REASON"), "{said}");
    window_and_reason(&mut state, &mut printer);
}

/// A window is typed with its reason, and printed with it and who set it.
fn window_and_reason(state: &mut State, printer: &mut Printer) {
    let Typed::Intent(asked) = command(state, "window now/9h  agreed with storage") else {
        panic!()
    };
    let Intent::SetWindow { window, reason } = *asked else { panic!() };
    assert_eq!((window.end, reason.as_str()), (Time(32_400_000), "agreed with storage"));
    put(state, Event::WindowSet { window, reason });
    printer.print(state);
    let wanted = format!("change window: {window} (set by ana: agreed with storage)");
    assert_eq!(printer.take(), [wanted]);
    let Typed::Say(said) = command(state, "window") else { panic!() };
    assert!(said.ends_with("window START[/END] REASON sets another"), "{said}");
}
