//! Broken files: each gives a place and a remedy, and nothing panics.

mod places;

use holdpoint::runbook::load;
use std::process::{Command, Stdio};

const GOOD: &str = r#"format = 1
id = "x"
title = "t"
owner = "o"
needs = ["vault"]
[params.p]
type = "duration"
default = "24h"
[[guard]]
id = "g"
that = 'raft.leader_answers'
says = "s"
for = "5s"
[[phase]]
id = "a"
title = "A"
[[phase.step]]
id = "s"
title = "T {{ params.p }}"
risk = "destructive"
do.kube.delete_pod = { name = "vault-0" }
undo.none = "none"
[[phase.step.gate]]
that = 'size(raft.voters) > 0 && raft.voters.all(v, v.healthy)'
says = "healthy"
[phase.step.verify]
that = '!pods.exists(p, p.uid == before[0].uid)'
settle = "2 in 2s"
"#;

#[test]
fn shipped_runbooks_have_no_problem() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
    let mut n = 0;
    for file in std::fs::read_dir(dir).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let loaded = load(&text).unwrap_or_else(|p| panic!("{p:?}"));
        assert!(loaded.warnings.is_empty());
        n += 1;
    }
    assert!(n > 0);
    assert!(load(GOOD).is_ok(), "{:?}", load(GOOD).err());
}

/// What is changed in the good runbook, and a word that the message or remedy must have.
/// What of [`GOOD`] becomes what, and a part of what is said.
fn cases() -> Vec<(&'static str, String, &'static str)> {
    let long = format!("that = '{}true'", "true && ".repeat(600));
    let deep = format!("that = '{}true{}'", "(".repeat(80), ")".repeat(80));
    let cases: [(&str, &str, &str); _] = [
        ("format = 1", "format = 2", "format 2 is not known"),
        ("format = 1\n", "", "`format` is missing"),
        ("id = \"x\"", "id = \"X y\"", "cannot be the id"),
        ("owner = \"o\"", "ownr = \"o\"", "did you mean `owner`"),
        ("owner = \"o\"\n", "", "`owner` is missing"),
        ("needs = [\"vault\"]", "needs = [\"consul\"]", "kubernetes and vault"),
        ("type = \"duration\"", "type = \"days\"", "unknown variant"),
        ("default = \"24h\"", "default = \"7d\"", "no unit of time"),
        ("for = \"5s\"", "for = \"5\"", "has no unit"),
        (
            "that = 'raft.leader_answers'",
            "that = 'raft.leader_anwers'",
            "did you mean `leader_answers`",
        ),
        ("that = 'raft.leader_answers'", "that = 'raft.leader'", "not true or false"),
        ("that = 'raft.leader_answers'", "that = 'rift.leader_answers'", "did you mean `raft`"),
        ("that = 'raft.leader_answers'", "that = 'raft.leader_answers &&'", "CEL expression"),
        (
            "that = 'raft.leader_answers'",
            "that = 'raft.unsealed >= \"2\"'",
            "are a int and a string",
        ),
        (
            "that = 'raft.leader_answers'",
            "that = 'raft.leader_answers || claims.exists(c, c.clas == \"x\")'",
            "did you mean `class`",
        ),
        (
            "that = 'raft.leader_answers'",
            "that = 'classes.exists(c, c.consumers.bond > 0)'",
            "did you mean `bound`",
        ),
        ("that = 'raft.leader_answers'", &long, "bytes; 4000 is the most"),
        ("that = 'raft.leader_answers'", &deep, "nested deeper"),
        ("that = 'raft.leader_answers'", "that = 'frobnicate(raft)'", "no function"),
        ("size(raft.voters) > 0 && ", "", "true when the list is empty"),
        ("size(raft.voters) > 0", "size(raft.voters) >= 0", "write size(raft.voters) > 0 && …"),
        (" 0 && raft.voters", " 0 || raft.voters", "write size(raft.voters) > 0 && …"),
        (
            "&& raft.voters.all(",
            "&& !raft.voters.exists(w, w.sealed) && raft.others(\"a\").all(",
            "write size(raft.others(\"a\")) > 0 && …",
        ),
        (
            "that = 'raft.leader_answers'",
            "that = '!raft.voters.all(v, v.sealed)'",
            "write raft.voters.exists(…)",
        ),
        (
            "title = \"T {{ params.p }}\"",
            "title = \"T {{ raft.voters.all(v, v.healthy) }}\"",
            "write size(raft.voters) > 0 && …",
        ),
        ("v.healthy)", "v.health.ok.deep)", "which has no fields"),
        ("id = \"s\"\n", "id = \"a/b\"\n", "cannot be the id"),
        ("do.kube.delete_pod", "do.kube.delete_pood", "did you mean `kube.delete_pod`"),
        ("{ name = \"vault-0\" }", "{ nam = \"vault-0\" }", "did you mean `name`"),
        ("{ name = \"vault-0\" }", "{ name = 3 }", "not of the right kind"),
        ("{ name = \"vault-0\" }", "{ name = \"{{ params.q }}\" }", "no field `q`"),
        ("{ name = \"vault-0\" }", "{ name = \"{{ params.p\" }", "has no }}"),
        ("undo.none = \"none\"\n", "", "without a undo"),
        ("risk = \"destructive\"\n", "", "risk says reversible"),
        ("risk = \"destructive\"", "risk = \"bad\"", "unknown variant"),
        (
            "risk = \"destructive\"",
            "risk = \"destructive\"\non_breach = \"stop\"",
            "kube.delete_pod is no action that can be ended in the middle",
        ),
        (
            "settle = \"2 in 2s\"",
            "settle = \"2 in 2s\"\n[[backout]]\nid = \"b\"\ntitle = \"B\"\n[[backout.step]]\n\
             id = \"w\"\ntitle = \"W\"\non_breach = \"stop\"\n\
             do.kube.wait = { pod = \"p\", until = \"ready\", within = \"5s\" }",
            "asks for an end that never comes",
        ),
        ("before[0].uid", "before[0].uuid", "did you mean `uid`"),
        ("settle = \"2 in 2s\"", "settle = \"twice\"", "3 in 90s"),
        ("settle = \"2 in 2s\"", "settle = \"2 in 10m\"", "cannot settle"),
        ("title = \"A\"", "title = ", "correct the TOML"),
        (
            "title = \"T {{ params.p }}\"",
            "title = \"token hvs.CAESIJabcdefghijklmnopqrstuv\"",
            "plain text",
        ),
        ("title = \"A\"", "title = \"A\\u001b[2J\"", "control characters"),
        ("says = \"healthy\"", "says = \"heal\\u202ethy\"", "control characters"),
        ("[[phase]]", "[phase]", "no list of tables"),
    ];
    cases.map(|(from, to, said)| (from, to.to_owned(), said)).to_vec()
}

