//! A raft snapshot brought back onto the cluster that wrote it, or with `force` onto a fresh one.
//!
//! Material: the cluster id and the file's sum: what was read for the review is what is sent.
//! Whether it was done Vault does not tell afterwards; only what it holds does.

use crate::action::args::Args;
use crate::action::snapshot::leader;
use crate::action::snapshot_read::{check_snapshot, hex, summed};
use crate::action::vault::{capable, command};
use crate::action::{Ended, Say, quoted};
use crate::event::{Outcome, Proposal, Stream, Target};
use crate::remote::{Opened, Remote, Secret, VoterClient, apart, root, whole};
use reqwest::{Body, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for Vault to take all of it in.
const DEADLINE: Duration = Duration::from_secs(900);
const PIECE: usize = 256 << 10;

fn place(force: bool) -> &'static str {
    if force { "sys/storage/raft/snapshot-force" } else { "sys/storage/raft/snapshot" }
}

pub(crate) async fn plan(remote: &Remote, args: &Args<'_>) -> Result<Proposal, String> {
    let (path, force) = (PathBuf::from(args.text("path")?), args.flag("force"));
    let (machine, file) = (Arc::clone(&remote.machine), path.clone());
    let checked = apart(&remote.machine, move || check_snapshot(machine.as_ref(), &file)).await??;
    let (voter, index, base) = leader(remote).await?;
    capable(remote, voter, &base, place(force), &["update"]).await?;
    let id = remote.identities().await.remove("vault.cluster-id");
    let shown = quoted(&path.display().to_string());
    let forced = if force { " -force" } else { "" };
    let (restore, mut cautions) =
        command(remote, voter, &format!("operator raft snapshot restore{forced} {shown}"));
    cautions.push("everything that was written since the snapshot is lost".into());
    let commands = if voter.only_forwarded() {
        cautions.push("there is no command: the file would have to be copied into the pod".into());
        Vec::new()
    } else {
        vec![format!("echo '{}  '{shown} | sha256sum -c && {restore}", checked.sha256)]
    };
    let name = path.display().to_string();
    Ok(Proposal {
        verb: "vault.snapshot_restore".into(),
        sentence: format!(
            "RESTORE the snapshot of index {} through {}, which is at index {index}",
            checked.index, voter.name
        ),
        targets: vec![
            Target {
                kind: "file".into(),
                namespace: None,
                name: name.clone(),
                uid: None,
                created: None,
                note: format!("sha256 {}", checked.sha256),
            },
            Target {
                kind: "vault cluster".into(),
                namespace: None,
                name: id.clone().unwrap_or_default(),
                uid: id.clone(),
                created: None,
                note: format!("led by {}", voter.name),
            },
        ],
        material: BTreeMap::from([
            ("cluster".into(), json!(id)),
            ("sha256".into(), json!(checked.sha256)),
        ]),
        request: json!({"path": name, "sha256": checked.sha256, "force": force}),
        commands,
        cautions,
        before: json!({"index": index}),
    })
}

pub(crate) async fn execute(remote: &Remote, proposal: &Proposal, say: &Say) -> Ended {
    match restore(remote, proposal, say).await {
        Ok(outcome) => (outcome, json!({"at": remote.now()})),
        Err(why) => (Outcome::Failed(format!("{why}; nothing was sent")), Value::Null),
    }
}

async fn restore(remote: &Remote, proposal: &Proposal, say: &Say) -> Result<Outcome, String> {
    let text = |name: &str| proposal.request.get(name).and_then(Value::as_str).unwrap_or_default();
    let (path, wanted) = (PathBuf::from(text("path")), text("sha256").to_owned());
    let force = proposal.request.get("force").and_then(Value::as_bool).unwrap_or(false);
    let (machine, file) = (Arc::clone(&remote.machine), path.clone());
    let opened = apart(&remote.machine, move || summed(machine.as_ref(), &file));
    let (file, sum) = opened.await??;
    if sum != wanted {
        return Err(format!("{} is another file than the one that was released", path.display()));
    }
    let (voter, _, base) = leader(remote).await?;
    let token = remote.token.as_ref().map_err(Clone::clone)?;
    say(Stream::Note, format!("sending {} to {}", path.display(), voter.name));
    Ok(send(voter, &base, token, place(force), pieces(remote, file, wanted)).await)
}

