//! States and runs for the tests, made through the real parser and the real core.

use holdpoint::event::*;
use holdpoint::run::{Effect, Intent, State, apply, decide, wants};
use holdpoint::runbook::load;
use holdpoint::runbook::model::Runbook;
use holdpoint::world::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

pub const RUNBOOK: &str = r#"
format = 1
id = "small"
title = "A small change"
owner = "tests"
[[guard]]
id = "quorum"
that = 'raft.leader_answers && raft.unsealed >= raft.quorum'
says = "the leader answers"
for = "5s"
[[phase]]
id = "one"
title = "One at a time"
[phase.each.voter]
of = 'raft.voters.map(v, v.name)'
next = 'remaining.exists(r, r != raft.leader) ? remaining.filter(r, r != raft.leader)[0] : remaining[0]'
[[phase.step]]
id = "claims"
title = "Delete the claims of {{ voter }}"
why = "They are on the old disk."
risk = "destructive"
do.kube.delete_claims = { of_pod = "{{ voter }}" }
confirm = "{{ voter }}"
capture.old = 'before'
undo.none = "they are gone"
[[phase.step.gate]]
id = "healthy"
that = 'size(raft.voters) > 0 && raft.voters.all(v, v.healthy)'
says = "every voter is healthy"
[phase.step.verify]
that = 'size(before) > 0 && before.all(b, !claims.exists(c, c.uid == b.uid))'
settle = "2 in 2s"
within = "10s"
[[phase.step]]
id = "check"
title = "{{ voter }} is well"
[phase.step.verify]
that = 'raft.voters.exists(v, v.name == voter && v.healthy)'
"#;

pub const ADDRESS: &str = "http://127.0.0.1:8200";

pub fn driver() -> Actor {
    Actor::Person { name: "ana".into(), role: Role::Driver }
}

pub fn header(runbook: &str, mode: Mode) -> Header {
    Header {
        format: FORMAT,
        run: "20260425T160000Z-small-7f3a".into(),
        runbook: runbook.into(),
        runbook_path: "small.toml".into(),
        params: BTreeMap::new(),
        site: "example".into(),
        site_from: String::new(),
        site_values: BTreeMap::new(),
        shows: BTreeSet::new(),
        pins: BTreeMap::new(),
        mode,
        version: "0".into(),
        opened_by: driver(),
        continues: None,
        scheduled: Vec::new(),
        window: None,
    }
}

pub fn raft(leader: &str) -> Raft {
    let voter = |name: &str| Voter {
        name: name.into(),
        address: ADDRESS.into(),
        verdict: VoterVerdict::Healthy,
        healthy: true,
        health: Answer::Answers,
        leader_answer: Answer::Answers,
        code: if name == leader { 200 } else { 429 },
        error: String::new(),
        latency_ms: 2,
        is_self: name == leader,
        sealed: false,
        initialized: true,
        applied: 88_214,
        committed: 88_214,
        behind: 0,
        caught_up: true,
        is_voter: true,
        is_peer: true,
        heard: true,
    };
    Raft {
        voters: ["vault-0", "vault-1", "vault-2"].map(voter).into(),
        leader: leader.into(),
        leader_answers: true,
        unsealed: 3,
        quorum: 2,
        configured: 3,
        committed: 88_214,
        rate: 12,
        configuration_read: true,
        autopilot_read: true,
        autopilot_healthy: true,
        audited_read: true,
        ..Raft::default()
    }
}

pub fn claim(name: &str, class: &str, uid: &str) -> Claim {
    Claim {
        namespace: "vault".into(),
        name: name.into(),
        uid: uid.into(),
        class: class.into(),
        phase: "Bound".into(),
        volume: format!("pvc-{uid}"),
        created: Some(Time(0)),
        ..Claim::default()
    }
}

/// Bound to a claim of the namespace vault.
pub fn volume(name: &str, claim: &str) -> Volume {
    Volume {
        name: format!("pvc-{name}"),
        uid: format!("of-{name}"),
        class: "nfs-proxmox".into(),
        phase: "Bound".into(),
        policy: "Retain".into(),
        claim: format!("vault/{claim}"),
        size: "10Gi".into(),
        created: Some(Time(0)),
        ..Volume::default()
    }
}

pub fn pod(name: &str) -> Pod {
    Pod {
        namespace: "vault".into(),
        name: name.into(),
        uid: format!("pod-{name}"),
        status: "Running".into(),
        ready: 2,
        containers: 2,
        node: "node-1".into(),
        created: Some(Time(0)),
        ..Pod::default()
    }
}

