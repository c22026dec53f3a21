//! `lab serve` as a process: what it writes where, and what it leaves alone.

use crate::pty::HOLDPOINT;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A lab that is up, until it is dropped.
struct Served(Child, String);

impl Served {
    fn up(cwd: &Path, dir: &str) -> Self {
        let mut command = Command::new(HOLDPOINT);
        command.args(["lab", "serve", "--dir", dir]).current_dir(cwd);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let at = first.strip_prefix("lab at http://").and_then(|rest| rest.split(',').next());
        let served = Self(child, at.unwrap_or_default().to_owned());
        assert!(served.1.starts_with("127.0.0.1:"), "{first}");
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
        drop(Served(child, String::new()));
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

/// Two labs of one seed are two: neither takes the other's place, nor its name.
#[test]
fn two_labs_of_one_seed_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let one = Served::up(home.path(), "one");
    let why = refused(home.path(), &["--dir", "one"]);
    assert!(why.contains("another lab that is up") && why.contains("another --dir"), "{why}");
    let uid = |lab: &Served| {
        let answer = answered(lab, "GET /api/v1/namespaces/kube-system", 0, "");
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
        let from = body.find('{').expect("an object");
        let object: serde_json::Value =
            serde_json::Deserializer::from_str(&body[from..]).into_iter().next().unwrap().unwrap();
        object["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let two = Served::up(home.path(), "two");
    let (first, second) = (uid(&one), uid(&two));
    assert!(first.starts_with("1ab51de0-") && second.starts_with("1ab51de0-"), "{first} {second}");
    assert_ne!(first, second);
    drop((one, two));
    // What was pinned is found again where the lab is offered again.
    assert_eq!(uid(&Served::up(home.path(), "one")), first);
}

/// The status of the answer.
fn sent(lab: &Served, head: &str, length: usize, body: &str) -> String {
    let answer = answered(lab, head, length, body);
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A request's head and as much of its body as arrives; the answer.
fn answered(lab: &Served, head: &str, length: usize, body: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(&lab.1).unwrap();
    let json = "Host: x\r\nContent-Type: application/json\r\nConnection: close";
    write!(stream, "{head} HTTP/1.1\r\n{json}\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap_or_default();
    if body.len() < length {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// What a request is bound to may be in the part of it that is missing.
#[test]
fn half_a_request_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let lab = Served::up(home.path(), "lab");
    let claim = "/api/v1/namespaces/vault/persistentvolumeclaims/data-vault-1";
    let (delete, wrong) = (format!("DELETE {claim}"), r#"{"preconditions":{"uid":"wrong"}}"#);
    assert_eq!(sent(&lab, &delete, wrong.len(), wrong), "409");
    // Who hung up may get no answer at all.
    assert_ne!(sent(&lab, &delete, 500, wrong), "200");
    let number = r#"{"preconditions":{"uid":5}}"#;
    assert_eq!(sent(&lab, &delete, number.len(), number), "400");
    let large = format!("{wrong}{}", " ".repeat(4 << 20));
    assert_ne!(sent(&lab, &delete, large.len(), &large), "200");
    let scale = "PUT /apis/apps/v1/namespaces/vault/statefulsets/vault/scale";
    let many = r#"{"spec":{"replicas":4294967299}}"#;
    assert_eq!(sent(&lab, scale, many.len(), many), "400");
    // It lives, and nothing was changed.
    assert_eq!(sent(&lab, "GET /lab", 0, ""), "200");
    assert!(!answered(&lab, &format!("GET {claim}"), 0, "").contains("deletionTimestamp"));
    let told = refused(home.path(), &["--dir", "other", "--fault", "wrong-class"]);
    assert!(told.contains("rehearse with it instead"), "{told}");
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
