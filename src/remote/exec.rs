//! A program in a container, through the API server.

use crate::remote::kube::trouble;
use crate::remote::{Ran, Trouble};
use crate::text::clean_line;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, AttachedProcess};
use kube::{Api, Client};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest wait for such a program, which is a small one.
const DEADLINE: Duration = Duration::from_secs(20);
/// What is read of each of its outputs.
const LARGEST: u64 = 256 << 10;

/// Runs a program in a container of a pod and waits for its end. It is named by what it is, never
/// through a shell that the caller did not name; it gets no input.
pub(crate) async fn run_in_pod(
    client: &Client,
    (namespace, pod, container): (&str, &str, &str),
    argv: &[&str],
) -> Result<Ran, Trouble> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = AttachParams::default().container(container).stdin(false);
    let ran = async {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        ended(pods.exec(pod, argv, &params).await.map_err(trouble)?).await
    };
    let late = || Trouble::Unreachable(format!("no end in {} s", DEADLINE.as_secs()));
    tokio::time::timeout(DEADLINE, ran).await.map_err(|_| late())?
}

async fn ended(mut process: AttachedProcess) -> Result<Ran, Trouble> {
    let (out, err, status) = (process.stdout(), process.stderr(), process.take_status());
    let (out, err) = tokio::join!(text(out), text(err));
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    // A connection that broke tells no status: what the program did is not known.
    let Some(status) = status else {
        return Err(Trouble::Unreachable("the connection ended before the program did".into()));
    };
    let causes = status.details.as_ref().and_then(|d| d.causes.as_ref());
    let exit = causes.into_iter().flatten().find(|c| c.reason.as_deref() == Some("ExitCode"));
    let exit = exit.and_then(|c| c.message.as_deref()).and_then(|code| code.parse().ok());
    match (status.status.as_deref(), exit) {
        (Some("Success"), _) => Ok(Ran { exit: 0, out, err }),
        (_, Some(exit)) => Ok(Ran { exit, out, err }),
        // The program was not started: a container without it, say.
        _ => Err(Trouble::Other(clean_line(status.message.as_deref().unwrap_or("it failed")))),
    }
}

async fn text(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What came before it broke is what there is; the status says whether it did.
        let _ = from.take(LARGEST).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
