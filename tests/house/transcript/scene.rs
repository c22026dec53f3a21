//! A run of every kind of step, and what comes of each request written down.

use crate::support::*;
use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, Settling, State, wants};
use holdpoint::world::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Every kind of step.
pub const LIVES: &str = r#"
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

pub struct Scene {
    pub run: Run,
    start: Time,
    pub text: String,
    last: BTreeMap<String, String>,
}

impl Scene {
    pub fn new(mode: Mode) -> Self {
        let run = Run::new(LIVES, mode);
        let start = run.now;
        Self { run, start, text: String::new(), last: BTreeMap::new() }
    }

    /// Asks, and writes down what came of it.
    pub fn by(&mut self, actor: &Actor, said: &str, intent: Intent) {
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

    pub fn ana(&mut self, intent: Intent) {
        self.by(&driver(), "", intent);
    }

    pub fn system(&mut self, said: &str, intent: Intent) {
        self.by(&Actor::System, said, intent);
    }

    pub fn pass(&mut self, ms: i64) {
        self.run.pass(ms);
        let at = self.run.now.0 - self.start.0;
        let _ = writeln!(self.text, "--- {at} ms");
    }

    /// Answers what the run wants to see, with everything well but for `edit`.
    pub fn look(&mut self, said: &str, edit: impl Fn(&mut Raft)) {
        let Some(want) = wants(&self.run.state) else {
            let _ = writeln!(self.text, "nothing is to be seen");
            return;
        };
        let changes = self.world(edit);
        let changes = changes.into_iter().filter(|c| want.reading.contains(&c.source)).collect();
        self.system(said, Intent::Looked { look: want.look, ticket: want.ticket, changes });
    }

    pub fn world(&self, edit: impl Fn(&mut Raft)) -> Vec<Change> {
        let mut changes = well(self.run.now);
        for change in &mut changes {
            if let Update::Raft(raft) = &mut change.update {
                edit(raft);
            }
        }
        changes
    }

    pub fn observe(&mut self, said: &str, edit: impl Fn(&mut Raft)) {
        for change in self.world(edit) {
            self.system(
                &format!("{} {said}", change.source),
                Intent::Observed { change: Box::new(change.clone()) },
            );
        }
    }

    /// Answers the last prepare.
    pub fn prepared(
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

    pub fn step(&self, step: &str) -> StepAddr {
        step.parse().unwrap()
    }

    pub fn digest(&self, step: &str) -> String {
        self.run.state.steps[&self.step(step)]
            .proposal
            .as_ref()
            .map(|p| p.1.clone())
            .unwrap_or_default()
    }

    pub fn release(&mut self, step: &str, typed: &str) {
        let digest = self.digest(step);
        self.ana(Intent::Release { step: self.step(step), digest, typed: typed.into() });
    }

    /// To the first step of the first item of the roll.
    pub fn reach_the_roll(&mut self) {
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
        Effect::Stop { effect, why } => format!("stop {} {why}", effect.0),
        Effect::Probe { step, ticket, .. } => format!("probe {step} ticket {ticket}"),
        Effect::AskLease => "ask for the lease".into(),
        Effect::TakeLease { from } => format!("take the lease from {from}"),
    }
}

/// Since when a verify passes, and is looked at, by what was observed.
fn passing(s: &Settling) -> Option<Time> {
    s.last.filter(|_| s.passes > 0).map(|last| last - s.passing)
}

fn looked(s: &Settling) -> Option<Time> {
    s.last.map(|last| last - s.looked)
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
    for (addr, s) in state.steps.iter() {
        let verify = s.verify.as_ref().map(|v| format!("{} {}", v.verdict, v.why));
        let doubt = s.doubt.as_ref().map(|d| format!(" doubt {d:?}")).unwrap_or_default();
        map.insert(
            format!("step {addr}"),
            format!(
                "{} #{} ticket {} {}..{} way {:?} why {:?} gates [{}] at {} pass {} overrides {:?} plan {:?} {:?} changed {:?} {} verify {verify:?} streak {} since {} from {} probed {:?} result {:?} soak {} {} {:?} type {:?} title {:?}{doubt}",
                s.status, s.attempt, s.ticket, at(&s.began), at(&s.ended), s.way, s.why,
                judged(&s.gates), at(&s.gates_at), s.gates_pass(), s.overrides,
                s.proposal.as_ref().map(|p| &p.1[..6]), s.proposal_error, s.changed, s.other_objects,
                s.settling.passes, at(&passing(&s.settling)), at(&looked(&s.settling)), s.probed, s.result,
                s.soak.observed_ms, at(&s.soak.last), s.soak.broken, state.confirm_text(addr), state.title(addr),
            ),
        );
    }
    for (id, g) in state.guards.iter() {
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

pub fn keep(name: &str, scene: Scene) {
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots", omit_expression => true }, {
        insta::assert_snapshot!(format!("life-{name}"), scene.text);
    });
}
