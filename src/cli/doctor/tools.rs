//! The tools of the equivalent commands: that they are there, run, and fit the servers.

use crate::cli::doctor::{Level, Report};
use crate::remote::Remote;
use crate::text::clean_line;
use std::time::Duration;

/// A tool that takes longer to say its version hangs, as one on a file system that does.
const TOOL: Duration = Duration::from_secs(5);
/// Minor versions that kubectl may be away from the API server: Kubernetes' version skew policy,
/// <https://kubernetes.io/releases/version-skew-policy/#kubectl>.
const SKEW: u32 = 1;

pub(super) async fn examine(remote: &Remote, report: &mut Report) {
    let tools = [("kubectl", &["version", "--client"][..]), ("vault", &["version"])];
    let asked = tools.map(|(tool, args)| async move {
        let out = tokio::process::Command::new(tool).args(args).kill_on_drop(true).output();
        (tool, tokio::time::timeout(TOOL, out).await)
    });
    for (tool, out) in futures::future::join_all(asked).await {
        let said = match out {
            Err(_) => Err(format!("gives no version in {} s; does it hang?", TOOL.as_secs())),
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                Err("not in PATH; shown commands cannot be run here".into())
            }
            Ok(Err(e)) => Err(format!("cannot be run: {e}")),
            Ok(Ok(out)) => version(&out),
        };
        let said = match said {
            Ok(text) if tool == "kubectl" => skewed(remote, text).await,
            said => said,
        };
        match said {
            Ok(text) => report.say(Level::Ok, tool, &text),
            Err(why) => report.say(Level::Warn, tool, &why),
        }
    }
}

/// Its first line, of a tool that ended well.
fn version(out: &std::process::Output) -> Result<String, String> {
    let first = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(clean_line).find(|line| !line.trim().is_empty())
    };
    if !out.status.success() {
        let why = first(&out.stderr).map(|line| format!(" ({line})")).unwrap_or_default();
        return Err(format!("does not tell its version: {}{why}", out.status));
    }
    first(&out.stdout).ok_or_else(|| "does not tell its version".into())
}

/// kubectl's word, if the API server is near enough to it.
async fn skewed(remote: &Remote, text: String) -> Result<String, String> {
    let Ok(client) = &remote.kube else { return Ok(text) };
    let Ok(Ok(server)) = tokio::time::timeout(TOOL, client.apiserver_version()).await else {
        return Ok(text);
    };
    let theirs = number(&server.minor);
    let ours = text.split('v').next_back().and_then(|v| number(v.split('.').nth(1)?));
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours.abs_diff(theirs) > SKEW => Err(format!(
            "{text}, but the API server is {}: more than a minor version apart, so shown \
             commands may do something else here",
            clean_line(&server.git_version)
        )),
        _ => Ok(text),
    }
}

/// `33` of `33+`.
fn number(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::json;

    #[tokio::test]
    async fn a_kubectl_that_is_too_far_from_its_server_is_named() {
        let api = Responder::start(|_, _| {
            let version = json!({"major": "1", "minor": "33+", "gitVersion": "v1.33.1-x",
                "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "",
                "compiler": "", "platform": ""});
            Reply::Json(200, version)
        })
        .await;
        let remote = rig::remote(Some(&api.url), &[], "").await;
        for (said, fits) in [
            ("Client Version: v1.34.0", true),
            ("Client Version: v1.32.9", true),
            ("Client Version: v1.31.2", false),
            ("Client Version: v1.35.0-alpha.1", false),
            ("no version", true),
        ] {
            let told = skewed(&remote, said.into()).await;
            assert_eq!(told.is_ok(), fits, "{told:?}");
            assert!(told.unwrap_or_else(|why| why).starts_with(said));
        }
    }
}
