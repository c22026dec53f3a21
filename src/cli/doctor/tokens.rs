//! What Holdpoint is let in with, and whether that outlives the window.

use super::{Level, Report};
use crate::event::{Span, Time};
use crate::remote::{Remote, soon};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) async fn examine(remote: &Remote, window: Option<Span>, report: &mut Report) {
    vault(remote, window, report).await;
    if let Some(k) = &remote.site.kubernetes {
        let (paths, context) = (remote.kubeconfig.clone(), k.context.clone());
        // What blocks has been told of with the sources.
        let kept = soon("kubeconfig", move || kept(&paths, &context)).await;
        kubernetes(kept.ok().flatten(), remote.now(), window, report);
    }
}

/// A credential with an end: long enough for the window, or not.
fn tell(what: &str, left: Span, window: Option<Span>, how: &str, report: &mut Report) {
    let lives = format!("lives {} more{how}", left.brief());
    match window {
        _ if left == Span(0) => report.say(Level::Bad, what, "has ended; log in again"),
        Some(window) if left < window => {
            let detail = format!("{lives}, the window is {window}; renew it");
            report.say(Level::Bad, what, &detail);
        }
        Some(window) => report.say(Level::Ok, what, &format!("{lives}, the window is {window}")),
        None => report.say(Level::Ok, what, &lives),
    }
}

async fn vault(remote: &Remote, window: Option<Span>, report: &mut Report) {
    let what = "vault token";
    let token = match &remote.token {
        Ok(token) => token,
        Err(_) if remote.site.vault.is_none() => return,
        Err(why) => return report.say(Level::Bad, what, why),
    };
    for voter in &remote.voters {
        let Ok(base) = voter.base(remote.kube.as_ref().ok()).await else { continue };
        let asked =
            voter.ask(&base, Method::GET, "auth/token/lookup-self", Some(token), None).await;
        let Ok(asked) = asked else { continue };
        if asked.code != 200 {
            continue;
        }
        let renewable = asked.body.pointer("/data/renewable").and_then(Value::as_bool);
        let how = if renewable == Some(true) { ", renewable" } else { "" };
        return match asked.body.pointer("/data/ttl").and_then(Value::as_u64) {
            Some(0) => report.say(Level::Ok, what, "does not end"),
            Some(ttl) => tell(what, Span::secs(ttl), window, how, report),
            None => report.say(Level::Warn, what, "accepted; its end is not told"),
        };
    }
    report.say(Level::Bad, what, "no voter accepts it; log in again");
}

/// Only a token in the kubeconfig says when it ends; a program that gives one, and a
/// certificate, are not asked.
fn kubernetes(kept: Option<Option<String>>, now: Time, window: Option<Span>, report: &mut Report) {
    let what = "kubernetes credentials";
    // Without a user: why it cannot be used was told with the sources.
    let Some(token) = kept else { return };
    match token {
        Some(token) => match ends(token.trim()) {
            Some(end) => tell(what, end.since(now), window, "", report),
            None => report.say(Level::Ok, what, "a token that does not say when it ends"),
        },
        None => report.say(Level::Ok, what, "no token; when they end is not read"),
    }
}

/// A file's text; a pipe was read already, and has no more.
fn text(path: &Path) -> Option<String> {
    path.is_file().then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// The token of a context's user, if there is such a user, and if it has one.
fn kept(paths: &[PathBuf], context: &str) -> Option<Option<String>> {
    let user = user(paths, context)?;
    let file = user.get("tokenFile").and_then(Value::as_str);
    let token = || Some(user.get("token")?.as_str()?.to_owned());
    Some(file.and_then(|f| text(Path::new(f))).or_else(token))
}

/// The user of a context, in the first file that has it.
fn user(paths: &[PathBuf], context: &str) -> Option<Value> {
    let read = |path: &PathBuf| -> Option<Value> { serde_yaml_ng::from_str(&text(path)?).ok() };
    let files: Vec<Value> = paths.iter().filter_map(read).collect();
    let named = |list: &str, name: &str| {
        let mut entries = files.iter().filter_map(|f| f.get(list)?.as_array()).flatten();
        entries.find(|e| e.get("name").and_then(Value::as_str) == Some(name)).cloned()
    };
    let context = named("contexts", context)?;
    named("users", context.pointer("/context/user")?.as_str()?)?.get("user").cloned()
}

/// When a JSON web token ends, by its own word: it is compared with the window, not trusted.
fn ends(token: &str) -> Option<Time> {
    let claims = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(Time(claims.get("exp")?.as_i64()?.checked_mul(1000)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::responder::{Reply, Responder};
    use crate::remote::rig;
    use serde_json::json;

    #[test]
    fn a_web_token_says_when_it_ends_and_any_other_does_not() {
        let jwt = |claims: Value| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
        assert_eq!(ends(&jwt(json!({"exp": 7}))), Some(Time(7000)));
        for other in ["", "opaque", "a.b.c", &jwt(json!({})), &jwt(json!({"exp": "x"}))] {
            assert_eq!(ends(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_token_that_ends_within_the_window_is_bad() {
        for (ttl, window, bad) in [
            (3600, Some(Span::secs(7200)), true),
            (7200, Some(Span::secs(7200)), false),
            (3600, None, false),
            (0, Some(Span::secs(7200)), false),
        ] {
            let data = json!({"data": {"ttl": ttl, "renewable": true}});
            let vault = Responder::start(move |_, _| Reply::Json(200, data.clone())).await;
            let remote =
                rig::remote(None, &[("a", &format!("address = {:?}", vault.url))], "").await;
            let mut report = Report::default();
            examine(&remote, window, &mut report).await;
            assert_eq!(report.bad, bad, "{ttl} {window:?}");
        }
    }

    #[test]
    fn the_token_of_the_sites_own_context_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        let exp = |s: i64| URL_SAFE_NO_PAD.encode(json!({ "exp": s }).to_string());
        let text = format!(
            "contexts:\n- {{name: x, context: {{user: short}}}}\n- {{name: y, context: {{user: long}}}}\nusers:\n- {{name: short, user: {{token: e30.{}.s}}}}\n- {{name: long, user: {{token: e30.{}.s}}}}\n",
            exp(60),
            exp(90_000)
        );
        std::fs::write(&path, text).unwrap();
        for (context, bad) in [("x", true), ("y", false), ("absent", false)] {
            let mut report = Report::default();
            let paths = [dir.path().join("absent"), path.clone()];
            let kept = kept(&paths, context);
            kubernetes(kept, Time(0), Some(Span::secs(3600)), &mut report);
            assert_eq!(report.bad, bad, "{context}");
        }
    }
}
