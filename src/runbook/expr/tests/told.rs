//! What a judgement says: rows that break it, rows that decide it.

use super::*;

fn job(name: &str, last_success: Option<Time>) -> CronJob {
    let namespace = if name == "elsewhere" { "app" } else { "vault" };
    CronJob { name: name.into(), namespace: namespace.into(), last_success, ..CronJob::default() }
}

/// A live table of jobs, and ten pods.
fn with_jobs(w: &mut World, jobs: Vec<CronJob>) {
    let pods = (0..10).map(|i| Pod {
        namespace: "vault".into(),
        name: format!("pod-{i}"),
        status: "Running".into(),
        ..Pod::default()
    });
    let reach = Some(Reach { shown: true, ..Reach::of(["vault".to_owned()]) });
    for (source, update) in [
        (Source::Cronjobs, Update::Cronjobs(Rows::all(jobs))),
        (Source::Pods, Update::Pods(Rows::all(pods.collect()))),
    ] {
        let (status, as_of) = (Status::Live, Some(Time(0)));
        w.apply(&Change { source, status, as_of, reach: reach.clone(), update });
    }
}

/// Of an object that breaks an `all` what it breaks it by: a claim that is Bound may be the old one.
#[test]
fn an_object_that_is_not_so_is_told_with_what_it_lacks() {
    let claims = |w: &mut World| {
        let claim = |name: &str, class: &str, deleting| Claim {
            namespace: "vault".into(),
            name: name.into(),
            uid: format!("uid-{name}"),
            class: class.into(),
            phase: "Bound".into(),
            deleting,
            ..Claim::default()
        };
        let all = vec![claim("a", "old", false), claim("b", "new", true), claim("c", "new", false)];
        let (source, status, as_of) = (Source::Claims, Status::Live, Some(Time(0)));
        let (reach, update) = (Some(Reach::default()), Update::Claims(Rows::all(all)));
        w.apply(&Change { source, status, as_of, reach, update });
    };
    let text = "size(claims) > 0 && claims.all(c, c.class == \"new\" && !c.deleting && c.uid != \"uid-c\")";
    assert_eq!(
        of(text, VoterVerdict::Healthy, claims).why,
        "not so for a (Bound, class old), b (Bound, deleting true), c (Bound, uid uid-c)"
    );
}

/// What a person must know of an `exists` that is not so: the row that is nearest to it, with
/// what it has where it lacks, and of values only those that this is compared with.
#[test]
fn a_row_that_is_not_so_is_told_with_what_it_has() {
    let params = BTreeMap::from([
        ("job".to_owned(), serde_json::json!("backup")),
        ("age".to_owned(), serde_json::json!("24h")),
    ]);
    let text = "cronjobs.exists(j, j.namespace == \"vault\" && j.name == params.job && !j.suspended && \
                j.last_success != null && now - j.last_success < duration(params.age))";
    let why = |text: &str, jobs: &[CronJob]| {
        let healthy = VoterVerdict::Healthy;
        let judged = judgement(text, healthy, &params, |w| with_jobs(w, jobs.to_vec()));
        assert_eq!(judged.verdict, Verdict::Fail, "{text}: {}", judged.why);
        judged.why
    };
    let old = Some(Time(-3 * 86_400_000));
    let others = [job("another", Some(Time(0))), job("elsewhere", None)];
    let with = |backup| [&others[..], &[backup]].concat();
    assert_eq!(
        why(text, &with(job("backup", old))),
        "of 3 in cronjobs none is so; nearest backup (last_success 1969-12-29T00:00:00.000Z, 3d ago); \
         now is 1970-01-01T00:00:00.000Z, params.age is 24h"
    );
    let never = why(text, &with(job("backup", None)));
    assert!(never.contains("nearest backup (last_success null)"), "{never}");
    let suspended = CronJob { suspended: true, ..job("backup", Some(Time(0))) };
    let suspended = why(text, &with(suspended));
    assert!(suspended.ends_with("nearest backup (suspended true)"), "{suspended}");
    // None of that name: those that have all the rest, and the name that was looked for.
    let absent = why(text, &others);
    assert_eq!(absent, "of 2 in cronjobs none is so; nearest another; params.job is backup");
    let empty = why(text, &[]);
    assert!(
        empty.starts_with("cronjobs is empty; ") && empty.contains("params.age is 24h"),
        "{empty}"
    );
    // Three rows and no more; a row that should not be there.
    let many = why("pods.exists(p, p.namespace == \"vault\" && p.status == \"Done\")", &others);
    assert_eq!(many.matches("(status Running)").count(), 3, "{many}");
    let there = why("!pods.exists(p, p.status == \"Running\")", &others);
    assert!(there.starts_with("so for pod-0 (Running), pod-1 (Running), "), "{there}");
}

