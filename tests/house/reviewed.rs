//! A review line by line says what the cockpit's says.

use crate::lease::Plain;
use crate::pty::HOLDPOINT;
use std::path::Path;
use std::process::{Command, Stdio};

const BOOK: &str = r#"format = 1
id = "told"
title = "It is told"
owner = "tests"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "print"
title = "Print"
why = "Somebody at {{ site.place }} has to know."
hold = "release"
estimate = "2m"
undo.none = "what was said is said"
probe = 'false'
do.shell.run = { argv = ["true"], timeout = "1m" }
[[phase.step.gate]]
id = "place"
that = 'site.place == "here" && [{"name": "a", "ready": true}].all(x, x.ready)'
says = "it is here"
"#;

#[test]
fn a_review_line_by_line_says_risk_why_undo_and_on_what_its_gates_were_judged() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put(
        "site.toml",
        "format = 1\nname = \"here\"\n[write]\nallow = true\nunattended = true\n[values]\nplace = \"here\"\n",
    );
    put("site.pins.toml", "");
    put("book.toml", BOOK);
    put("answers.toml", "[release]\n'only/print' = ''\n");
    let run = |more: &[&str]| {
        let begin = ["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--state", "runs"];
        let out = Command::new(HOLDPOINT)
            .args([&begin[..], more].concat())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
    };
    let (code, told) = run(&["--answers", "answers.toml"]);
    assert_eq!(code, Some(0), "{told}");
    let review = told.find("  review of only/print on site here: reversible\n").expect(&told);
    let at = |part: &str| {
        let at = told[review..].find(part);
        at.unwrap_or_else(|| panic!("{part}\n{told}"))
    };
    let parts = [
        "    why: Somebody at here has to know.\n",
        "  will run true",
        "    $ timeout ",
        "    undo: none: what was said is said\n",
        "    it takes about 2m\n",
        "  gate place pass: it is here (",
        "  to release it: release\n",
    ];
    assert!(parts.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{told}");
    assert_eq!(told.matches("(ready)").count(), 1, "once, in the review: {told}");
    let gate = told[review + at(parts[5])..].lines().next().unwrap();
    assert!(gate.contains("a (ready)") && gate.contains("site.place here"), "{gate}");
    // What no step asks for is found before anything begins.
    put("answers.toml", "[release]\n'only/pront' = 'yes'\n");
    let (code, told) = run(&["--answers", "answers.toml"]);
    assert!(code == Some(2) && told.contains("there is no step only/pront"), "{told}");
    assert_eq!(std::fs::read_dir(dir.path().join("runs")).unwrap().count(), 1);
}

/// A run of the book, line by line, with its step in review.
fn reviewed(dir: &Path, book: &str, more: &[&str]) -> Plain {
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    let site = "format = 1\nname = \"here\"\n[values]\nplace = \"here\"\n";
    put("site.toml", site);
    put("site.pins.toml", "");
    put("book.toml", book);
    let begin = ["run", "book.toml", "--site", "site.toml", "--ui", "plain", "--state", "runs"];
    let mut plain =
        Plain::start(Command::new(HOLDPOINT).args([&begin[..], more].concat()).current_dir(dir));
    plain.until("only/print#1 ");
    plain.say("review");
    plain
}

/// What can be refused is not asked for: a read-only run says how it goes on elsewhere.
#[test]
fn a_read_only_run_says_so_and_what_is_done_instead_of_a_release() {
    let dir = tempfile::tempdir().unwrap();
    let mut plain = reviewed(dir.path(), BOOK, &[]);
    let way = plain.until("  this run is read-only: ");
    assert!(way.contains("show gives the command") && way.contains("then claim"), "{way}");
    plain.say("release");
    let refused = plain.until("REFUSED: ");
    assert!(refused.contains("see its command (c, or show)"), "{refused}");
    plain.say("show");
    plain.until("only/print#1 shown");
    let told = plain.told.join("\n");
    assert!(told.contains("\nREAD-ONLY: ") && !told.contains("to release it"), "{told}");
    plain.left();
}

/// A gate that lacks is named, with how it is overridden; then the release is told.
#[test]
fn what_lacks_a_gate_is_offered_for_release_once_that_is_overridden() {
    let book = BOOK.replace("site.place == \"here\"", "site.place == \"there\"");
    for mode in [&["--write"][..], &[]] {
        let dir = tempfile::tempdir().unwrap();
        let mut plain = reviewed(dir.path(), &book, mode);
        let gate = plain.until("  gate place#");
        let mark = gate.split_once("place#").unwrap().1.split_once(' ').unwrap().0.to_owned();
        let lacks = plain.until("gate place does not pass; wait, or override GATE#MARK REASON");
        let writes = !mode.is_empty();
        assert_eq!(lacks.starts_with("  cannot be released yet: "), writes, "{lacks}");
        assert_eq!(lacks.contains("Then: this run is read-only: "), !writes, "{lacks}");
        plain.say("status");
        plain.until("gate place does not pass");
        let told = plain.told.join("\n");
        assert!(!told.contains("to release it"), "{told}");
        assert_eq!(told.contains("\nWRITE: "), writes, "{told}");
        plain.say(&format!("override place#{mark} it is known"));
        plain.until(if writes { "  to release it: release" } else { "  this run is read-only: " });
        plain.say("close");
        plain.left();
    }
}
