//! The order of layers, read from the paths that the source names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::path::Path;

const LAYERS: [(&str, u8); 17] = [
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
    ("lab", 3),
    ("session", 4),
    ("cli", 5),
    ("lib", 6),
];
/// Rooms that must know no IO and no clock.
const PURE: [&str; 8] = ["event", "world", "text", "problem", "runbook", "run", "ui", "report"];
const IO: [&[&str]; 7] = [
    &["tokio"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "env"],
    &["std", "process"],
    &["reqwest"],
    &["kube", "Client"],
];
const CLOCKS: [&str; 2] = ["SystemTime", "Instant"];

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

/// Every path of the code, imports spelled out one by one; from the crate's root on where it
/// is known. What only tests have is left out.
struct Paths(Vec<Vec<String>>);

impl Paths {
    /// `depth`: how many modules the code lies in.
    fn of(code: &str, depth: usize) -> Self {
        let mut paths = Self(Vec::new());
        paths.walk(code.parse().unwrap(), depth);
        paths
    }

    fn walk(&mut self, code: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = code.into_iter().collect();
        let mut i = 0;
        while i < tokens.len() {
            if is_cfg_test(&tokens[i..]) {
                i = behind_item(&tokens, i + 2);
                continue;
            }
            match &tokens[i] {
                TokenTree::Ident(_) => {
                    i = self.path(&tokens, i, &mut Vec::new(), depth);
                    continue;
                }
                TokenTree::Group(group) => {
                    let inline = group.delimiter() == Delimiter::Brace
                        && i >= 2
                        && tokens[i - 2].to_string() == "mod";
                    self.walk(group.stream(), depth + usize::from(inline));
                }
                _ => {}
            }
            i += 1;
        }
    }

    /// A path from a name on, behind what stands before a brace of an import; the place
    /// behind it.
    fn path(
        &mut self,
        tokens: &[TokenTree],
        mut i: usize,
        before: &mut Vec<String>,
        depth: usize,
    ) -> usize {
        let start = before.len();
        while let Some(TokenTree::Ident(name)) = tokens.get(i) {
            before.push(name.to_string().trim_start_matches("r#").to_owned());
            if !is_colons(tokens, i + 1) {
                self.keep(before, depth);
                before.truncate(start);
                return i + 1;
            }
            i += 3;
        }
        match tokens.get(i) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for part in inner.split(|t| t.to_string() == ",") {
                    let from = if is_colons(part, 0) { 2 } else { 0 };
                    self.path(part, from, before, depth);
                }
                i += 1;
            }
            // A star, a type's arguments: what stands before is known.
            _ => self.keep(before, depth),
        }
        before.truncate(start);
        i
    }

    /// `super` as often as modules are deep is the crate's root.
    fn keep(&mut self, path: &[String], depth: usize) {
        let from = usize::from(path.first().is_some_and(|n| n == "self"));
        let ups = path[from..].iter().take_while(|n| *n == "super").count();
        let mut path = path.to_vec();
        if ups > 0 && ups == depth {
            path.splice(..from + ups, ["crate".to_owned()]);
        }
        self.0.push(path);
    }
}

fn is_colons(tokens: &[TokenTree], i: usize) -> bool {
    let colon = |i: usize| tokens.get(i).is_some_and(|t| t.to_string() == ":");
    colon(i) && colon(i + 1)
}

/// `#[cfg(test)]`, and no other `cfg`.
fn is_cfg_test(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(group), ..] = tokens else { return false };
    let text: String = group.stream().to_string().split_whitespace().collect();
    hash.as_char() == '#' && group.delimiter() == Delimiter::Bracket && text == "cfg(test)"
}

/// The place behind the item that begins here: its `;`, or its braces; of a field or a
/// branch, its comma.
fn behind_item(tokens: &[TokenTree], mut i: usize) -> usize {
    const WORDS: [&str; 15] = [
        "pub", "mod", "use", "fn", "const", "static", "struct", "enum", "impl", "trait", "type",
        "async", "unsafe", "let", "extern",
    ];
    let text = |i: usize| tokens.get(i).map(ToString::to_string).unwrap_or_default();
    // Attributes between.
    while text(i) == "#" {
        i += 2;
    }
    let item = WORDS.contains(&text(i).as_str()) || text(i + 1) == "!";
    while i < tokens.len() {
        match &tokens[i] {
            TokenTree::Punct(p) if p.as_char() == ';' => return i + 1,
            TokenTree::Punct(p) if p.as_char() == ',' && !item => return i + 1,
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => {
                return if text(i + 1) == ";" { i + 2 } else { i + 1 };
            }
            _ => i += 1,
        }
    }
    i
}