pub fn live(source: Source, at: Time, update: Update) -> Change {
    Change { source, status: Status::Live, as_of: Some(at), reach: None, update }
}

/// The world in which everything is well.
pub fn well(at: Time) -> Vec<Change> {
    let claims = ["vault-0", "vault-1", "vault-2"]
        .map(|v| claim(&format!("data-{v}"), "nfs-proxmox", &format!("uid-{v}")));
    vec![
        live(Source::Raft, at, Update::Raft(raft("vault-2").into())),
        live(Source::Claims, at, Update::Claims(Rows::all(claims.into()))),
        live(
            Source::Volumes,
            at,
            Update::Volumes(Rows::all(
                ["vault-0", "vault-1", "vault-2"]
                    .map(|v| volume(&format!("uid-{v}"), &format!("data-{v}")))
                    .into(),
            )),
        ),
        live(
            Source::Classes,
            at,
            Update::Classes(Rows::all(vec![Class {
                name: "nfs-proxmox".into(),
                policy: "Retain".into(),
                consumers: Consumers { bound: 98, ours: 3, released: 2 },
                ..Class::default()
            }])),
        ),
        live(
            Source::Pods,
            at,
            Update::Pods(Rows::all(["vault-0", "vault-1", "vault-2"].map(pod).into())),
        ),
    ]
}

pub fn proposal(voter: &str, uid: &str) -> Proposal {
    Proposal {
        verb: "kube.delete_claims".into(),
        sentence: "DELETE 1 claim in namespace vault".into(),
        targets: vec![Target {
            kind: "PersistentVolumeClaim".into(),
            namespace: Some("vault".into()),
            name: format!("data-{voter}"),
            uid: Some(uid.into()),
            created: Some(Time(0)),
            note: "nfs-proxmox · volume kept: Retain".into(),
        }],
        material: BTreeMap::from([("uid".into(), json!(uid))]),
        request: json!({"name": format!("data-{voter}"), "uid": uid}),
        commands: vec![format!(
            "echo '{{\"preconditions\":{{\"uid\":\"{uid}\"}}}}' | kubectl --context example delete --raw /api/v1/namespaces/vault/persistentvolumeclaims/data-{voter} -f -"
        )],
        cautions: vec![],
        before: json!([{"name": format!("data-{voter}"), "uid": uid}]),
    }
}

/// A runbook, compiled once however many runs it has here.
fn loaded(text: &str) -> Arc<Runbook> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Runbook>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || Arc::new(load(text).unwrap_or_else(|p| panic!("{p:?}")).runbook);
    Arc::clone(known.entry(text.to_owned()).or_insert_with(compile))
}

/// A run driven by hand: intents in, entries kept, effects handed out.
pub struct Run {
    pub state: State,
    pub entries: Vec<Entry>,
    pub now: Time,
    pub effects: Vec<Effect>,
}

impl Run {
    pub fn new(runbook: &str, mode: Mode) -> Self {
        let loaded = loaded(runbook);
        let now = Time(1_777_132_800_000);
        let window = loaded.window.map(|w| Slot { start: now, end: now + w.length });
        let header = Header { window, ..header(runbook, mode) };
        let state = State::new(header.clone(), loaded, now);
        let first = Entry {
            seq: 0,
            at: now,
            actor: driver(),
            event: Event::Opened { header: Box::new(header) },
        };
        Self { state, entries: vec![first], now, effects: vec![] }
    }

    /// Another run that goes on from here.
    pub fn fork(&self) -> Self {
        let (state, entries) = (self.state.clone(), self.entries.clone());
        Self { state, entries, now: self.now, effects: vec![] }
    }

    /// The intent's events, folded; or the refusal.
    pub fn ask(&mut self, actor: &Actor, intent: Intent) -> Result<Vec<Event>, String> {
        // As the loop does; nothing, mostly.
        let back = decide(&self.state, &Actor::System, &Intent::ClockSetBack, self.now);
        back.into_iter().flatten().for_each(|e| self.record(&Actor::System, e));
        let events = match decide(&self.state, actor, &intent, self.state.now(self.now)) {
            Ok(events) => events,
            Err(refusal) => {
                self.record(
                    actor,
                    Event::Refused { asked: intent.brief(), why: refusal.0.clone() },
                );
                return Err(refusal.0);
            }
        };
        for event in &events {
            self.record(actor, event.clone());
        }
        Ok(events)
    }