#[test]
fn a_probe_that_nobody_asks_is_warned_of() {
    let probed = |step: &str| {
        let text = format!(
            "{GOOD}[[phase.step]]\nid = \"p\"\ntitle = \"P\"\nprobe = 'raft.leader_answers'\n{step}\n"
        );
        let warnings = load(&text).unwrap_or_else(|p| panic!("{p:?}")).warnings;
        warnings.iter().map(|w| w.message.clone()).collect::<Vec<_>>().join("; ")
    };
    assert!(probed("verify.that = 'raft.leader_answers'").contains("a probe that nobody asks"));
    assert_eq!(probed("manual.instruction = 'Do it.'"), "");
    assert_eq!(probed("do.shell.run = { argv = [\"true\"], timeout = \"5s\" }"), "");
}

#[test]
fn broken_runbooks_say_where_and_what_to_do() {
    let cases = cases();
    let mut seen = 0;
    for (from, to, wanted) in &cases {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let problems = load(&text).err().unwrap_or_else(|| panic!("`{to}` is accepted"));
        let said: Vec<String> =
            problems.iter().map(|p| format!("{} {}", p.message, p.remedy)).collect();
        assert!(said.iter().any(|s| s.contains(wanted)), "`{to}` says {said:?}, not {wanted}");
        for p in &problems {
            assert!(!p.remedy.is_empty() && !p.message.is_empty());
            assert!(p.span.end <= text.len().max(1), "{:?}", p.span);
        }
        let shown = holdpoint::problem::render("x.toml", &text, &problems);
        assert!(shown.contains("x.toml"));
        seen += 1;
    }
    assert!(seen >= 30);
}

