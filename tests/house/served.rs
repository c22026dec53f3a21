//! `lab serve` as a process: what it writes where, and what it leaves alone.

use crate::pty::HOLDPOINT;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A lab that is up, until it is dropped.
struct Served(Child);

impl Served {
    fn up(cwd: &Path, dir: &str) -> Self {
        let mut command = Command::new(HOLDPOINT);
        command.args(["lab", "serve", "--dir", dir]).current_dir(cwd);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let served = Self(child);
        assert!(first.starts_with("lab at http://127.0.0.1:"), "{first}");
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn refused(cwd: &Path, args: &[&str]) -> String {
    let mut command = Command::new(HOLDPOINT);
    command.args(["lab", "serve"]).args(args).current_dir(cwd).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that is up would be waited for without end.
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    if !first.is_empty() {
        drop(Served(child));
        panic!("{args:?} was not refused: {first}");
    }
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    String::from_utf8(out.stderr).unwrap()
}

#[test]
fn its_files_lead_to_each_other_from_any_directory_and_are_its_own_to_replace() {
    let home = tempfile::tempdir().unwrap();
    let cwd = home.path().canonicalize().unwrap();
    drop(Served::up(&cwd, "lab"));
    let read = |name: &str| std::fs::read_to_string(cwd.join("lab").join(name)).unwrap();
    let site: toml::Table = read("site.toml").parse().unwrap();
    let named = [&site["kubernetes"]["kubeconfig"], &site["vault"]["token_file"]];
    for path in named.map(|path| Path::new(path.as_str().unwrap()).to_owned()) {
        assert!(path.starts_with(&cwd) && path.is_file(), "{}", path.display());
    }
    let before = read("kubeconfig");
    let again = Served::up(&cwd, "lab");
    assert_ne!(read("kubeconfig"), before, "another lab, another port");
    drop(again);
    std::fs::write(cwd.join("lab/kubeconfig"), "of somebody\n").unwrap();
    let why = refused(&cwd, &["--dir", "lab"]);
    assert!(why.contains("kubeconfig was changed since a lab wrote it"), "{why}");
    assert_eq!(read("kubeconfig"), "of somebody\n");
}

#[test]
fn what_stands_there_is_not_written_over() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("kubeconfig"), "of somebody\n").unwrap();
    let why = refused(home.path(), &["--dir", "."]);
    assert!(why.contains("kubeconfig is no lab's") && why.contains("another --dir"), "{why}");
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing else was written: {names:?}");
    let text = std::fs::read_to_string(home.path().join("kubeconfig")).unwrap();
    assert_eq!(text, "of somebody\n");
}

#[test]
fn ports_that_do_not_exist_are_named() {
    let home = tempfile::tempdir().unwrap();
    let why = refused(home.path(), &["--dir", "lab", "--port", "65534"]);
    assert!(why.contains("--port 65534") && why.contains("65532"), "{why}");
    assert!(!home.path().join("lab").exists());
}
