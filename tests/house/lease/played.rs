//! The same on a lab in this very process.

use super::*;

/// While the API server is down nothing new is done there; what is Vault's own goes on.
#[test]
fn without_the_api_server_its_steps_freeze_and_vaults_go_on() {
    on_lab_time(async {
        let playing = begin(play(), driver()).await.unwrap();
        released(&playing, "only/first").await;
        playing.lab.with(|w| fault(w, "api-outage", true));
        released(&playing, "only/down").await;
        let frozen = until(&playing, |l| {
            let lost = matches!(&l.state.lease, Some(Lease::Lost { holder: None, .. }));
            lost && verdict(l) == Some(Verdict::Inconclusive)
        });
        let frozen = frozen.await;
        let why = why(&frozen);
        assert!(why.contains("it could not be renewed in time: kube-system/holdpoint"), "{why}");
        assert_eq!(status(&frozen, "only/second"), Some(Status::Blocked));
        // Nobody took it meanwhile: it is renewed, and is ours again.
        playing.lab.with(|w| fault(w, "api-outage", false));
        released(&playing, "only/second").await;
        playing.end(false).await.unwrap();
    });
}

/// Who stopped the process and goes on has seen nothing meanwhile.
#[test]
fn after_a_stop_the_lease_and_the_gates_are_asked_for_anew() {
    on_lab_time(async {
        let playing = begin(play(), driver()).await.unwrap();
        reviewed(&playing, "only/first").await;
        until(&playing, |l| verdict(l) == Some(Verdict::Pass)).await;
        // Another took it in the meantime.
        held_by(&playing, json!("other-run bob@elsewhere")).await;
        let system = holdpoint::event::Actor::System;
        playing.handle.ask(&system, Intent::Continued).await.unwrap();
        until(&playing, |l| verdict(l) == Some(Verdict::Fail)).await;
        let entries = playing.end(false).await.unwrap().entries;
        let on = entries.iter().position(|e| e.event == Event::Continued).unwrap();
        let of_lease = |e: &&Entry| matches!(e.event, Event::Lease { .. });
        // At once, not when it would have been renewed.
        let next = entries[on..].iter().find(of_lease).unwrap();
        assert!(next.at.since(entries[on].at) < Span::secs(2));
        let Event::Lease { news: Lease::Lost { holder, .. } } = &next.event else {
            panic!("{next:?}")
        };
        assert_eq!(holder.as_deref(), Some("other-run bob@elsewhere"));
    });
}

/// What is released in the very moment in which another takes the lease is not sent; with a
/// reason the driver may go on without it.
#[test]
fn the_lease_is_asked_for_once_more_right_before_the_effect() {
    on_lab_time(async {
        let playing = begin(play(), driver()).await.unwrap();
        let step = "only/first";
        reviewed(&playing, step).await;
        until(&playing, |l| verdict(l) == Some(Verdict::Pass)).await;
        held_by(&playing, json!("other-run bob@elsewhere")).await;
        release(&playing, step).await.unwrap();
        let live = until(&playing, |l| !l.state.steps[&step.parse().unwrap()].changed.is_empty());
        let live = live.await;
        let s = &live.state.steps[&step.parse().unwrap()];
        assert!(s.changed[0].contains("bob@elsewhere holds it"), "{:?}", s.changed);
        assert!(!s.other_objects);
        let intent = Intent::Review { step: step.parse().unwrap() };
        playing.handle.ask(&driver(), intent).await.unwrap();
        until(&playing, |l| verdict(l) == Some(Verdict::Fail) && planned(l)).await;
        assert!(release(&playing, step).await.unwrap_err().contains("the cluster's lease"));
        let seen = playing.handle.live.borrow().state.steps[&step.parse().unwrap()].mark("lease");
        let over = Intent::Override {
            step: step.parse().unwrap(),
            gate: "lease".into(),
            seen: seen.unwrap(),
            reason: "bob asked us to".into(),
        };
        playing.handle.ask(&driver(), over).await.unwrap();
        release(&playing, step).await.unwrap();
        until(&playing, |l| status(l, step) == Some(Status::Done)).await;
        playing.end(false).await.unwrap();
    });
}

