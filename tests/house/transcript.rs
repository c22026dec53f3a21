//! Whole lives of steps as transcripts: what was asked, which events and effects followed
//! or why not, what of the state changed, and what the run wants to see next. Whoever
//! changes the core sees here what that changes for a run.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, State, wants};
use holdpoint::world::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

const LIVES: &str = r#"
format = 1
id = "lives"
title = "Every kind of step"
owner = "tests"
[[guard]]
id = "quorum"
that = 'raft.leader_answers'
says = "the leader answers"
for = "5s"
[[phase]]
id = "ask"
title = "Ask"
[[phase.step]]
id = "how"
title = "How"
[phase.step.choose]
question = "Here or elsewhere?"
branches = { here = "Holdpoint does it", elsewhere = "I do it" }
[[phase.step]]
id = "by-hand"
title = "By hand"
when = 'choice.how == "elsewhere"'
[phase.step.manual]
instruction = "Do it."
[phase.step.verify]
that = 'raft.leader == "vault-1"'
settle = "2 in 2s"
within = "10s"
[[phase.step]]
id = "here"
title = "Only here"
when = 'choice.how == "here"'
[phase.step.verify]
that = 'raft.leader_answers'
[[phase]]
id = "roll"
title = "Roll"
[phase.each.voter]
of = 'raft.voters.map(v, v.name)'
next = 'raft.leader'
[[phase.step]]
id = "claims"
title = "Delete the claims of {{ voter }}"
risk = "destructive"
do.kube.delete_claims = { of_pod = "{{ voter }}" }
capture.old = 'before'
undo.none = "none"
[[phase.step.gate]]
id = "healthy"
that = 'size(raft.voters) > 0 && raft.voters.all(v, v.healthy)'
says = "every voter is healthy"
[phase.step.verify]
that = 'size(before) > 0 && before.all(b, !claims.exists(c, c.uid == b.uid))'
within = "10s"
[[phase.step]]
id = "two"
title = "Two people"
hold = "two-person"
do.vault.step_down = { node = "{{ voter }}" }
[phase.step.verify]
that = 'raft.leader_answers'
[[phase.step]]
id = "watch"
title = "Watch {{ voter }}"
[phase.step.soak]
for = "10s"
on_breach = "restart"
[[phase.step.soak.watch]]
id = "healthy"
that = 'raft.leader_answers'
says = "the leader answers"
"#;

struct Scene {
    run: Run,
    start: Time,
    text: String,
    last: BTreeMap<String, String>,
}

impl Scene {
    fn new(mode: Mode) -> Self {
        let run = Run::new(LIVES, mode);
        let start = run.now;
        Self { run, start, text: String::new(), last: BTreeMap::new() }
    }

    /// Asks, and writes down what came of it.
    fn by(&mut self, actor: &Actor, said: &str, intent: Intent) {
        let effects = self.run.effects.len();
        let who = if actor == &Actor::System { "system" } else { "ana" };
        let brief = intent.brief();
        let _ =
            writeln!(self.text, "{who}: {brief}{}{said}", if said.is_empty() { "" } else { " " });
        match self.run.ask(actor, intent) {
            Ok(events) => events.iter().for_each(|e| {
                let _ = writeln!(self.text, "  = {}", told(e));
            }),
            Err(why) => {
                let _ = writeln!(self.text, "  refused: {why}");
            }
        }
        for effect in &self.run.effects[effects..] {
            let _ = writeln!(self.text, "  > {}", work(effect));
        }
        let now = summary(&self.run.state, self.start);
        for (key, value) in &now {
            if self.last.get(key) != Some(value) {
                let _ = writeln!(self.text, "    {key}: {value}");
            }
        }
        for key in self.last.keys().filter(|k| !now.contains_key(*k)) {
            let _ = writeln!(self.text, "    {key}: no more");
        }
        self.last = now;
    }

    fn ana(&mut self, intent: Intent) {
        self.by(&driver(), "", intent);
    }

    fn system(&mut self, said: &str, intent: Intent) {
        self.by(&Actor::System, said, intent);
    }

