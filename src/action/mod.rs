//! L3: actions. One file a family; each action can be resolved to a [`Proposal`],
//! executed from one, and probed: was it done?
//!
//! A proposal's `request` holds everything that execution needs, so what is executed is
//! what was digested. Objects are named with their UID, and deletes carry it as a
//! precondition. No answer to a request that may have changed something is *unknown*,
//! never *failed*.

mod args;
mod kube;
mod kube_apply;
mod kube_claims;
mod kube_create;
mod kube_do;
mod kube_keep;
mod kube_successor;
#[cfg(test)]
mod kube_tests;
mod peers;
mod places;
mod rebuild;
mod restore;
mod rights;
mod shell;
mod snapshot;
mod snapshot_keep;
mod snapshot_read;
mod stop;
mod vault;

pub use rights::{Right, kube_rights, lease_rights, vault_right, vault_rights};
pub use shell::outlived;
pub use snapshot_read::{Checked, check_snapshot};
pub use stop::{Stop, Stops};

use crate::event::{Outcome, Pins, Probed, Proposal, Stream};
use crate::remote::{Remote, Trouble};
use crate::runbook::model::Call;
use crate::site::{KUBERNETES, VAULT, mismatch};
use serde_json::Value;
use std::sync::Arc;

/// Where output goes, line by line.
pub type Say = Arc<dyn Fn(Stream, String) + Send + Sync>;

/// How an effect ended, and what it returns.
pub type Ended = (Outcome, Value);

/// What a probe saw: verdict, why, and what the action would have returned.
pub type Seen = (Probed, String, Value);

/// Exactly what a call would do now. The site must be the one that the run was opened on.
pub async fn resolve(
    remote: &Remote,
    pins: &Pins,
    call: &Call<String>,
) -> Result<Proposal, String> {
    right_site(remote, pins, call).await?;
    planned(remote, pins, call).await
}

/// Whether it is the site that the run was opened on: no plan is made on another one.
pub async fn right_site(remote: &Remote, pins: &Pins, call: &Call<String>) -> Result<(), String> {
    let pinned = is_pinned(pins, &remote.identities().await, &call.verb);
    pinned.map_err(|why| remote.redactor().redact(&why))
}

/// What a call would do now, on the right site.
pub async fn planned(
    remote: &Remote,
    pins: &Pins,
    call: &Call<String>,
) -> Result<Proposal, String> {
    let planned = plan(remote, pins, call).await;
    planned.map_err(|why| remote.redactor().redact(&why))
}

/// The command of a call that would be refused as things are now, for a plan: what it would be once
/// the steps before it were done. Only of what creates an object that is not there then.
pub async fn later(remote: &Remote, call: &Call<String>) -> Option<String> {
    match call.verb.as_str() {
        "kube.apply" => kube_apply::creating(remote, &args::Args::new(call)).await.ok(),
        _ => None,
    }
}

/// That this is the site whose run it is, as far as that verb needs it.
fn is_pinned(pins: &Pins, found: &Pins, verb: &str) -> Result<(), String> {
    let wrong = mismatch(pins, found);
    if !wrong.is_empty() {
        let left = match verb {
            "vault.rebuild" => rebuild::LEFT,
            _ => "",
        };
        return Err(format!(
            "this is another site: {}; nothing is written to it{left}",
            wrong.join("; ")
        ));
    }
    // What cannot be proved to be the right one is not: of the system that is acted on.
    let system = match verb.split('.').next() {
        // A voter without a quorum may be sealed, and one with an empty disk is nobody's yet:
        // neither tells whose it is.
        _ if ["vault.peers_file", "vault.rebuild"].contains(&verb) => Some(KUBERNETES),
        Some("kube") => Some(KUBERNETES),
        Some("vault") => Some(VAULT),
        _ => None,
    };
    if let Some(name) =
        system.filter(|name| !pins.contains_key(*name) || !found.contains_key(*name))
    {
        return Err(format!(
            "{name} is not pinned or cannot be read now, so this may be another site; run doctor"
        ));
    }
    Ok(())
}