/// What passes says on which rows: their names, and what was asked of them.
#[test]
fn what_passes_is_told_by_the_rows_that_decide() {
    let world = |w: &mut World| with_jobs(w, vec![job("backup", Some(Time(0)))]);
    for (text, told) in [
        (
            "size(raft.others(\"vault-0\")) > 0 && raft.others(\"vault-0\").all(v, v.healthy && !v.sealed)",
            "raft.others(\"vault-0\"): vault-1 (healthy, not sealed), vault-2 (healthy, not sealed)",
        ),
        (
            "cronjobs.exists(j, j.namespace == \"vault\" && j.name == params.job && !j.suspended)",
            "cronjobs: backup (not suspended); params.job: backup",
        ),
        ("!pods.exists(p, p.status == \"Done\")", "pods: no exception among 10"),
        ("size(pods.filter(p, p.status == \"Running\")) > 0", "pods: 10 of them"),
        (
            "size(pods.filter(p, p.namespace == \"vault\" && p.name == \"pod-1\")) > 0 && \
             pods.filter(p, p.namespace == \"vault\" && p.name == \"pod-1\").all(p, cronjobs.exists(j, j.namespace == \"vault\" && j.last_success != null))",
            "pods: pod-1 (backup (last_success 1970-01-01T00:00:00.000Z, 0s ago))",
        ),
    ] {
        let params = BTreeMap::from([("job".to_owned(), serde_json::json!("backup"))]);
        let judged = judgement(text, VoterVerdict::Healthy, &params, world);
        assert_eq!(judged.verdict, Verdict::Pass, "{text}: {}", judged.why);
        let shown = judged.values.iter().map(|v| format!("{}: {}", v.name, v.value));
        assert_eq!(shown.collect::<Vec<_>>().join("; "), told, "{text}");
    }
}

/// Of two jobs and ten pods: the rows for which all of it is so, each once and with what was asked of
/// it once, in the order in which they are asked for.
#[test]
fn only_rows_that_decide_are_told() {
    let jobs = [job("backup", Some(Time(0))), job("another", Some(Time(0)))];
    let pod = "size(pods.filter(p, p.name == \"pod-1\"))";
    let backup = "cronjobs.exists(j, j.name == \"backup\" && !j.suspended)";
    for (text, told) in [
        (backup.to_owned(), "cronjobs: backup (not suspended)"),
        (format!("{pod} > 0 && {backup}"), "pods: pod-1; cronjobs: backup (not suspended)"),
        (
            format!("{pod} > 0 && {backup} && {pod} < 5"),
            "pods: pod-1; cronjobs: backup (not suspended)",
        ),
        (
            "pods.exists(p, p.name < \"pod-6\")".into(),
            "pods: pod-0, pod-1, pod-2, pod-3, pod-4, pod-5",
        ),
        ("pods.exists(p, p.name < \"pod-7\")".into(), "pods: 7 of them"),
        (
            "cronjobs.exists(j, j.name == \"backup\" && j.last_success != null && \
             now - j.last_success < duration(\"24h\"))"
                .into(),
            "cronjobs: backup (last_success 1970-01-01T00:00:00.000Z, 0s ago); now: 1970-01-01T00:00:00.000Z",
        ),
        // Not each of them is so, and none is: there is no row to be told.
        ("!pods.all(p, p.status == \"Done\")".into(), "pods: 10 items"),
        ("size(pods.filter(p, p.status == \"Done\")) == 0".into(), "pods: 10 items"),
        // What holds for each row of another table has no row that answers.
        (
            "pods.exists(p, p.name == \"pod-1\" && cronjobs.all(j, j.name != p.name))".into(),
            "pods: pod-1",
        ),
    ] {
        let none = BTreeMap::new();
        let judged =
            judgement(&text, VoterVerdict::Healthy, &none, |w| with_jobs(w, jobs.to_vec()));
        assert_eq!(judged.verdict, Verdict::Pass, "{text}: {}", judged.why);
        let shown = judged.values.iter().map(|v| format!("{}: {}", v.name, v.value));
        assert_eq!(shown.collect::<Vec<_>>().join("; "), told, "{text}");
    }
}

/// Where a list's size is asked for, the list is not told.
#[test]
fn a_size_is_told_as_a_size() {
    for (text, why, values) in [
        ("size(raft.voters) > 3", "size(raft.voters) is 3", "size(raft.voters) 3"),
        (
            "raft.configured == raft.voters.size()",
            "raft.configured is 0, raft.voters.size() is 3",
            "raft.configured 0, size(raft.voters) 3",
        ),
        ("size(pods) > 10", "size(pods) is 10", "size(pods) 10"),
        (
            "size(pods.filter(p, size(p.claims) > 0)) > 0",
            "size(pods.filter(p, size(p.claims) > 0)) is 0",
            "pods 10 items",
        ),
        (
            "size(raft.voters) > 5 && raft.voters.all(v, v.healthy)",
            "size(raft.voters) is 3",
            "raft.voters vault-0 (healthy), vault-1 (healthy), vault-2 (healthy)",
        ),
    ] {
        let none = BTreeMap::new();
        let judged = judgement(text, VoterVerdict::Healthy, &none, |w| with_jobs(w, Vec::new()));
        let shown: Vec<_> =
            judged.values.iter().map(|v| format!("{} {}", v.name, v.value)).collect();
        assert_eq!((judged.why.as_str(), shown.join(", ").as_str()), (why, values), "{text}");
        assert!(judged.values.iter().all(|v| v.at.is_some()), "{text}");
    }
}