    fn pass(&mut self, ms: i64) {
        self.run.pass(ms);
        let at = self.run.now.0 - self.start.0;
        let _ = writeln!(self.text, "--- {at} ms");
    }

    /// Answers what the run wants to see, with everything well but for `edit`.
    fn look(&mut self, said: &str, edit: impl Fn(&mut Raft)) {
        let Some(want) = wants(&self.run.state) else {
            let _ = writeln!(self.text, "nothing is to be seen");
            return;
        };
        let changes = self.world(edit);
        let changes = changes.into_iter().filter(|c| want.reading.contains(&c.source)).collect();
        self.system(said, Intent::Looked { look: want.look, ticket: want.ticket, changes });
    }

    fn world(&self, edit: impl Fn(&mut Raft)) -> Vec<Change> {
        let mut changes = well(self.run.now);
        for change in &mut changes {
            if let Update::Raft(raft) = &mut change.update {
                edit(raft);
            }
        }
        changes
    }

    fn observe(&mut self, said: &str, edit: impl Fn(&mut Raft)) {
        for change in self.world(edit) {
            self.system(
                &format!("{} {said}", change.source),
                Intent::Observed { change: Box::new(change.clone()) },
            );
        }
    }

    /// Answers the last prepare.
    fn prepared(
        &mut self,
        said: &str,
        proposal: Option<Result<Proposal, String>>,
        edit: impl Fn(&mut Raft),
    ) {
        let found = self.run.effects.iter().rposition(|e| matches!(e, Effect::Prepare { .. }));
        let Some(Effect::Prepare { step, ticket, purpose, .. }) =
            found.map(|i| self.run.effects.remove(i))
        else {
            let _ = writeln!(self.text, "nothing is to be prepared");
            return;
        };
        let (changes, proposal) = (self.world(edit), proposal.map(|p| p.map(Box::new)));
        self.system(said, Intent::Prepared { step, ticket, purpose, changes, proposal });
    }

    fn step(&self, step: &str) -> StepAddr {
        step.parse().unwrap()
    }

    fn digest(&self, step: &str) -> String {
        self.run.state.steps[&self.step(step)]
            .proposal
            .as_ref()
            .map(|p| p.1.clone())
            .unwrap_or_default()
    }

    fn release(&mut self, step: &str, typed: &str) {
        let digest = self.digest(step);
        self.ana(Intent::Release { step: self.step(step), digest, typed: typed.into() });
    }

    /// To the first step of the first item of the roll.
    fn reach_the_roll(&mut self) {
        self.observe("", |_| {});
        self.look("", |_| {});
        self.look("", |_| {});
        let how = self.step("ask/how");
        self.ana(Intent::Choose { step: how, branch: "here".into() });
        for _ in 0..3 {
            self.look("", |_| {});
        }
        self.pass(1_000);
        for _ in 0..5 {
            self.look("", |_| {});
        }
    }
}

/// An event in a line; pictures and plans by their names only.
fn told(event: &Event) -> String {
    match event {
        Event::Observed { change } => format!("observed {}", change.source),
        Event::Proposed { step, digest, .. } => format!("proposed {step} {}", &digest[..6]),
        Event::GatesJudged { step, gates } => format!("gates-judged {step} {}", judged(gates)),
        other => {
            let mut value = serde_json::to_value(other).unwrap();
            without_values(&mut value);
            value.to_string()
        }
    }
}

fn without_values(value: &mut Value) {
    if let Value::Object(map) = value {
        for key in ["values", "at"] {
            map.remove(key);
        }
        map.values_mut().for_each(without_values);
    }
}