/// What is wrong in a file, and how many paths from the crate's root it names. `inside` is its
/// path below `src`.
fn check(inside: &Path, code: &str) -> (Vec<String>, usize) {
    let layers: BTreeMap<_, _> = LAYERS.into();
    let parts: Vec<String> =
        inside.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    let room = parts[0].trim_end_matches(".rs");
    let depth = parts.len() - usize::from(inside.ends_with("mod.rs"));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let Some(own) = layers.get(room) else {
        return (vec![format!("{room} has no layer; give it one")], 0);
    };
    for path in Paths::of(code, depth).0 {
        if let [root, name, ..] = path.as_slice()
            && root == "crate"
        {
            seen += 1;
            match layers.get(name.as_str()) {
                Some(other) if other > own => {
                    wrong.push(format!("{} imports {name}", inside.display()));
                }
                Some(_) => {}
                None => wrong.push(format!("{} imports {name}, no room", inside.display())),
            }
        }
        let starts = |io: &[&str]| {
            path.len() > 1 && path.len() >= io.len() && path.iter().zip(io).all(|(a, b)| a == b)
        };
        let does = IO.iter().any(|io| starts(io)) || path.iter().any(|n| CLOCKS.contains(&&**n));
        if PURE.contains(&room) && does {
            wrong.push(format!("{} is pure and uses {}", inside.display(), path.join("::")));
        }
    }
    (wrong, seen)
}

#[test]
fn lower_layers_never_import_higher_ones() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 50, "the source was found");
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        if ["lib.rs", "main.rs"].iter().any(|f| inside == Path::new(f)) {
            continue;
        }
        let (found, paths) = check(inside, &std::fs::read_to_string(&file).unwrap());
        wrong.extend(found);
        seen += paths;
    }
    assert!(seen > 200, "imports were found: {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_violation_is_found_wherever_it_hides() {
    for (file, code, wanted) in [
        ("run/apply.rs", "use crate::ui::Model;", "imports ui"),
        ("run/apply.rs", "use crate::{event::Time, ui::{self, Model}};", "imports ui"),
        ("run/apply.rs", "use crate::{event, runbook::{Expr, model::Step}, cli};", "imports cli"),
        ("run/apply.rs", "fn f() -> bool { crate::session::open::<u8>() }", "imports session"),
        (
            "run/apply.rs",
            "fn f() { assert!(x, \"{}\", crate::session::open()) }",
            "imports session",
        ),
        ("run/apply.rs", "use super::super::action;", "imports action"),
        ("run/mod.rs", "use super::{action::Say, event};", "imports action"),
        ("run/apply.rs", "mod a { use super::super::super::ui::*; }", "imports ui"),
        ("run/apply.rs", "use crate::attic::Old;", "imports attic, no room"),
        ("attic/mod.rs", "", "attic has no layer"),
        // Behind what only tests have, of each kind.
        ("run/mod.rs", "#[cfg(test)]\nmod tests;\nuse crate::ui::Model;", "imports ui"),
        ("run/mod.rs", "#[cfg(test)] mod t { fn f() {} } use crate::ui::Model;", "imports ui"),
        ("run/mod.rs", "#[cfg(test)] use a::{b, c}; use crate::ui::Model;", "imports ui"),
        ("run/mod.rs", "#[cfg(test)] fn f<A, B>(a: A) {} use crate::ui::Model;", "imports ui"),
        ("run/mod.rs", "struct S { #[cfg(test)] a: u8, b: crate::ui::Model }", "imports ui"),
        ("run/mod.rs", "#[cfg(not(test))] use crate::ui::Model;", "imports ui"),
        ("ui/view.rs", "use std::{fmt, fs::File};", "is pure and uses std::fs::File"),
        ("ui/view.rs", "fn f() { std::time::Instant::now(); }", "is pure and uses"),
        ("ui/view.rs", "use tokio::sync::mpsc;", "is pure and uses tokio::sync::mpsc"),
    ] {
        let said = check(Path::new(file), code).0.join("; ");
        assert!(said.contains(wanted), "{file}: `{code}` says `{said}`");
    }
}

#[test]
fn what_is_allowed_is_no_violation() {
    for (file, code) in [
        ("run/apply.rs", "use crate::{event::Time, runbook::{Expr, model}, world::*};"),
        ("run/apply.rs", "use super::{gates, state::State}; pub(crate) fn f() {}"),
        ("run/apply.rs", "#[cfg(test)]\n#[allow(x)]\nmod tests { use crate::ui::Model; }"),
        ("run/apply.rs", "#[cfg(test)] use crate::ui::{Model, View}; use crate::event::Time;"),
        ("run/apply.rs", "// use crate::ui::Model;\nconst S: &str = \"crate::ui::Model\";"),
        ("ui/view.rs", "mod tests { use super::super::text; } use crate::world::kube::Client;"),
        ("observe/kube.rs", "use crate::action::Say; use std::fs; use kube::Client;"),
    ] {
        assert_eq!(check(Path::new(file), code).0, Vec::<String>::new(), "{file}: {code}");
    }
}