async fn plan(remote: &Remote, pins: &Pins, call: &Call<String>) -> Result<Proposal, String> {
    let args = args::Args::new(call);
    match call.verb.as_str() {
        "kube.delete_statefulset" => kube::plan_statefulset(remote, &args).await,
        "kube.delete_claims" => kube::plan_claims(remote, &args).await,
        "kube.delete_pod" => kube::plan_pod(remote, &args).await,
        "kube.remove_protection" => kube::plan_protection(remote, &args).await,
        "kube.apply" => kube_apply::plan(remote, &args).await,
        "kube.create_claims" => kube_create::plan(remote, &args).await,
        "kube.keep_manifest" => kube_keep::plan(remote, &args).await,
        "kube.wait" => kube::plan_wait(remote, &args).await,
        "vault.snapshot_save" => snapshot::plan(remote, &args).await,
        "vault.snapshot_restore" => restore::plan(remote, &args).await,
        "vault.peers_file" => peers::plan(remote, &args).await,
        "vault.rebuild" => rebuild::plan(remote, &args, pins.get(VAULT)).await,
        "vault.step_down" => vault::plan_step_down(remote, &args).await,
        "shell.run" => shell::plan(&args),
        other => Err(format!("there is no action {other}")),
    }
}

/// Does it. What it starts here has that mark: of this run and this step, and of nothing else.
/// Some actions can be ended before they are through.
pub async fn execute(
    remote: &Remote,
    mark: &str,
    proposal: &Proposal,
    say: &Say,
    stop: Stop,
) -> Ended {
    let (outcome, result) = match proposal.verb.as_str() {
        "kube.delete_statefulset" | "kube.delete_claims" | "kube.delete_pod" => {
            kube_do::delete(remote, proposal, say).await
        }
        "kube.remove_protection" => kube_do::unprotect(remote, proposal, say).await,
        "kube.apply" => kube_apply::execute(remote, proposal).await,
        "kube.create_claims" => kube_create::execute(remote, proposal, say).await,
        "kube.keep_manifest" => kube_keep::execute(remote, proposal, say).await,
        "kube.wait" => kube_do::wait(remote, proposal, stop).await,
        "vault.snapshot_save" => snapshot::execute(remote, proposal, say, stop).await,
        "vault.snapshot_restore" => restore::execute(remote, proposal, say).await,
        "vault.peers_file" => peers::execute(remote, proposal).await,
        "vault.rebuild" => rebuild::execute(remote, proposal, say).await,
        "vault.step_down" => vault::step_down(remote, proposal).await,
        "shell.run" => shell::execute(remote, mark, proposal, say, stop).await,
        other => (Outcome::Failed(format!("there is no action {other}")), Value::Null),
    };
    // A server's or a program's words of why are text from outside like any other.
    let outcome = match outcome {
        Outcome::Ok => Outcome::Ok,
        Outcome::Failed(why) => Outcome::Failed(remote.redactor().redact(&why)),
        Outcome::Unknown(why) => Outcome::Unknown(remote.redactor().redact(&why)),
    };
    (outcome, result)
}

/// Looks whether it was done, here or elsewhere.
pub async fn probe(remote: &Remote, mark: &str, proposal: &Proposal) -> Seen {
    let (verdict, why, result) = probed(remote, mark, proposal).await;
    (verdict, remote.redactor().redact(&why), result)
}