/// Sends a snapshot, and waits until Vault has taken it in.
pub(crate) async fn send(
    voter: &VoterClient,
    base: &str,
    token: &Secret,
    place: &str,
    body: Body,
) -> Outcome {
    let asked = async {
        let answer = voter.send_body(base, Method::PUT, place, token, body).await?;
        let code = answer.status().as_u16();
        Ok::<_, crate::remote::WireError>((code, whole(answer).await?))
    };
    match tokio::time::timeout(DEADLINE, asked).await {
        Err(_) => Outcome::Unknown(format!("no answer in {} s", DEADLINE.as_secs())),
        Ok(Err(e)) => Outcome::Unknown(root(e.as_ref())),
        Ok(Ok((200 | 204, _))) => Outcome::Ok,
        Ok(Ok((code, bytes))) => {
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let said = body.pointer("/errors/0").and_then(Value::as_str).unwrap_or_default();
            let why = format!("Vault says {code}: {}", crate::text::clean_line(said));
            // What breaks on Vault's side may have begun.
            if code >= 500 { Outcome::Unknown(why) } else { Outcome::Failed(why) }
        }
    }
}

/// What is being sent.
struct Sending {
    file: Box<dyn Opened>,
    sha: Sha256,
    /// The sum that was released.
    wanted: String,
    /// Read and not sent yet.
    last: Vec<u8>,
}

impl Sending {
    /// The next piece. The last one is held back until all of them add up to what was released:
    /// a file can be written to while it is read, and Vault takes nothing in that has no end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut piece = vec![0; PIECE];
            let n = self.file.read(&mut piece)?;
            piece.truncate(n);
            self.sha.update(&piece);
            let before = std::mem::replace(&mut self.last, piece);
            if n == 0 && hex(&self.sha.finalize_reset()) != self.wanted {
                return Err(io::Error::other("the file was written to while it was sent"));
            }
            if n == 0 || !before.is_empty() {
                return Ok((!before.is_empty()).then_some(before));
            }
        }
    }
}