/// Who may not read or write it is told which right is missing, and may go on with a reason.
#[test]
fn a_token_without_the_right_is_told_which() {
    on_lab_time(async {
        let world = small();
        let clock = lab::clock(world.now);
        let lab = lab::Lab::new(world, Arc::clone(&clock));
        let driven = lab.clone();
        tokio::spawn(async move { driven.drive().await });
        let mut remote = lab::open(&lab, lab_site().unwrap(), Arc::clone(&clock));
        let mut user = kube::User::admin();
        user.rules = vec![
            kube::Rule::new(&["get", "list", "watch"], &["*"], &["*"]),
            kube::Rule::new(&["*"], &["", "authorization.k8s.io"], &["*"]),
        ];
        remote.kube = Ok(kube::client_as(&lab, user));
        let header = Header { pins: remote.identities().await, ..header(BOOK, Mode::Write) };
        let runbook = Arc::new(load(BOOK).unwrap().runbook);
        let keep = Keep::Memory(Arc::default());
        let (runs, nonce) = (PathBuf::new(), "0000".to_owned());
        let opening = Opening { runs, header, runbook, nonce, clock, keep };
        let (state, writer, _) = open(opening).await.unwrap();
        let (handle, _) = Engine::start(state, writer, Arc::new(remote));
        let first = "only/first".parse().unwrap();
        let gate = |l: &Live| {
            let gates = l.state.steps.get(&first).map(|s| s.gates.clone()).unwrap_or_default();
            gates.into_iter().find(|g| g.gate == "lease" && g.judged.why.contains("forbidden"))
        };
        let mut live = handle.live.clone();
        let found =
            tokio::time::timeout(Duration::from_secs(60), live.wait_for(|l| gate(l).is_some()));
        let live = found.await.unwrap().unwrap().clone();
        let judged = gate(&live).unwrap().judged;
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        for part in ["cannot create resource", "leases", "coordination.k8s.io", "kube-system"] {
            assert!(judged.why.contains(part), "{}", judged.why);
        }
        handle.ask(&driver(), Intent::Review { step: first.clone() }).await.unwrap();
        let mut live = handle.live.clone();
        let judged = |l: &Live| l.state.steps[&"only/first".parse().unwrap()].gates_at.is_some();
        let live = live.wait_for(judged).await.unwrap().clone();
        let seen = live.state.steps[&first].mark("lease").unwrap();
        let (gate, reason) = ("lease".into(), "alone".into());
        let over = Intent::Override { step: first, gate, seen, reason };
        handle.ask(&driver(), over).await.unwrap();
    });
}

fn play() -> Play {
    Play {
        text: BOOK.into(),
        path: "book.toml".into(),
        params: vec![],
        site: lab_site().unwrap(),
        world: small(),
        faults: vec![],
        answers: operator(),
        runs: None,
        nonce: "0000".into(),
    }
}

async fn until(playing: &Playing, so: impl FnMut(&Live) -> bool) -> Live {
    let mut live = playing.handle.live.clone();
    // Of the lab's time.
    let found = tokio::time::timeout(Duration::from_secs(600), live.wait_for(so)).await;
    found.expect("it never came").unwrap().clone()
}

fn status(live: &Live, step: &str) -> Option<Status> {
    live.state.steps.get(&step.parse().unwrap()).map(|s| s.status)
}

fn planned(live: &Live) -> bool {
    let s = live.state.current().and_then(|a| live.state.steps.get(&a).cloned());
    s.is_some_and(|s| s.proposal.is_some() && s.gates_at.is_some())
}

/// Of the lease's gate in the step in hand.
fn verdict(live: &Live) -> Option<Verdict> {
    let s = live.state.steps.get(&live.state.current()?)?;
    s.gates_at?;
    s.gates.iter().find(|g| g.gate == "lease").map(|g| g.judged.verdict)
}

fn why(live: &Live) -> String {
    let s = &live.state.steps[&live.state.current().unwrap()];
    s.gates.iter().find(|g| g.gate == "lease").unwrap().judged.why.clone()
}

async fn reviewed(playing: &Playing, step: &str) {
    until(playing, |l| status(l, step) == Some(Status::Ready)).await;
    playing.handle.ask(&driver(), Intent::Review { step: step.parse().unwrap() }).await.unwrap();
    until(playing, |l| planned(l) && status(l, step) == Some(Status::Confirming)).await;
}

async fn release(playing: &Playing, step: &str) -> Result<(), String> {
    let state = playing.handle.live.borrow().state.clone();
    let step = step.parse().unwrap();
    let digest = state.steps[&step].proposal.as_ref().unwrap().1.clone();
    let typed = state.confirm_text(&step);
    playing.handle.ask(&driver(), Intent::Release { step, digest, typed }).await
}

async fn released(playing: &Playing, step: &str) {
    reviewed(playing, step).await;
    until(playing, |l| l.state.releasable(&step.parse().unwrap()).is_ok()).await;
    release(playing, step).await.unwrap();
    until(playing, |l| status(l, step) == Some(Status::Done)).await;
}

/// Somebody else writes the lease.
async fn held_by(playing: &Playing, holder: Value) {
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/holdpoint";
    let body = json!({"spec": {"holderIdentity": holder, "leaseTransitions": 77}});
    let patch = http::Request::patch(path)
        .header("Content-Type", "application/merge-patch+json")
        .body(body.to_string().into_bytes())
        .unwrap();
    kube::client(&playing.lab).request::<Value>(patch).await.unwrap();
}

