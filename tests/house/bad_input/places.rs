//! The place that a problem names: its line and column, and the words that are marked there.

use super::GOOD;
use holdpoint::problem::Problem;
use holdpoint::runbook::load;
use holdpoint::site;

/// Line and column of where a problem begins, as editors count, and what it marks.
fn place<'a>(text: &'a str, problem: &Problem) -> (usize, usize, &'a str) {
    let before = &text[..problem.span.start];
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (before.matches('\n').count() + 1, column, &text[problem.span.clone()])
}

/// Where a text stands last.
fn last(text: &str, words: &str) -> (usize, usize) {
    let at = text.rfind(words).unwrap_or_else(|| panic!("no {words}"));
    let (line, column, _) = place(text, &Problem::error(at..at, "", ""));
    (line, column)
}

const STEP: &str =
    "[[phase.step]]\nid = \"t\"\ntitle = \"T\"\nverify.that = 'raft.leader_answers'\n";

fn gate(id: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!("id = \"{id}\"\n") };
    format!("[[phase.step.gate]]\n{id}that = 'raft.unsealed > 0'\nsays = \"s\"\n")
}

/// What is looked at when the run is over is read as gates are.
#[test]
fn a_check_of_a_follow_up_is_linted() {
    let due = "[[followup]]\nid = \"f\"\ntitle = \"F\"\ndue = \"24h\"\nowner = \"o\"\n";
    for (check, why) in [
        ("volumes.exists(v, v.nmae == \"x\")", "nmae"),
        ("size(volumes)", "not true or false"),
        ("evidence.nobody > 0", "nobody"),
        ("raft.elections == 0", "raft.elections is counted"),
        ("raft.rate < 5.0", "raft.rate is counted"),
        ("volumes.all(v, v.policy == \"Retain\")", "empty"),
    ] {
        let text = format!("{GOOD}{due}check = '{check}'\n");
        let problems = load(&text).err().unwrap_or_else(|| panic!("accepted: {check}"));
        let [problem] = problems.as_slice() else { panic!("{check}: {problems:?}") };
        assert!(problem.message.contains(why) && !problem.remedy.is_empty(), "{problem:?}");
        let (_, _, words) = place(&text, problem);
        assert!(check.contains(words.trim_matches('\'')), "{words}");
    }
}

/// Whatever has an id has one of its own, given or by its place; the second one is marked.
#[test]
fn two_of_one_id_are_refused_at_the_second() {
    let phase = format!("[[phase]]\nid = \"a\"\ntitle = \"B\"\n{STEP}");
    let guard = "[[guard]]\nid = \"g\"\nthat = 'raft.leader_answers'\nsays = \"s\"\nfor = \"5s\"\n";
    let way = |id: &str| {
        format!("[[backout]]\nid = \"{id}\"\ntitle = \"B\"\n{}", STEP.replace("phase", "backout"))
    };
    let due = "[[followup]]\nid = \"f\"\ntitle = \"F\"\ndue = \"24h\"\nowner = \"o\"\n";
    let watch = "[[phase.step]]\nid = \"w\"\ntitle = \"W\"\n[phase.step.soak]\nfor = \"1h\"\n";
    let watched = |id: &str| gate(id).replace("step.gate", "step.soak.watch");
    let cases = [
        ("phase", "\"a\"", phase.clone()),
        ("step", "\"t\"", [STEP, STEP].concat()),
        ("guard", "\"g\"", guard.to_owned()),
        ("back-out", "\"b\"", [way("b"), way("b")].concat()),
        ("step", "\"t\"", way("b") + &STEP.replace("phase", "backout")),
        ("follow-up", "\"f\"", [due, due].concat()),
        ("gate", "\"h\"", [STEP, &gate("h"), &gate("h")].concat()),
        // Those without one are called by their places.
        ("gate", "\"gate-1\"", [STEP, &gate(""), &gate("gate-1")].concat()),
        ("gate", "'raft.unsealed > 0'", [STEP, &gate("gate-2"), &gate("")].concat()),
        ("gate", "'raft.unsealed > 0'", [watch, &watched("gate-2"), &watched("")].concat()),
    ];
    for (what, marked, more) in cases {
        let text = format!("{GOOD}{more}");
        let problems = load(&text).err().unwrap_or_else(|| panic!("accepted: {more}"));
        let [problem] = problems.as_slice() else { panic!("{more}: {problems:?}") };
        assert!(problem.message.starts_with(&format!("there are two {what}s `")), "{problem:?}");
        assert_eq!(problem.remedy, "give each an id of its own");
        let (line, column, words) = place(&text, problem);
        assert_eq!(((line, column), words), (last(&text, marked), marked), "{more}");
    }
    // Steps of two phases, gates of two steps, and a place that nobody else is called by.
    let free = phase.replace("\"a\"", "\"b\"").replace("\"t\"", "\"s\"");
    let free = [GOOD, &free, &gate("gate-2"), STEP, &gate("gate-3"), &gate("")].concat();
    assert!(load(&free).is_ok(), "{:?}", load(&free).err());
}