fn judged(gates: &[GateJudged]) -> String {
    let one = |g: &GateJudged| format!("{}={} ({})", g.gate, g.judged.verdict, g.judged.why);
    gates.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn work(effect: &Effect) -> String {
    match effect {
        Effect::Prepare { step, purpose, call, reading, ticket } => {
            let call = call.as_ref().map(|c| format!("{} {:?}", c.verb, c.args));
            format!("prepare {step} {purpose:?} ticket {ticket} {call:?} {reading:?}")
        }
        Effect::Execute { step, effect, proposal } => {
            format!("execute {step} {} {}", effect.0, proposal.sentence)
        }
        Effect::Probe { step, ticket, .. } => format!("probe {step} ticket {ticket}"),
    }
}

fn summary(state: &State, start: Time) -> BTreeMap<String, String> {
    let at = |t: &Option<Time>| t.map_or("-".into(), |t| (t.0 - start.0).to_string());
    let mut map = BTreeMap::new();
    for p in &state.phases {
        let items: Vec<_> = p
            .items
            .iter()
            .map(|i| format!("{} {}..{}", i.name, at(&i.began), at(&i.ended)))
            .collect();
        map.insert(
            format!("phase {}", p.id),
            format!("{:?} {}..{} {items:?} {:?}", p.status, at(&p.began), at(&p.ended), p.blocked),
        );
    }
    for (addr, s) in &state.steps {
        let verify = s.verify.as_ref().map(|v| format!("{} {}", v.verdict, v.why));
        map.insert(
            format!("step {addr}"),
            format!(
                "{} #{} ticket {} {}..{} way {:?} why {:?} gates [{}] at {} pass {} overrides {:?} plan {:?} {:?} changed {:?} {} verify {verify:?} streak {} since {} from {} probed {:?} result {:?} soak {} {} {:?} type {:?} title {:?}",
                s.status, s.attempt, s.ticket, at(&s.began), at(&s.ended), s.way, s.why,
                judged(&s.gates), at(&s.gates_at), s.gates_pass(), s.overrides,
                s.proposal.as_ref().map(|p| &p.1[..6]), s.proposal_error, s.changed, s.other_objects,
                s.streak.0, at(&s.streak.1), at(&s.verifying_since), s.probed, s.result,
                s.soak.observed_ms, at(&s.soak.last), s.soak.broken, state.confirm_text(addr), state.title(addr),
            ),
        );
    }
    for (id, g) in &state.guards {
        let text = format!(
            "{} {} since {} breached {}",
            g.judged.verdict,
            g.judged.why,
            at(&Some(g.since)),
            g.breached
        );
        map.insert(format!("guard {id}"), text);
    }
    let output: Vec<_> =
        state.output.iter().map(|l| format!("{} {:?} {}", l.effect.0, l.stream, l.text)).collect();
    let refused = state
        .refused
        .as_ref()
        .map(|(asked, why, t)| format!("{asked}: {why} at {}", at(&Some(*t))));
    let want = wants(state)
        .map(|w| format!("{:?} ticket {} {:?} every {}", w.look, w.ticket, w.reading, w.every.0));
    map.insert("current".into(), format!("{:?}", state.current().map(|c| c.to_string())));
    map.insert("run".into(), format!(
        "choice {:?} evidence {:?} line {:?} running {:?} next effect {} output {output:?} refused {refused:?} aborted {:?} ended {:?} breached {:?}",
        state.choice, state.evidence, state.line_held, state.running, state.next_effect, state.aborted, state.ended,
        state.breached().map(|(id, _)| id).collect::<Vec<_>>(),
    ));
    map.insert("wants".into(), format!("{want:?}"));
    map
}

fn keep(name: &str, scene: Scene) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("life-{name}"), scene.text);
    });
}

fn plan() -> Option<Result<Proposal, String>> {
    Some(Ok(proposal("vault-2", "uid-vault-2")))
}

fn other_leads(raft: &mut Raft) {
    raft.leader = "vault-1".into();
}

fn hung(raft: &mut Raft) {
    raft.leader_answers = false;
    raft.voters[2].healthy = false;
    raft.voters[2].verdict = VoterVerdict::Hung;
}

