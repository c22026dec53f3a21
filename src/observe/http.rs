//! Plain endpoints: status, body, latency.

use crate::remote::{Remote, WireError, root};
use crate::text::Redactor;
use crate::world::{Change, Http, Source, Status, Update};
use reqwest::Method;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of a body that are kept.
const BODY: usize = 4096;
/// Bytes of it that are read: as many more as any secret that could begin in what is kept.
const READ: usize = 64 << 10;

pub(crate) async fn read(remote: &Remote) -> Change {
    if remote.site.http.is_empty() {
        return Change {
            source: Source::Http,
            status: Status::NotConfigured,
            as_of: None,
            reach: None,
            update: Update::Nothing,
        };
    }
    let at = remote.now();
    let asked =
        remote.site.http.iter().map(|(name, endpoint)| async move {
            (name.clone(), ask(remote, &endpoint.url).await)
        });
    let answers: BTreeMap<String, Http> =
        futures::future::join_all(asked).await.into_iter().collect();
    Change {
        source: Source::Http,
        status: Status::Live,
        as_of: Some(at),
        reach: None,
        update: Update::Http(answers),
    }
}

async fn ask(remote: &Remote, url: &str) -> Http {
    let started = Instant::now();
    let answer = async {
        let request = reqwest::Request::new(Method::GET, reqwest::Url::parse(url)?);
        let mut response = remote.http.send(request).await?;
        let status = i64::from(response.status().as_u16());
        let mut body = Vec::new();
        while body.len() < READ
            && let Some(piece) = response.chunk().await?
        {
            body.extend_from_slice(&piece);
        }
        Ok::<_, WireError>((status, body))
    };
    match tokio::time::timeout(DEADLINE, answer).await {
        Err(_) => {
            Http { error: format!("no answer in {} s", DEADLINE.as_secs()), ..Http::default() }
        }
        Ok(Ok((status, body))) => Http {
            status,
            latency_ms: super::judge::coarse(started.elapsed()),
            body: kept(&remote.redactor(), &body),
            error: String::new(),
        },
        Ok(Err(e)) => Http { error: remote.redactor().line(&root(e.as_ref())), ..Http::default() },
    }
}

/// The beginning of a body. Cut only once nothing is in it that could be cut to something that
/// nobody recognises.
fn kept(redactor: &Redactor, body: &[u8]) -> String {
    let mut text = redactor.line(&String::from_utf8_lossy(body));
    let end = (0..=text.len().min(BODY)).rev().find(|i| text.is_char_boundary(*i));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body without an end fills no memory, and is no time-out either.
    #[tokio::test]
    async fn a_body_without_end_is_left_where_it_is_long_enough() {
        use crate::remote::responder::{Open, Reply, Responder};
        let lines = vec!["x".repeat(1 << 20)];
        let api = Responder::start(move |_, _| Reply::Lines(lines.clone(), Open::Yes)).await;
        let remote = crate::remote::rig::remote(None, &[], "").await;
        let answer = ask(&remote, &api.url).await;
        assert_eq!((answer.status, answer.body.len(), answer.error.as_str()), (200, BODY, ""));
    }

    /// A debugging endpoint gives back what it was sent, which may come from the API server.
    #[tokio::test]
    async fn a_body_is_kept_without_the_kubeconfigs_token() {
        use crate::remote::responder::{Reply, Responder};
        let api =
            Responder::start(|_, _| Reply::Raw(200, "", "you are kube-bearer-token".into())).await;
        let remote = crate::remote::rig::remote(Some("http://127.0.0.1:1"), &[], "").await;
        assert_eq!(ask(&remote, &api.url).await.body, "you are [redacted]");
    }

    /// What an endpoint gives back of a token is not kept, also where the cut would go through it.
    #[test]
    fn a_body_is_kept_without_secrets() {
        let secret = "hvs.CAESIJ-very-secret";
        let redactor = Redactor::new([secret]);
        for before in [0, BODY - 5, BODY] {
            let body = format!("{}{secret} and more", "x".repeat(before));
            let kept = kept(&redactor, body.as_bytes());
            assert!(!kept.contains(&secret[..4]) && kept.len() <= BODY, "{kept}");
        }
        assert_eq!(kept(&redactor, b"a\x1b[31mb \xff"), "ab \u{fffd}");
    }
}
