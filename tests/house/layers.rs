//! The order of layers, read from the imports.

use std::collections::BTreeMap;
use std::path::Path;

const LAYERS: [(&str, u8); 18] = [
    ("event", 0),
    ("world", 0),
    ("text", 0),
    ("problem", 0),
    ("runbook", 1),
    ("journal", 1),
    ("site", 1),
    ("run", 2),
    ("ui", 3),
    ("report", 3),
    ("remote", 3),
    ("action", 3),
    ("observe", 3),
    ("survey", 3),
    ("lab", 3),
    ("session", 4),
    ("cli", 5),
    ("lib", 6),
];
/// Rooms that must know no IO, no clock and no chance.
const PURE: [&str; 8] = ["event", "world", "text", "problem", "runbook", "run", "ui", "report"];
const IO: [&str; 15] = [
    "tokio::",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "reqwest",
    "kube::Client",
    "SystemTime",
    "Instant",
    "::now()",
    "RandomState",
    "fastrand",
    "getrandom",
    "rand::",
    "new_v4",
];
/// The one place that makes chances, from a seed.
const CHANCE: &str = "lab/chance.rs";

fn rust_files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Tests may use anything: each item that only they have is left out, and nothing behind it.
fn without_tests(text: &str) -> String {
    let (mut code, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code += line;
            code.push('\n');
            continue;
        }
        let inside = &line[..line.len() - line.trim_start().len()];
        let end = format!("{inside}}}");
        let mut item = lines.by_ref().skip_while(|l| l.trim_start().starts_with('#'));
        let first = item.next().unwrap_or_default();
        if !first.trim_end().ends_with([';', '}']) {
            item.find(|l| *l == end || l.trim_end().ends_with(';') && !first.ends_with('{'));
        }
    }
    code
}

/// The rooms that are named: `crate::room`, and each of `crate::{room, other::X}`.
fn imported(code: &str) -> Vec<&str> {
    let word =
        |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut names = Vec::new();
    for (i, _) in code.match_indices("crate::") {
        let rest = &code[i + 7..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(&rest[..word(rest)]);
            continue;
        };
        let (mut depth, mut begins) = (0, true);
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    begins = false;
                    names.push(&list[at..at + word(&list[at..])]);
                }
                _ => {}
            }
        }
    }
    names
}

/// What the reading of imports goes by.
#[test]
fn imports_are_read_wherever_they_stand() {
    let text = "#[cfg(test)]\nmod tests;\nuse crate::{\n    run::{A, B},\n    cli,\n};\n\
        #[cfg(test)]\nuse crate::lab;\nfn a() { crate::session::b() }\n\
        #[cfg(test)]\nmod more {\n    use crate::ui;\n    fn c() {\n    }\n}\nuse crate::site;\n";
    assert_eq!(imported(&without_tests(text)), ["run", "cli", "session", "site"]);
}

#[test]
fn lower_layers_never_import_higher_ones() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layer: BTreeMap<_, _> = LAYERS.into();
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 50, "the source was found");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let room = first.trim_end_matches(".rs");
        if room == "lib" || room == "main" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = without_tests(&text);
        for name in imported(&code) {
            let Some(other) = layer.get(name) else { continue };
            seen += 1;
            if *other > layer[room] {
                wrong.push(format!("{} imports {name}", inside.display()));
            }
            if ["action", "observe", "remote", "survey"].contains(&room) && name == "lab" {
                wrong.push(format!("{} imports the lab", inside.display()));
            }
        }
        if code.contains("fastrand") && inside != Path::new(CHANCE) {
            wrong.push(format!("{} makes chances of its own", inside.display()));
        }
        if PURE.contains(&room) {
            for io in IO {
                let used = code.lines().any(|l| {
                    !l.trim_start().starts_with("//") && l.contains(io) && !l.contains("crate::")
                });
                if used {
                    wrong.push(format!("{} is pure and uses {io}", inside.display()));
                }
            }
        }
    }
    assert!(seen > 200, "imports were found: {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