/// A file piece by piece, read where a disk that hangs holds up nobody else.
pub(crate) fn pieces(remote: &Remote, file: Box<dyn Opened>, wanted: String) -> Body {
    let machine = Arc::clone(&remote.machine);
    let all = Sending { file, sha: Sha256::new(), wanted, last: Vec::new() };
    let read = futures::stream::try_unfold(Some(all), move |all| {
        let machine = Arc::clone(&machine);
        async move {
            let Some(mut all) = all else { return Ok(None) };
            let next = apart(&machine, move || all.next().map(|piece| (piece, all)));
            let (piece, all) = next.await.map_err(io::Error::other)??;
            let ended = all.last.is_empty();
            Ok::<_, io::Error>(piece.map(|piece| (piece, (!ended).then_some(all))))
        }
    });
    Body::wrap_stream(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;
    use crate::remote::{FileMeta, Ground, Here, Machine, Parts, Running, Sink, Wire, WireError};
    use crate::site::VoterAt;
    use futures::future::BoxFuture;
    use http_body_util::BodyExt;
    use std::path::Path;
    use std::sync::Mutex;

    /// A Vault that leads, and keeps what is sent to it, if all of it came.
    #[derive(Default)]
    struct Leader {
        taken: Arc<Mutex<Option<Vec<u8>>>>,
        /// It says so with so many bytes.
        says: usize,
    }

    impl Wire for Leader {
        fn send(
            &self,
            request: reqwest::Request,
        ) -> BoxFuture<'static, Result<reqwest::Response, WireError>> {
            let (taken, says) = (Arc::clone(&self.taken), self.says);
            Box::pin(async move {
                let request = http::Request::try_from(request)?;
                let (code, says) = if request.uri().path().ends_with("/sys/leader") {
                    (200, r#"{"is_self":true,"raft_committed_index":9}"#.to_owned())
                } else {
                    let all = request.into_body().collect().await?.to_bytes();
                    *taken.lock().unwrap() = Some(all.to_vec());
                    (200, "x".repeat(says))
                };
                Ok(http::Response::builder().status(code).body(reqwest::Body::from(says))?.into())
            })
        }

        fn connect(&self, _: String, _: u16) -> BoxFuture<'static, io::Result<()>> {
            Box::pin(async { Ok(()) })
        }
    }

    /// A disk on which somebody does something right after a file was opened.
    struct Meddled(Box<dyn Fn(&Path) + Send + Sync>);

    impl Machine for Meddled {
        fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
            let opened = Here.open(path);
            (self.0)(path);
            opened
        }
        fn exists(&self, path: &Path) -> bool {
            Here.exists(path)
        }
        fn ground(&self, dir: &Path) -> io::Result<(PathBuf, Ground)> {
            Here.ground(dir)
        }
        fn make_dir(&self, dir: &Path) -> io::Result<()> {
            Here.make_dir(dir)
        }
        fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
            Here.create(path)
        }
        fn meta(&self, path: &Path) -> io::Result<FileMeta> {
            Here.meta(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            Here.rename(from, to)
        }
        fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
            Here.copy(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            Here.remove(path)
        }
        fn scripted(&self, argv: &[&str]) -> Option<Result<(i32, String), String>> {
            Here.scripted(argv)
        }
        fn marked(&self, mark: &str) -> io::Result<Vec<Running>> {
            Here.marked(mark)
        }
    }

    fn voter(name: &str) -> VoterAt {
        let text = format!(
            "format = 1\nname = \"x\"\n[[vault.voter]]\nname = {name:?}\naddress = \"http://a\"\n"
        );
        let site = crate::site::parse(&text).unwrap();
        site.vault.unwrap().voter.get_ref()[0].clone()
    }

    /// Restores `path` as it was released with that sum, on this disk; what Vault got of it.
    async fn restored(
        path: &Path,
        sum: &str,
        says: usize,
        disk: impl Fn(&Path) + Send + Sync + 'static,
    ) -> (Outcome, Option<Vec<u8>>) {
        let leader = Arc::new(Leader { says, ..Leader::default() });
        let wire: Arc<dyn Wire> = leader.clone();
        let site = crate::site::parse("format = 1\nname = \"x\"\n").unwrap();
        let parts = Parts {
            site,
            kube: Err("none".into()),
            voters: vec![VoterClient::over(&voter("vault-0"), "vault", false, wire.clone())],
            token: Ok(Secret::new("t".into())),
            http: wire,
            machine: Arc::new(Meddled(Box::new(disk))),
        };
        let remote = Remote::of(parts, Arc::new(|| Time(0)));
        let proposal = Proposal {
            verb: "vault.snapshot_restore".into(),
            sentence: String::new(),
            targets: Vec::new(),
            material: BTreeMap::new(),
            request: json!({"path": path, "sha256": sum, "force": false}),
            commands: Vec::new(),
            cautions: Vec::new(),
            before: Value::Null,
        };
        let say: Say = Arc::new(|_, _| {});
        let (outcome, _) = execute(&remote, &proposal, &say).await;
        let taken = leader.taken.lock().unwrap().take();
        (outcome, taken)
    }

    /// What is sent is what was summed, also where its name is another file's by then.
    #[tokio::test]
    async fn a_file_put_in_the_place_of_the_anchor_is_never_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.snap");
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let well: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            std::fs::write(&path, &well).unwrap();
            let (_, sum) = summed(&Here, &path).unwrap();
            let swap = |path: &Path| {
                std::fs::write(path.with_extension("new"), b"somebody else's").unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
            };
            let (outcome, taken) = restored(&path, &sum, 0, swap).await;
            assert_eq!(outcome, Outcome::Ok, "{size}");
            assert!(taken.as_deref() == Some(well.as_slice()), "{size}");
            // From now on it is another file, which was not released.
            let (outcome, taken) = restored(&path, &sum, 0, |_| ()).await;
            let why = format!("{outcome:?}");
            assert!(why.contains("is another file than the one that was released"), "{why}");
            assert_eq!(taken, None);
        }
    }

    #[tokio::test]
    async fn an_answer_without_an_end_leaves_it_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.snap");
        std::fs::write(&path, b"a").unwrap();
        let (_, sum) = summed(&Here, &path).unwrap();
        let (outcome, taken) = restored(&path, &sum, 5 << 20, |_| ()).await;
        assert_eq!(taken.as_deref(), Some(b"a".as_slice()));
        let Outcome::Unknown(why) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("the answer has more than 4 MiB"), "{why}");
    }

    /// What is written to while it is read has no end for Vault, and so is not taken in.
    #[tokio::test]
    async fn a_file_that_is_written_to_while_it_is_sent_is_not_sent_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.snap");
        for size in [10, 2 * PIECE] {
            std::fs::write(&path, vec![b'a'; size]).unwrap();
            let (file, wanted) = summed(&Here, &path).unwrap();
            std::fs::write(&path, vec![b'b'; size]).unwrap();
            let mut sending = Sending { file, sha: Sha256::new(), wanted, last: Vec::new() };
            let mut sent = 0;
            let why = loop {
                match sending.next() {
                    Ok(piece) => sent += piece.expect("no end").len(),
                    Err(why) => break why.to_string(),
                }
            };
            assert!(why.contains("was written to while it was sent"), "{why}");
            assert!(sent < size, "{sent}");
        }
    }
}
