//! `holdpoint lab serve`: the lab for other tools, on loopback.

use crate::cli::lab::offered::Offered;
use crate::cli::{refuse, runtime, site};
use crate::lab::faults::{FAULTS, entries, fault};
use crate::lab::{Lab, kube, site as labsite, vault};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What it writes for other tools.
const FILES: [&str; 4] = ["kubeconfig", "vault-token", "site.toml", "vault-statefulset.yaml"];
/// The API server's port and one a voter.
const PORTS: usize = labsite::VOTERS.len() + 1;

/// Arguments of `lab serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Port of the API server; the voters get the three after it. 0: any free ones
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Directory for kubeconfig, token and site file; what a lab did not write there is not
    /// written over
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What chance does
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many pods besides
    #[arg(long, default_value_t = 0)]
    pods: usize,
    /// A fault from the beginning; may be given several times
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<String>,
}

/// Faults of a rehearsal's machine: its manifest, its second copies.
const INSIDE: [&str; 3] = ["missing-fsgroup", "wrong-class", "second-copy-differs"];

pub(crate) fn run(args: &Args) -> ExitCode {
    if let Some(unknown) = args.faults.iter().find(|f| FAULTS.iter().all(|k| k.name != **f)) {
        return refuse(&format!("no fault is called {unknown}; `holdpoint lab faults` lists them"));
    }
    if let Some(inside) = args.faults.iter().find(|f| INSIDE.contains(&f.as_str())) {
        return refuse(&format!(
            "{inside} changes files of a lab's own machine, and a served lab has this one; rehearse \
             with it instead"
        ));
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return refuse(&why),
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => ExitCode::from(130),
        Err(why) => refuse(&why),
    }
}

async fn serve(args: &Args) -> Result<(), String> {
    let ports = ports(args.port)?;
    // Before anything is offered: who is refused should not have had a lab for a moment.
    let offered = Offered::at(&args.dir, &FILES)?;
    let clock = site::clock();
    let mut world = labsite::world(args.seed, clock());
    if args.pods > 0 {
        world.populate(args.pods);
    }
    labsite::rename(&mut world, args.seed, offered.of());
    let faults = entries(args.faults.iter().map(String::as_str));
    faults.iter().for_each(|entry| fault(&mut world, entry, true));
    world.access.trust(kube::User::admin());
    let lab = Lab::new(world, Arc::clone(&clock));
    let driven = lab.clone();
    tokio::spawn(async move { driven.drive().await });
    let api = listen(ports[0]).await?;
    let url = address(&api)?;
    tokio::spawn(kube::serve(lab.clone(), api));
    let mut voters = Vec::new();
    for (port, name) in ports[1..].iter().zip(labsite::VOTERS) {
        let listener = listen(*port).await?;
        voters.push((name, address(&listener)?));
        tokio::spawn(vault::serve(lab.clone(), name.into(), listener));
    }
    let (dir, copied) = (offered.dir().to_owned(), offered.is_copied());
    let _held = offered.write(&files(&dir, &url, &voters))?;
    let lines = [
        format!("lab at {url}, until interrupted"),
        format!("export KUBECONFIG={}", dir.join("kubeconfig").display()),
        format!("export VAULT_ADDR={} VAULT_TOKEN={}", voters[2].1, vault::ROOT_TOKEN),
        format!("holdpoint doctor --pin --site {}", dir.join("site.toml").display()),
    ];
    if copied {
        errln!(
            "{} is a copy of another lab's directory: its lab has identities of its own, and what was \
             pinned of the other does not fit it",
            dir.display()
        );
    }
    // Whoever started it may read one line and no more.
    outln!("{}", lines.join("\n"));
    tokio::signal::ctrl_c().await.map_err(|e| e.to_string())
}

async fn listen(port: u16) -> Result<TcpListener, String> {
    let at = ("127.0.0.1", port);
    TcpListener::bind(at)
        .await
        .map_err(|e| format!("port {port} of 127.0.0.1: {e}; name another with --port"))
}

fn address(listener: &TcpListener) -> Result<String, String> {
    let at = listener.local_addr().map_err(|e| e.to_string())?;
    Ok(format!("http://{at}"))
}

/// The ports of the API server and the voters; zeros: any free ones.
fn ports(first: u16) -> Result<[u16; PORTS], String> {
    let others = u16::try_from(PORTS - 1).unwrap_or_default();
    if first > u16::MAX - others {
        return Err(format!(
            "--port {first}: the voters get the {others} ports after it, and {} is the last there is; \
             name one up to {}",
            u16::MAX,
            u16::MAX - others
        ));
    }
    let mut ports = [first; PORTS];
    if first > 0 {
        (0..).zip(&mut ports).for_each(|(n, port)| *port += n);
    }
    Ok(ports)
}

fn files(dir: &Path, url: &str, voters: &[(&str, String)]) -> [(&'static str, String); 4] {
    let [config, token, site, manifest] = FILES;
    let served = labsite::served(&dir.join(config), &dir.join(token), voters);
    [
        (config, kube::kubeconfig(url, "lab", None)),
        (token, vault::ROOT_TOKEN.to_owned()),
        (site, served),
        (manifest, labsite::new_manifest()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_do_not_exist_are_refused_and_none_is_taken_twice() {
        assert_eq!(ports(0).unwrap(), [0; PORTS]);
        assert_eq!(ports(7000).unwrap(), [7000, 7001, 7002, 7003]);
        assert_eq!(ports(65532).unwrap().last(), Some(&65535));
        for port in [65533, 65534, 65535] {
            let why = ports(port).unwrap_err();
            assert!(why.contains("--port") && why.contains("up to 65532"), "{why}");
        }
    }
}