async fn probed(remote: &Remote, mark: &str, proposal: &Proposal) -> Seen {
    match proposal.verb.as_str() {
        "kube.delete_statefulset" | "kube.delete_claims" | "kube.delete_pod" => {
            kube_do::probe_deleted(remote, proposal).await
        }
        "kube.remove_protection" => kube_do::probe_unprotected(remote, proposal).await,
        "kube.apply" => kube_apply::probe(remote, proposal).await,
        "kube.create_claims" => kube_create::probe(remote, proposal).await,
        "kube.keep_manifest" => kube_keep::probe(remote, proposal).await,
        "kube.wait" => kube_do::probe_wait(remote, proposal).await,
        "vault.snapshot_save" => snapshot::probe(remote, proposal).await,
        "vault.peers_file" => peers::probe(remote, proposal).await,
        "vault.rebuild" => rebuild::probe(remote, proposal).await,
        "vault.step_down" => vault::probe_step_down(remote, proposal).await,
        "vault.snapshot_restore" => (
            Probed::Unknown,
            "Vault does not tell whether a snapshot was restored; what it holds does".into(),
            Value::Null,
        ),
        _ => shell::probe(remote, mark).await,
    }
}

/// How a failed request ends an effect.
pub(crate) fn failed(trouble: &Trouble) -> Outcome {
    match trouble {
        Trouble::Unreachable(why) => Outcome::Unknown(why.clone()),
        other => Outcome::Failed(other.to_string()),
    }
}

/// Adds up probes of single objects.
pub(crate) fn add_up(seen: &[(bool, String)]) -> (Probed, String) {
    let done = seen.iter().filter(|(done, _)| *done).count();
    let verdict = match done {
        0 => Probed::NotDone,
        n if n == seen.len() => Probed::Done,
        _ => Probed::Partly,
    };
    (verdict, seen.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; "))
}

/// A word for a POSIX shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (word, wanted) in [
            ("a-b.c/d", "a-b.c/d"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$x", "'$x'"),
            ("`x`", "'`x`'"),
            ("a\nb", "'a\nb'"),
        ] {
            assert_eq!(quoted(word), wanted);
        }
    }

    #[test]
    fn probes_add_up() {
        let seen = |flags: &[bool]| flags.iter().map(|f| (*f, "x".to_owned())).collect::<Vec<_>>();
        for (flags, wanted) in [
            (&[true, true][..], Probed::Done),
            (&[true, false], Probed::Partly),
            (&[false, false], Probed::NotDone),
            (&[], Probed::NotDone),
        ] {
            assert_eq!(add_up(&seen(flags)).0, wanted);
        }
    }

    /// A cluster that does not tell who it is may be another one.
    #[tokio::test]
    async fn nothing_is_resolved_where_the_identity_cannot_be_read() {
        use crate::remote::responder::{Reply, Responder};
        use serde_json::json;
        let answers = |uid: &'static str| {
            move |asked: &str, _: &str| match asked {
                "GET /api/v1/namespaces/kube-system" if uid.is_empty() => {
                    Reply::Json(403, json!({"kind": "Status", "code": 403, "message": "forbidden"}))
                }
                "GET /api/v1/namespaces/kube-system" => {
                    Reply::Json(200, json!({"metadata": {"name": "kube-system", "uid": uid}}))
                }
                _ => Reply::Json(404, json!({"kind": "Status", "code": 404, "message": "no"})),
            }
        };
        let call = Call {
            verb: "kube.delete_pod".into(),
            args: [("name".to_owned(), crate::runbook::model::Arg::Text("p".to_owned()))].into(),
        };
        let pinned = Pins::from([(KUBERNETES.to_owned(), "right".to_owned())]);
        for (uid, pins, wanted) in [
            ("", &pinned, "cannot be read now"),
            ("right", &Pins::new(), "not pinned"),
            ("other", &pinned, "pinned right, found other"),
        ] {
            let api = Responder::start(answers(uid)).await;
            let remote = crate::remote::rig::remote(Some(&api.url), &[], "").await;
            let why = resolve(&remote, pins, &call).await.unwrap_err();
            assert!(why.contains(wanted), "{uid}: {why}");
            assert!(api.seen().iter().all(|a| a.ends_with("/kube-system")), "{:?}", api.seen());
        }
    }
}
