//! A lab on loopback that a survey is taken of by the program itself, so that everything goes
//! the way it goes at a real site.

use holdpoint::event::Time;
use holdpoint::lab::{Lab, World, kube, site, vault};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

pub struct Served {
    pub lab: Lab,
    /// When it is in there: when the test began, since a survey has the time of its taking.
    pub now: Time,
    pub dir: tempfile::TempDir,
    _servers: Runtime,
}

/// The lab's own site with a bearer token that may everything, changed as wanted.
pub fn served(token: &str, change: impl FnOnce(&mut World)) -> Served {
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let now = Time::from(jiff::Timestamp::now());
    let mut world = site::world(1, now);
    world.access.admit(token, kube::User::admin());
    change(&mut world);
    // Time stands still: what is looked at is what was put there.
    let lab = Lab::new(world, Arc::new(move || now));
    let dir = tempfile::tempdir().unwrap();
    let listen = || async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (listener, url)
    };
    let (url, voters) = servers.block_on(async {
        let (api, url) = listen().await;
        tokio::spawn(kube::serve(lab.clone(), api));
        let mut voters = Vec::new();
        for name in site::VOTERS {
            let (listener, url) = listen().await;
            tokio::spawn(vault::serve(lab.clone(), name.into(), listener));
            voters.push((name, url));
        }
        (url, voters)
    });
    let served = Served { lab, now, dir, _servers: servers };
    let kubeconfig = kube::kubeconfig(&url, "lab", Some(token));
    std::fs::write(served.place("kubeconfig"), kubeconfig).unwrap();
    std::fs::write(served.place("vault-token"), vault::ROOT_TOKEN).unwrap();
    let text = site::served(&served.place("kubeconfig"), &served.place("vault-token"), &voters);
    std::fs::write(served.place("site.toml"), text).unwrap();
    std::fs::write(served.place("manifest.yaml"), site::new_manifest()).unwrap();
    served
}

impl Served {
    pub fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `holdpoint survey` of it, as `out.json` there.
    pub fn survey(&self, more: &[&str]) -> Output {
        let mut args = vec!["survey", "--site", "site.toml", "--out", "out.json"];
        args.extend(more);
        self.holdpoint(&args)
    }

    pub fn holdpoint(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(self.place("out.json")).unwrap()
    }
}

/// Everything that was printed.
pub fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}