#[test]
fn several_mistakes_are_found_at_once() {
    let text = GOOD
        .replacen("that = 'raft.leader_answers'", "that = 'raft.nope'", 1)
        .replacen("v.healthy)", "v.helthy)", 1)
        .replacen("owner", "ownr", 1);
    let problems = load(&text).err().unwrap();
    assert!(problems.len() >= 4, "{problems:?}");
}

#[test]
fn what_is_no_runbook_at_all_is_said() {
    let huge = "#".repeat(10 << 20);
    for text in ["", "\u{0}\u{1}\u{2}", "format = ", "[[[", "{}", &huge] {
        assert!(load(text).is_err());
    }
}

/// The program itself: exit 2, a place and a remedy for each file, no panic.
#[test]
fn the_program_refuses_each_with_a_place_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let broken: Vec<String> = cases()
        .iter()
        .enumerate()
        .map(|(i, (from, to, _))| {
            write(&format!("case-{i}.toml"), GOOD.replacen(from, to, 1).as_bytes())
        })
        .collect();
    assert!(broken.len() >= 30);
    for file in &broken {
        let (code, said) = check(file);
        assert_eq!(code, Some(2), "{said}");
        let at = said.find(&format!("{file}:")).unwrap_or_else(|| panic!("{file}: {said}"));
        assert!(said[at + file.len() + 1..].starts_with(|c: char| c.is_ascii_digit()), "{said}");
        assert!(said.contains("help: ") && !said.contains("panicked"), "{said}");
    }
    for file in [
        write("binary.toml", &[0x7f, b'E', b'L', b'F', 0, 0xff, 0xfe, 0]),
        write("zeroes.toml", &[0; 64]),
        write("large.toml", &vec![b'#'; 10 << 20]),
        write("empty.toml", b""),
        dir.path().join("absent.toml").display().to_string(),
        dir.path().display().to_string(),
    ] {
        let (code, said) = check(&file);
        assert_eq!(code, Some(2), "{file}: {said}");
        assert!(said.contains(&file) && !said.contains("panicked"), "{said}");
        let remedies = ["help: ", "check the path", "name a file", "is this the right file?"];
        assert!(remedies.iter().any(|r| said.contains(r)), "{file}: {said}");
        for (what, place) in [("binary", ":1:6: byte 5 is 0xff"), ("large", ":1:1048577: has more")]
        {
            assert!(!file.contains(what) || said.contains(&format!("{file}{place}")), "{said}");
        }
    }
}

/// A pipe that nobody writes into, below a directory.
fn pipe(dir: &std::path::Path) -> String {
    let path = dir.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path.display().to_string()
}

/// The program with these arguments; ended, if it does not end by itself.
fn ended(args: &[&str], home: &std::path::Path) -> (Option<i32>, String) {
    let out = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_holdpoint")])
        .args(args)
        .env("HOME", home)
        .env_remove("KUBECONFIG")
        .env_remove("VAULT_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    (out.status.code(), said.into_owned())
}

/// What has no end, or waits for one that writes, is no file to read.
#[test]
fn devices_and_pipes_are_refused_by_whoever_reads_files() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let fifo = pipe(dir.path());
    std::fs::write(place("good.toml"), GOOD).unwrap();
    std::fs::write(place("site.toml"), "format = 1\nname = \"e\"\n").unwrap();
    for path in ["/dev/zero", &fifo] {
        for args in [
            vec!["verify", path],
            vec!["check", path],
            vec!["plan", path],
            vec!["doctor", "--site", path],
            vec!["rehearse", path],
            vec!["rehearse", &place("good.toml"), "--answers", path],
            vec!["rehearse", &place("good.toml"), "--from", path],
            vec!["run", path, "--site", &place("site.toml")],
        ] {
            let (code, said) = ended(&args, dir.path());
            assert_eq!(code, Some(2), "{args:?}: {said}");
            let refused = said.contains("is no regular file") || said.contains("is no file");
            assert!(said.contains(path) && refused && said.contains("name"), "{args:?}: {said}");
        }
    }
}

