//! Judging on data that is there, lost or not read.

mod told;

use super::*;
use crate::world::{
    Answer, Change, Claim, CronJob, Http, Pod, Raft, Rows, Status, Update, Voter, VoterVerdict,
};

/// vault-0 leads, vault-1 follows, and of vault-2 the verdict is given.
fn judged(text: &str, third: VoterVerdict) -> Verdict {
    judged_on(text, third, |_| {})
}

fn judged_on(text: &str, third: VoterVerdict, edit: impl Fn(&mut World)) -> Verdict {
    of(text, third, edit).verdict
}

fn of(text: &str, third: VoterVerdict, edit: impl Fn(&mut World)) -> Judged {
    judgement(text, third, &BTreeMap::new(), edit)
}

fn judgement(
    text: &str,
    third: VoterVerdict,
    params: &BTreeMap<String, Value>,
    edit: impl Fn(&mut World),
) -> Judged {
    let voter = |name: &str, verdict| Voter {
        name: name.into(),
        verdict,
        healthy: verdict == VoterVerdict::Healthy,
        ..Voter::default()
    };
    let raft = Raft {
        voters: vec![
            voter("vault-0", VoterVerdict::Healthy),
            voter("vault-1", VoterVerdict::Healthy),
            voter("vault-2", third),
        ],
        leader: "vault-0".into(),
        configuration_read: true,
        unsealed: 2 + i64::from(third == VoterVerdict::Healthy),
        quorum: 2,
        ..Raft::default()
    };
    let mut world = World::default();
    world.apply(&Change {
        source: Source::Raft,
        status: Status::Live,
        as_of: Some(Time(0)),
        reach: None,
        update: Update::Raft(raft.into()),
    });
    edit(&mut world);
    let (none, words) = (BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        world: &world,
        now: Time(0),
        params,
        site: &none,
        evidence: &none,
        lost: &words,
        kept: &BTreeMap::new(),
        choice: &words,
        item: None,
        remaining: &[],
        before: None,
        result: None,
    };
    Expr::new(text).unwrap().judge(&scope)
}

#[test]
fn what_hangs_on_a_lost_path_is_neither_passed_nor_failed() {
    use Verdict::{Fail, Inconclusive, Pass};
    let all = "size(raft.voters) > 0 && raft.voters.all(v, v.healthy)";
    let gone = "!raft.voters.exists(v, v.name == \"vault-2\" && v.healthy)";
    let enough = "raft.unsealed >= raft.quorum";
    let never = "raft.unsealed > 5";
    for (text, hung, lost, well) in [
        (all, Fail, Inconclusive, Pass),
        // The dangerous one: "it is gone" may not pass because nobody could ask.
        (gone, Pass, Inconclusive, Fail),
        (enough, Pass, Pass, Pass),
        (never, Fail, Fail, Fail),
    ] {
        assert_eq!(judged(text, VoterVerdict::Hung), hung, "{text}");
        assert_eq!(judged(text, VoterVerdict::PathLost), lost, "{text}");
        assert_eq!(judged(text, VoterVerdict::Healthy), well, "{text}");
    }
}