    fn record(&mut self, actor: &Actor, event: Event) {
        if self.state.ended.is_some() {
            return;
        }
        let (seq, at) = (self.state.seq + 1, self.state.now(self.now));
        let entry = Entry { seq, at, actor: actor.clone(), event };
        let effects = apply(&mut self.state, &entry).unwrap_or_else(|e| panic!("{e}: {entry:?}"));
        self.entries.push(entry);
        self.effects.extend(effects);
    }

    pub fn system(&mut self, intent: Intent) -> Vec<Event> {
        self.ask(&Actor::System, intent).unwrap()
    }

    pub fn observe(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.system(Intent::Observed { change: Box::new(change) });
        }
    }

    /// Answers what the run wants to know, once, with this picture of the world.
    pub fn look(&mut self, changes: Vec<Change>) -> Vec<Event> {
        let Some(want) = wants(&self.state) else { return vec![] };
        let changes = changes.into_iter().filter(|c| want.reading.contains(&c.source)).collect();
        self.system(Intent::Looked { look: want.look, ticket: want.ticket, changes })
    }

    /// An override of what a gate says now, as whoever reads it would give it.
    pub fn overriding(&self, step: &StepAddr, gate: &str, reason: &str) -> Intent {
        let seen = self.state.steps.get(step).and_then(|s| s.mark(gate)).unwrap_or_default();
        let (gate, reason) = (gate.to_owned(), reason.to_owned());
        Intent::Override { step: step.clone(), gate, seen, reason }
    }

    pub fn pass(&mut self, ms: i64) {
        self.now = Time(self.now.0 + ms);
    }

    pub fn status(&self, step: &str) -> holdpoint::run::Status {
        self.state.steps[&step.parse::<StepAddr>().unwrap()].status
    }

    /// Takes the prepare that stands, and answers it with a plan or why there is none.
    pub fn prepared(
        &mut self,
        changes: Vec<Change>,
        proposal: Result<Proposal, String>,
    ) -> Vec<Event> {
        self.prepared_or_not(changes, Some(proposal))
    }

    /// The same, also for a step that has no plan or whose arguments are not known.
    pub fn prepared_or_not(
        &mut self,
        changes: Vec<Change>,
        proposal: Option<Result<Proposal, String>>,
    ) -> Vec<Event> {
        let found = self
            .effects
            .iter()
            .rposition(|e| matches!(e, Effect::Prepare { .. }))
            .expect("a prepare");
        let Effect::Prepare { step, ticket, purpose, .. } = self.effects.remove(found) else {
            unreachable!()
        };
        self.system(Intent::Prepared {
            step,
            ticket,
            purpose,
            changes,
            proposal: proposal.map(|p| p.map(Box::new)),
        })
    }

    /// To the first step's turn.
    pub fn reach_first_step(&mut self) -> StepAddr {
        self.observe(well(self.now));
        for _ in 0..6 {
            let now = self.now;
            self.look(well(now));
        }
        self.state.current().expect("a step's turn")
    }

    /// To a review with a proposal and passing gates.
    pub fn reach_review(&mut self) -> (StepAddr, String) {
        let step = self.reach_first_step();
        self.ask(&driver(), Intent::Review { step: step.clone() }).unwrap();
        let now = self.now;
        self.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
        let digest = self.state.steps[&step].proposal.as_ref().unwrap().1.clone();
        (step, digest)
    }

    /// To a release that was void: the claim had become another one.
    pub fn reach_changed(&mut self) -> (StepAddr, String) {
        let (step, digest) = self.reach_review();
        let typed = "vault-0".into();
        self.ask(&driver(), Intent::Release { step: step.clone(), digest: digest.clone(), typed })
            .unwrap();
        let now = self.now;
        self.prepared(well(now), Ok(proposal("vault-0", "another-uid")));
        (step, digest)
    }

    /// To an effect that runs.
    pub fn reach_running(&mut self) -> (StepAddr, EffectId) {
        let (step, digest) = self.reach_review();
        self.ask(
            &driver(),
            Intent::Release { step: step.clone(), digest, typed: "vault-0".into() },
        )
        .unwrap();
        let now = self.now;
        self.prepared(well(now), Ok(proposal("vault-0", "uid-vault-0")));
        let (effect, _) = self.state.running.clone().expect("an effect");
        (step, effect)
    }
}