/// A kubeconfig or token file that blocks is named, and holds nothing up.
#[test]
fn credentials_that_block_are_named_and_waited_for_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let fifo = pipe(dir.path());
    std::fs::write(place("good.toml"), GOOD).unwrap();
    let site = format!(
        "format = 1\nname = \"e\"\n[kubernetes]\ncontext = \"e\"\nkubeconfig = {fifo:?}\n\
         [vault]\ntoken_file = {fifo:?}\n[[vault.voter]]\nname = \"a\"\n\
         address = \"http://127.0.0.1:1\"\n"
    );
    std::fs::write(place("site.toml"), site).unwrap();
    let (site, runs) = (place("site.toml"), place("runs"));
    let wanted = format!("{fifo}: could not be read in 5 s");
    let (code, said) = ended(&["doctor", "--site", &site, "--state", &runs], dir.path());
    assert_eq!(code, Some(1), "{said}");
    for what in ["claims: unreachable: ", "vault token: "] {
        let lines = said.lines().filter(|l| l.contains(what) && l.contains(&wanted));
        assert_eq!(lines.count(), 1, "{what}: {said}");
    }
    let args = ["run", &place("good.toml"), "--ui", "plain", "--site", &site, "--state", &runs];
    let (code, said) = ended(&args, dir.path());
    assert_eq!(code, Some(1), "it began, and ended with its input: {said}");
    assert_eq!(said.matches(&format!("not let in: {wanted}")).count(), 2, "{said}");
    assert!(std::path::Path::new(&runs).exists());
}

#[test]
fn a_broken_site_file_ends_a_run_before_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    let runbook = dir.path().join("good.toml");
    std::fs::write(&runbook, GOOD).unwrap();
    let site = dir.path().join("site.toml");
    for text in ["format = 1\nnam = \"e\"\n", "format = 9\n", "\u{0}\u{1}", "name = "] {
        std::fs::write(&site, text).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(["run", &runbook.display().to_string(), "--ui", "plain", "--site"])
            .arg(&site)
            .arg("--state")
            .arg(dir.path().join("runs"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{text:?}: {said}");
        assert!(said.contains("site.toml:") && said.contains("help: "), "{said}");
    }
    assert!(!dir.path().join("runs").exists(), "nothing was begun");
}

/// Writing that the site allows is still not unattended writing.
#[test]
fn answers_write_only_where_the_site_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(place("good.toml"), GOOD).unwrap();
    std::fs::write(place("answers.toml"), "[release]\n'a/s' = 'vault-0'\n").unwrap();
    let vault = "[[vault.voter]]\nname = \"vault-0\"\naddress = \"http://127.0.0.1:1\"\n";
    let site = format!("format = 1\nname = \"e\"\n[write]\nallow = true\n{vault}");
    std::fs::write(place("site.toml"), site).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["run", &place("good.toml"), "--ui", "plain", "--site", &place("site.toml")])
        .args(["--answers", &place("answers.toml"), "--state", &place("runs")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("unattended = true"), "{said}");
    assert!(!dir.path().join("runs").exists());
}

fn check(file: &str) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_holdpoint")).args(["check", file]).output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// A site without what the change is about is refused before anything is asked.
#[test]
fn what_a_runbook_needs_the_site_must_have() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(place("good.toml"), GOOD).unwrap();
    std::fs::write(place("site.toml"), "format = 1\nname = \"e\"\n").unwrap();
    for verb in ["run", "doctor"] {
        let out = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args([verb, &place("good.toml"), "--site", &place("site.toml")])
            .args(["--state", &place("runs")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr) + String::from_utf8_lossy(&out.stdout);
        assert_ne!(out.status.code(), Some(0), "{said}");
        assert!(said.contains("the runbook needs vault; add [vault]"), "{said}");
    }
    assert!(!dir.path().join("runs").exists());
}