/// The fault's other Holdpoint renews it; it is taken from it with a reason only, and not taken back.
#[test]
fn a_lease_that_the_fault_holds_is_renewed_until_somebody_takes_it() {
    on_lab_time(async {
        let playing = begin(play(), driver()).await.unwrap();
        let ours =
            |l: &Live| matches!(l.state.lease, Some(Lease::Taken { .. } | Lease::Renewed { .. }));
        until(&playing, ours).await;
        playing.lab.with(|w| fault(w, "lease-held", true));
        let lost = until(&playing, |l| matches!(l.state.lease, Some(Lease::Lost { .. }))).await;
        let told = lost.state.lease.as_ref().unwrap().to_string();
        assert!(told.contains("other-change") && told.contains("bo@jump.example.net"), "{told}");
        // Three times as long as it lasts.
        tokio::time::sleep(Duration::from_secs(90)).await;
        let age = playing.lab.with(|w| {
            let leases = kube::kind("leases.coordination.k8s.io").unwrap();
            let lease = w.store.get(&kube::Key::new(leases, "kube-system", "holdpoint")).unwrap();
            let at: holdpoint::event::Time =
                lease["spec"]["renewTime"].as_str().unwrap().parse().unwrap();
            w.now.since(at)
        });
        assert!(age <= Span::secs(10), "{age}");
        let take = |reason: &str| Intent::TakeLease { reason: reason.into() };
        let refused = playing.handle.ask(&driver(), take("")).await.unwrap_err();
        assert!(refused.contains("say why it is taken over"), "{refused}");
        playing.handle.ask(&driver(), take("bo waits for us")).await.unwrap();
        until(&playing, ours).await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        let entries = playing.end(false).await.unwrap().entries;
        let lost = entries
            .iter()
            .filter(|e| matches!(&e.event, Event::Lease { news: Lease::Lost { .. } }));
        assert_eq!(lost.count(), 1);
    });
}

/// A review that was opened while the API server did not answer has its plan once it is back, and
/// nobody has to leave it for that.
#[test]
fn a_plan_that_the_api_server_kept_is_made_when_it_is_back() {
    on_lab_time(async {
        let playing = begin(play(), driver()).await.unwrap();
        let step = "only/first";
        until(&playing, |l| status(l, step) == Some(Status::Ready)).await;
        playing.lab.with(|w| fault(w, "api-outage", true));
        let review = Intent::Review { step: step.parse().unwrap() };
        playing.handle.ask(&driver(), review).await.unwrap();
        let failed = |l: &Live| l.state.steps[&step.parse().unwrap()].proposal_error.is_some();
        until(&playing, failed).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        playing.lab.with(|w| fault(w, "api-outage", false));
        until(&playing, |l| l.state.releasable(&step.parse().unwrap()).is_ok()).await;
        release(&playing, step).await.unwrap();
        until(&playing, |l| status(l, step) == Some(Status::Done)).await;
        let entries = playing.end(false).await.unwrap().entries;
        let count = |of: fn(&Event) -> bool| entries.iter().filter(|e| of(&e.event)).count();
        assert_eq!(count(|e| matches!(e, Event::ReviewOpened { .. })), 1);
        assert_eq!(count(|e| matches!(e, Event::ProposalFailed { .. })), 1);
        assert_eq!(count(|e| matches!(e, Event::Proposed { .. })), 1);
    });
}

/// What is Vault's own does not wait for an API server that may hang.
#[test]
fn the_lease_is_asked_for_only_before_what_goes_by_it() {
    on_lab_time(async {
        let playing = begin(play(), driver()).await.unwrap();
        let steps = ["only/first", "only/down", "only/second"];
        for step in steps {
            // Renewed in the very moment of the last time it would be no news.
            tokio::time::sleep(Duration::from_secs(1)).await;
            released(&playing, step).await;
        }
        let entries = playing.end(false).await.unwrap().entries;
        let asked = steps.map(|step| {
            let step = step.parse().unwrap();
            let of = |e: &&Entry| e.event.step() == Some(&step);
            let from = |e: &&Entry| of(e) && matches!(e.event, Event::Released { .. });
            let to = |e: &&Entry| of(e) && matches!(e.event, Event::EffectStarted { .. });
            let (from, to) = (entries.iter().find(from).unwrap(), entries.iter().find(to).unwrap());
            let between = entries.iter().filter(|e| (from.seq..to.seq).contains(&e.seq));
            between.filter(|e| matches!(e.event, Event::Lease { .. })).count()
        });
        assert_eq!(asked, [1, 0, 1]);
    });
}
