//! `holdpoint lab serve`: the lab for other tools, on loopback.

use crate::cli::{refuse, runtime, site};
use crate::lab::faults::{FAULTS, fault};
use crate::lab::{Lab, kube, site as labsite, vault};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Arguments of `lab serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Port of the API server; the voters get the three after it. 0: any free ones
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Directory for kubeconfig, token and site file
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

pub(crate) fn run(args: &Args) -> ExitCode {
    if let Some(unknown) = args.faults.iter().find(|f| FAULTS.iter().all(|k| k.name != **f)) {
        return refuse(&format!("no fault is called {unknown}; `holdpoint lab faults` lists them"));
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
    let clock = site::clock();
    let mut world = labsite::world(args.seed, clock());
    if args.pods > 0 {
        world.populate(args.pods);
    }
    args.faults.iter().for_each(|name| fault(&mut world, name, true));
    world.access.trust(kube::User::admin());
    let lab = Lab::new(world, Arc::clone(&clock));
    let driven = lab.clone();
    tokio::spawn(async move { driven.drive().await });
    let at = |n: u16| if args.port == 0 { 0 } else { args.port.saturating_add(n) };
    let api = listen(at(0)).await?;
    let url = address(&api)?;
    tokio::spawn(kube::serve(lab.clone(), api));
    let mut voters = Vec::new();
    for (n, name) in (1..).zip(labsite::VOTERS) {
        let listener = listen(at(n)).await?;
        voters.push((name, address(&listener)?));
        tokio::spawn(vault::serve(lab.clone(), name.into(), listener));
    }
    write(&args.dir, &url, &voters)?;
    let lines = [
        format!("lab at {url}, until interrupted"),
        format!("export KUBECONFIG={}", args.dir.join("kubeconfig").display()),
        format!("export VAULT_ADDR={} VAULT_TOKEN={}", voters[2].1, vault::ROOT_TOKEN),
        format!("holdpoint doctor --pin --site {}", args.dir.join("site.toml").display()),
    ];
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

fn write(dir: &Path, url: &str, voters: &[(&str, String)]) -> Result<(), String> {
    let site = labsite::served(&dir.join("kubeconfig"), &dir.join("vault-token"), voters);
    let manifest = labsite::new_manifest();
    std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let files = [
        ("kubeconfig", kube::kubeconfig(url, "lab", None)),
        ("vault-token", vault::ROOT_TOKEN.to_owned()),
        ("site.toml", site),
        ("vault-statefulset.yaml", manifest),
    ];
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}
