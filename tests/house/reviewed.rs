//! A review line by line says what the cockpit's says.

use crate::pty::HOLDPOINT;
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