#[test]
fn a_question_and_what_is_done_by_hand() {
    let mut s = Scene::new(Mode::Write);
    s.observe("", |_| {});
    s.look("", |_| {});
    s.look("", |_| {});
    let (how, hand) = (s.step("ask/how"), s.step("ask/by-hand"));
    s.ana(Intent::Review { step: how.clone() });
    s.ana(Intent::Choose { step: how.clone(), branch: "nowhere".into() });
    s.ana(Intent::Show { step: how.clone() });
    s.ana(Intent::Choose { step: hand.clone(), branch: "here".into() });
    s.ana(Intent::Choose { step: how.clone(), branch: "elsewhere".into() });
    s.ana(Intent::Choose { step: how.clone(), branch: "here".into() });
    s.look("", |_| {});
    s.look("gates", |_| {});
    s.ana(Intent::Choose { step: hand.clone(), branch: "here".into() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Unclaim { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::CloseReview { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.look("not so", |_| {});
    s.pass(2_000);
    s.look("so", other_leads);
    s.pass(1_000);
    s.look("not so", |_| {});
    s.ana(Intent::Unclaim { step: hand.clone() });
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.pass(11_000);
    s.look("too late", |_| {});
    s.ana(Intent::Accept { step: hand.clone() });
    s.ana(Intent::Retry { step: hand.clone() });
    s.look("gates", |_| {});
    s.ana(Intent::Review { step: hand.clone() });
    s.prepared("no action", None, |_| {});
    s.ana(Intent::Show { step: hand.clone() });
    s.ana(Intent::Claim { step: hand.clone() });
    s.look("so", other_leads);
    s.pass(1_000);
    s.look("so, not long enough", other_leads);
    s.pass(1_000);
    s.look("so", other_leads);
    s.look("the next is not needed", |_| {});
    s.look("the phase is done", |_| {});
    s.ana(Intent::Retry { step: s.step("ask/here") });
    s.ana(Intent::Abort { reason: " ".into() });
    s.ana(Intent::Abort { reason: "enough".into() });
    s.ana(Intent::Review { step: hand });
    s.system("late", Intent::Tick);
    keep("by-hand", s);
}

#[test]
fn an_action_from_its_turn_to_its_end() {
    let mut s = Scene::new(Mode::Write);
    s.reach_the_roll();
    let step = s.step("roll[vault-2]/claims");
    s.ana(Intent::Review { step: step.clone() });
    s.release("roll[vault-2]/claims", "vault-2");
    s.prepared("a missing right", Some(Err("forbidden: delete".into())), |_| {});
    s.ana(Intent::Show { step: step.clone() });
    s.release("roll[vault-2]/claims", "vault-2");
    s.ana(Intent::CloseReview { step: step.clone() });
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), hung);
    s.release("roll[vault-2]/claims", "data-vault-2");
    let gate = |gate: &str, reason: &str| Intent::Override {
        step: "roll[vault-2]/claims".parse().unwrap(),
        gate: gate.into(),
        reason: reason.into(),
    };
    s.ana(gate("healthy", ""));
    s.ana(gate("nope", "because"));
    s.ana(gate("healthy", "seen with our own eyes"));
    s.ana(gate("guard:quorum", "seen as well"));
    s.release("roll[vault-2]/claims", "vault-2");
    s.look("well again", |_| {});
    s.ana(gate("healthy", "it passes"));
    s.ana(Intent::FreeLine);
    s.ana(Intent::HoldLine { reason: "a call".into() });
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.ana(Intent::FreeLine);
    s.ana(Intent::Release { step: step.clone(), digest: "0".into(), typed: "data-vault-2".into() });
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.ana(Intent::HoldLine { reason: "stop".into() });
    s.prepared("the line is held", plan(), |_| {});
    s.ana(Intent::FreeLine);
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("unreachable", Some(Err("no answer".into())), |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.ana(Intent::Show { step: step.clone() });
    s.ana(Intent::Claim { step: step.clone() });
    let ticket = s.run.state.steps[&step].ticket;
    let (verdict, why) = (Probed::NotDone, "still there".to_owned());
    s.system("", Intent::Probed { step: step.clone(), ticket, verdict, why, result: json!(null) });
    s.look("gates", |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("another object", Some(Ok(proposal("vault-2", "other"))), |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", Some(Ok(proposal("vault-2", "other"))), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("as released", Some(Ok(proposal("vault-2", "other"))), |_| {});
    s.ana(Intent::Abort { reason: "now".into() });
    s.ana(Intent::Skip { step: step.clone(), reason: "now".into() });
    let line = |effect, text: &str| Intent::Output {
        effect: EffectId(effect),
        stream: Stream::Out,
        text: text.into(),
    };
    s.system("", line(1, "deleted"));
    s.system("of nobody", line(9, "x"));
    let end = |effect, outcome| Intent::EffectEnded {
        effect: EffectId(effect),
        outcome,
        result: json!({"count": 1}),
    };
    s.system("of nobody", end(9, Outcome::Ok));
    s.system("", end(1, Outcome::Failed("conflict".into())));
    s.system("again", end(1, Outcome::Ok));
    s.ana(Intent::Retry { step: step.clone() });
    s.look("gates", |_| {});
    s.ana(Intent::Review { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.prepared("", plan(), |_| {});
    s.system("", end(2, Outcome::Unknown("no answer".into())));
    s.ana(Intent::Accept { step: step.clone() });
    for verdict in [Probed::Partly, Probed::Done] {
        let ticket = s.run.state.steps[&step].ticket;
        s.system(
            "late",
            Intent::Probed {
                step: step.clone(),
                ticket: 1,
                verdict,
                why: "old".into(),
                result: json!(null),
            },
        );
        s.system(
            "",
            Intent::Probed {
                step: step.clone(),
                ticket,
                verdict,
                why: "looked".into(),
                result: json!(null),
            },
        );
        s.ana(Intent::Accept { step: step.clone() });
    }
    s.ana(Intent::Unclaim { step: step.clone() });
    s.look("still there", |_| {});
    s.pass(11_000);
    s.look("still there", |_| {});
    s.ana(Intent::Skip { step: step.clone(), reason: String::new() });
    s.ana(Intent::Skip { step: step.clone(), reason: "x".repeat(2001) });
    s.ana(Intent::Skip { step: step.clone(), reason: "x".repeat(2000) });
    keep("action", s);
}

#[test]
fn done_elsewhere_two_people_and_a_soak_that_breaks() {
    let mut s = Scene::new(Mode::ReadOnly);
    s.reach_the_roll();
    let step = s.step("roll[vault-2]/claims");
    s.ana(Intent::Review { step: step.clone() });
    s.ana(Intent::Show { step: step.clone() });
    s.prepared("", plan(), |_| {});
    s.release("roll[vault-2]/claims", "data-vault-2");
    s.ana(Intent::Show { step: step.clone() });
    let probed = |s: &mut Scene, verdict| {
        let step = s.step("roll[vault-2]/claims");
        let ticket = s.run.state.steps[&step].ticket;
        s.system(
            "",
            Intent::Probed {
                step,
                ticket,
                verdict,
                why: "looked".into(),
                result: json!({"count": 1}),
            },
        );
    };
    s.ana(Intent::Claim { step: step.clone() });
    probed(&mut s, Probed::NotDone);
    for verdict in [Probed::Unknown, Probed::Done] {
        s.look("gates", |_| {});
        if s.run.state.steps[&step].status == holdpoint::run::Status::Verifying {
            s.ana(Intent::Unclaim { step: step.clone() });
        }
        s.ana(Intent::Review { step: step.clone() });
        s.prepared("", plan(), |_| {});
        s.ana(Intent::Show { step: step.clone() });
        s.ana(Intent::Claim { step: step.clone() });
        probed(&mut s, verdict);
    }
    let gone = live(
        Source::Claims,
        s.run.now,
        Update::Claims(Rows { upsert: vec![], remove: vec![], whole: true }),
    );
    let want = wants(&s.run.state).unwrap();
    s.system("gone", Intent::Looked { look: want.look, ticket: want.ticket, changes: vec![gone] });

    let two = s.step("roll[vault-2]/two");
    s.look("opens", |_| {});
    s.ana(Intent::Review { step: two.clone() });
    s.prepared("", plan(), |_| {});
    s.ana(Intent::Override {
        step: two.clone(),
        gate: "second-person".into(),
        reason: "alone tonight".into(),
    });
    s.ana(Intent::Skip { step: two.clone(), reason: "not now".into() });
    s.ana(Intent::CloseReview { step: two.clone() });
    s.ana(Intent::Skip { step: two.clone(), reason: "not now".into() });

    let watch = s.step("roll[vault-2]/watch");
    s.look("opens", |_| {});
    s.ana(Intent::EndSoak { step: watch.clone(), reason: "early".into() });
    s.look("gates", |_| {});
    s.pass(2_000);
    s.look("", |_| {});
    s.pass(2_000);
    s.look("", |_| {});
    s.look("broken", hung);
    s.look("broken still", hung);
    s.pass(2_000);
    s.look("well", |_| {});
    for _ in 0..3 {
        s.pass(3_000);
        s.look("", |_| {});
    }
    s.ana(Intent::Skip { step: watch.clone(), reason: "no".into() });
    s.ana(Intent::EndSoak { step: watch.clone(), reason: String::new() });
    s.ana(Intent::EndSoak { step: watch.clone(), reason: "long enough".into() });
    s.look("the item is done", |_| {});
    s.look("the leader had its turn", |_| {});
    s.look("again", |_| {});
    s.look("another leads", other_leads);
    s.ana(Intent::Retry { step: s.step("ask/by-hand") });
    keep("elsewhere", s);
}

#[test]
fn a_soak_ends_by_itself_and_a_run_too() {
    let mut s = Scene::new(Mode::Write);
    s.reach_the_roll();
    for (voter, next) in [("vault-2", "vault-1"), ("vault-1", "vault-0"), ("vault-0", "vault-0")] {
        for step in ["claims", "two"] {
            s.ana(Intent::Skip {
                step: s.step(&format!("roll[{voter}]/{step}")),
                reason: "rehearsal".into(),
            });
            s.look("opens", |_| {});
        }
        s.look("gates", |_| {});
        for _ in 0..6 {
            s.pass(2_000);
            s.look("", |_| {});
        }
        for _ in 0..3 {
            if s.run.state.ended.is_none() {
                s.look("", |r| r.leader = next.into());
            }
        }
    }
    keep("to-the-end", s);
}

#[test]
fn guards_are_debounced_and_sets_must_make_sense() {
    let mut s = Scene::new(Mode::Write);
    s.observe("", |_| {});
    s.observe("hung", hung);
    s.pass(4_000);
    s.system("", Intent::Tick);
    s.observe("well", |_| {});
    s.observe("hung", hung);
    s.pass(5_001);
    s.system("", Intent::Tick);
    s.pass(5_001);
    s.system("", Intent::Tick);
    s.pass(60_000);
    s.system("stale by now", Intent::Tick);
    s.observe("well", |_| {});
    s.look("opens", |_| {});
    s.look("opens", |_| {});
    s.ana(Intent::Choose { step: s.step("ask/how"), branch: "here".into() });
    for _ in 0..3 {
        s.look("", |_| {});
    }
    s.pass(1_000);
    for _ in 0..2 {
        s.look("", |_| {});
    }
    let names = |names: &'static [&'static str]| {
        move |r: &mut Raft| {
            r.voters =
                names.iter().map(|n| Voter { name: (*n).into(), ..Voter::default() }).collect()
        }
    };
    s.look("nobody", names(&[]));
    s.look("nobody again", names(&[]));
    s.look("one twice", names(&["a", "b", "a"]));
    s.ana(Intent::HoldLine { reason: "wait".into() });
    s.look("held", |_| {});
    s.ana(Intent::FreeLine);
    s.look("three", |_| {});
    s.look("a leader that is no item", |r| r.leader = "nobody".into());
    s.look("a leader", |_| {});
    keep("guards", s);
}