#[test]
fn nothing_passes_on_what_was_not_read() {
    use Verdict::{Fail, Inconclusive, Pass};
    let unread = |w: &mut World| w.raft.configuration_read = false;
    for (text, read, lacking) in [
        ("raft.unsealed >= raft.quorum", Pass, Inconclusive),
        ("raft.unsealed > raft.quorum + 5", Fail, Fail),
        ("raft.voters.exists(v, v.is_voter) || raft.unsealed > 0", Pass, Inconclusive),
        // Not of the configuration.
        ("raft.unsealed > 0", Pass, Pass),
    ] {
        assert_eq!(judged(text, VoterVerdict::Healthy), read, "{text}");
        assert_eq!(judged_on(text, VoterVerdict::Healthy, unread), lacking, "{text}");
    }
    let http = |error: &'static str| {
        move |w: &mut World| {
            let of = |error: &str| Http { error: error.into(), ..Http::default() };
            let update = Update::Http(BTreeMap::from([
                ("front".to_owned(), of(error)),
                ("back".to_owned(), of("")),
            ]));
            let (source, status, as_of) = (Source::Http, Status::Live, Some(Time(0)));
            w.apply(&Change { source, status, as_of, reach: None, update });
        }
    };
    for (text, refused) in [
        (r#"http["front"].status != 500"#, Inconclusive),
        (r#"http["back"].status != 500"#, Pass),
        ("http.all(h, http[h].status != 500)", Inconclusive),
    ] {
        assert_eq!(judged_on(text, VoterVerdict::Healthy, http("")), Pass, "{text}");
        assert_eq!(judged_on(text, VoterVerdict::Healthy, http("refused")), refused, "{text}");
    }
}

/// Zero stands for what nobody told: it is no figure, and nobody is taken for level or fast.
#[test]
fn nothing_passes_on_figures_that_nobody_told() {
    use Verdict::{Fail, Inconclusive, Pass};
    let told = |w: &mut World| {
        w.raft.committed = 100;
        for v in &mut w.raft.voters {
            v.leader_answer = Answer::Answers;
            v.code = 429;
        }
    };
    let untold = |w: &mut World| {
        told(w);
        w.raft.voters[2].leader_answer = Answer::Silent;
        w.raft.voters[2].code = 0;
    };
    let nobody_leads = |w: &mut World| {
        told(w);
        w.raft.committed = 0;
    };
    for (text, known, silent, leaderless) in [
        (
            "size(raft.voters) > 0 && raft.voters.all(v, v.behind == 0)",
            Pass,
            Inconclusive,
            Inconclusive,
        ),
        (
            "size(raft.voters) > 0 && raft.voters.all(v, v.latency_ms < 100)",
            Pass,
            Inconclusive,
            Pass,
        ),
        ("raft.voters.exists(v, v.name == \"vault-1\" && v.behind == 0)", Pass, Pass, Inconclusive),
        ("raft.voters.exists(v, v.behind > 5)", Fail, Inconclusive, Inconclusive),
    ] {
        let judged = |edit: &dyn Fn(&mut World)| judged_on(text, VoterVerdict::Healthy, edit);
        assert_eq!(judged(&told), known, "{text}");
        assert_eq!(judged(&untold), silent, "{text}");
        assert_eq!(judged(&nobody_leads), leaderless, "{text}");
    }
    let why = of("raft.voters.exists(v, v.behind > 5)", VoterVerdict::Down, untold).why;
    assert!(why.contains("behind is not known of vault-2 (down)"), "{why}");
    // It answers the leader, and nobody else: how far it is is known, how fast it is not.
    let unheard = |w: &mut World| {
        told(w);
        w.raft.voters[2].code = 0;
    };
    let level = "raft.voters.all(v, v.behind == 0)";
    assert_eq!(of(level, VoterVerdict::Down, unheard).verdict, Pass);
    let fast = of("raft.voters.all(v, v.latency_ms < 100)", VoterVerdict::Down, unheard);
    assert_eq!(fast.verdict, Inconclusive);
    assert!(fast.why.contains("latency_ms is not known of vault-2 (down)"), "{}", fast.why);
}

/// Of a table the rows that are named are shown, and not how many it has.
#[test]
fn a_named_row_of_a_table_is_shown() {
    let page = |w: &mut World| {
        let of = |status| Http { status, ..Http::default() };
        let update = Update::Http(BTreeMap::from([
            ("front.page".to_owned(), of(200)),
            ("back".to_owned(), of(503)),
        ]));
        let (source, status, as_of) = (Source::Http, Status::Live, Some(Time(0)));
        w.apply(&Change { source, status, as_of, reach: None, update });
    };
    let text = r#""front.page" in http && http["front.page"].status == 404"#;
    let Judged { verdict, why, values, .. } = of(text, VoterVerdict::Healthy, page);
    assert_eq!((verdict, why.as_str()), (Verdict::Fail, r#"http["front.page"].status is 200"#));
    let shown: Vec<_> = values.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
    assert_eq!(shown, [(r#"http["front.page"].status"#, "200")]);
    assert!(values[0].at.is_some(), "its age is the source's");
    // What a macro binds is no table of the world.
    let rows = r#"[{"http": 1}].all(http, http["http"] == 2)"#;
    assert_eq!(of(rows, VoterVerdict::Healthy, page).values, []);
}

/// What must not be there and is, is told by name: an override is of these rows and no others.
#[test]
fn what_must_not_be_there_is_named() {
    let why = |text: &str| {
        let many = |w: &mut World| {
            for i in 3..25 {
                let (name, verdict) = (format!("vault-{i}"), VoterVerdict::Healthy);
                w.raft.voters.push(Voter { name, verdict, ..Voter::default() });
            }
        };
        of(text, VoterVerdict::Hung, many).why
    };
    let one = why("!raft.voters.exists(v, v.name == 'vault-2')");
    assert_eq!(one, "so for vault-2 (hung)");
    let most = why("!raft.voters.exists(v, v.name != 'vault-0')");
    assert!(most.starts_with("so for vault-1 (healthy), vault-2 (hung), "), "{most}");
    assert!(most.contains("vault-20 (healthy) and 4 more"), "{most}");
    let none = why("raft.voters.exists(v, v.name == 'none')");
    assert!(none.starts_with("of 25 in raft.voters none is so; nearest vault-0, "), "{none}");
}

/// Evidence that was to be kept: whatever names it, in whichever way, decides nothing.
#[test]
fn what_names_lost_evidence_is_neither_passed_nor_filled_in() {
    use Verdict::{Inconclusive, Pass};
    let world = World::default();
    let kept = BTreeMap::from([("kept".to_owned(), Value::from(1))]);
    let params = BTreeMap::from([("old".to_owned(), Value::from(2))]);
    let lost = BTreeMap::from([("old".to_owned(), "a/b was skipped".to_owned())]);
    let (none, words) = (BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        world: &world,
        now: Time(0),
        params: &params,
        site: &none,
        evidence: &kept,
        lost: &lost,
        kept: &BTreeMap::new(),
        choice: &words,
        item: None,
        remaining: &[],
        before: None,
        result: None,
    };
    for (text, wanted) in [
        ("!has(evidence.old)", Inconclusive),
        ("!has(evidence.old) || evidence.old == 1", Inconclusive),
        ("evidence.kept == 1 || evidence.old == 1", Inconclusive),
        ("evidence[\"old\"] == 1 || true", Inconclusive),
        ("size(evidence) == 1", Inconclusive),
        ("{\"k\": has(evidence.old)}[\"k\"] == false", Inconclusive),
        ("[1].all(n, n == 1 && !has(evidence.old))", Inconclusive),
        ("evidence.kept == 1 && !has(evidence.other)", Pass),
        ("evidence[\"kept\"] == 1", Pass),
        ("params.old == 2 && params[\"old\"] == 2", Pass),
        ("{\"old\": 1}[\"old\"] == 1", Pass),
    ] {
        let expr = Expr::new(text).unwrap();
        let judged = expr.judge(&scope);
        assert_eq!(judged.verdict, wanted, "{text}: {}", judged.why);
        assert_eq!(expr.eval(&scope).is_ok(), wanted == Pass, "{text}");
        if wanted == Inconclusive {
            assert_eq!(judged.why, "evidence.old is not known: a/b was skipped");
        }
    }
}

/// Rows of a namespace that nobody looked into are not known to be absent.
#[test]
fn a_namespace_that_was_not_looked_into_decides_nothing() {
    use crate::world::{Pod, Reach, Rows};
    use Verdict::{Inconclusive, Pass};
    let shown = Reach { shown: true, ..Reach::of(["vault".to_owned()]) };
    let gone = "!pods.exists(p, p.namespace == \"app\")";
    let gone_from_vault = "!pods.exists(p, p.namespace == \"vault\" && p.name == \"x\")";
    let elsewhere = "!pods.exists(p, p.namespace != \"vault\")";
    let of_nobody = "!claims.exists(c, c.namespace == \"app\" && size(c.pods) > 0)";
    for (text, reach, wanted) in [
        (gone, &shown, Inconclusive),
        (gone, &Reach::of(["app".to_owned()]), Pass),
        (gone, &Reach::every(), Pass),
        (gone_from_vault, &shown, Pass),
        (elsewhere, &shown, Inconclusive),
        (elsewhere, &Reach::every(), Pass),
        ("!pods.exists(p, p.name == \"x\")", &shown, Pass),
        ("!pods.exists(p, p.name == \"x\")", &Reach::of(["app".to_owned()]), Inconclusive),
        (of_nobody, &shown, Inconclusive),
        ("!claims.exists(c, c.namespace == \"app\")", &shown, Pass),
        // Its name is not known.
        ("!pods.exists(p, p.namespace == evidence.where)", &shown, Inconclusive),
    ] {
        let pod = Pod { namespace: "vault".into(), name: "a".into(), ..Pod::default() };
        let pods = Update::Pods(Rows::all(vec![pod]));
        let told = |source, update| Change {
            source,
            status: Status::Live,
            as_of: Some(Time(0)),
            reach: Some(reach.clone()),
            update,
        };
        let verdict = judged_on(text, VoterVerdict::Healthy, |w| {
            w.apply(&told(Source::Pods, pods.clone()));
            w.apply(&told(Source::Claims, Update::Claims(Rows::default())));
        });
        assert_eq!(verdict, wanted, "{text} {reach:?}");
    }
}