/// A gate that Holdpoint adds is nobody else's: who overrides one would override both.
#[test]
fn the_gates_that_holdpoint_adds_are_no_gates_names() {
    for name in ["second-person", "window", "lease", "poll", "scheduled"] {
        let text = [GOOD, STEP, &gate(name)].concat();
        let problems = load(&text).err().unwrap();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.message.contains("that Holdpoint adds by itself"), "{problem:?}");
        assert_eq!(place(&text, problem).2, "'raft.unsealed > 0'");
    }
}

/// Of a window in which nothing is left beside what is kept for going back nothing could be done.
#[test]
fn a_window_must_be_longer_than_its_reserve() {
    for (length, fits) in [("2h", true), ("45m", false), ("0s", false)] {
        let window = format!("[window]\nlength = \"{length}\"\nbackout_reserve = \"45m\"\n");
        let text = [GOOD, STEP, &window].concat();
        let found = load(&text).err().map(|p| p[0].message.clone());
        assert_eq!(found.is_none(), fits, "{length}: {found:?}");
    }
}

/// Servers and tools count in seconds: what they would take for none is refused where it stands.
#[test]
fn durations_of_actions_are_whole_seconds() {
    let wait = "do.kube.wait = { pod = \"p\", until = \"ready\", within = WHAT }";
    let run = "do.shell.run = { argv = [\"true\"], timeout = WHAT }\nprobe = 'raft.leader_answers'";
    let pod = "do.kube.delete_pod = { name = \"vault-0\", grace = WHAT }";
    for (action, what, said) in [
        (pod, "\"500ms\"", "`grace`: 500ms is not in whole seconds"),
        (pod, "\"1m500ms\"", "is not in whole seconds"),
        (pod, "\"soon\"", "is no unit of time"),
        (pod, "30", "`grace` is not of the right kind"),
        (wait, "\"900ms\"", "`within`: 900ms is not in whole seconds"),
        (wait, "\"0s\"", "`within`: 0s is less than 1 s"),
        (run, "\"0s\"", "`timeout`: 0s is less than 1 s"),
        (run, "\"1500ms\"", "is not in whole seconds"),
    ] {
        let doing = action.replace("WHAT", what);
        let text = GOOD.replacen("do.kube.delete_pod = { name = \"vault-0\" }", &doing, 1);
        let problems = load(&text).err().unwrap_or_else(|| panic!("accepted: {doing}"));
        let problem = problems.iter().find(|p| p.message.contains(said));
        let problem = problem.unwrap_or_else(|| panic!("{doing}: {problems:?}"));
        assert!(problem.remedy.contains("\"30s\""), "{problem:?}");
        assert_eq!(place(&text, problem).2, what);
    }
    for what in ["\"0s\"", "\"1m\"", "\"{{ params.p }}\""] {
        let doing = pod.replace("WHAT", what);
        let text = GOOD.replacen("do.kube.delete_pod = { name = \"vault-0\" }", &doing, 1);
        assert!(load(&text).is_ok(), "{what}: {:?}", load(&text).err());
    }
}

#[test]
fn broken_site_files_say_where_and_what_to_do() {
    let good = "format = 1\nname = \"e\"\n[kubernetes]\ncontext = \"e\"\n[vault]\n[[vault.voter]]\nname = \"a\"\naddress = \"http://127.0.0.1:1\"\n";
    assert!(site::parse(good).is_ok());
    for (from, to, wanted, (line, column), marked) in [
        ("format = 1", "format = 9", "format = 1", (1, 10), "9"),
        ("name = \"e\"", "nam = \"e\"", "unknown field", (2, 1), "nam"),
        ("context = \"e\"\n", "", "missing field", (3, 1), "[kubernetes]"),
        ("http://", "", "https://host:port", (8, 11), "\"127.0.0.1:1\""),
        (":1\"", ":99999\"", "https://host:port", (8, 11), "\"http://127.0.0.1:99999\""),
        ("http://", "http://me:s3cret@", "holds no secrets", (6, 1), "[[vault.voter]]"),
        ("address = \"http://127.0.0.1:1\"\n", "", "port_forward", (6, 1), "[[vault.voter]]"),
        ("[vault]\n", "[vault]\ntoken = \"hvs.x\"\n", "token_file", (6, 1), "token"),
        ("name = \"a\"", "name = 3", "invalid type", (7, 8), "3"),
    ] {
        let text = good.replacen(from, to, 1);
        let problems = site::parse(&text).err().unwrap_or_else(|| panic!("{to} is accepted"));
        let [problem] = problems.as_slice() else { panic!("{to}: {problems:?}") };
        let said = format!("{problem:?}");
        assert!(said.contains(wanted) && !problem.remedy.is_empty(), "{to}: {said}");
        assert_eq!(place(&text, problem), (line, column, marked), "{to}");
        let shown = holdpoint::problem::render("site.toml", &text, &problems);
        assert!(shown.contains(&format!("site.toml:{line}:{column}]")), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
