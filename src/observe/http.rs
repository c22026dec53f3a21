//! Plain endpoints: status, body, latency.

use crate::remote::{Remote, WireError, root};
use crate::world::{Change, Http, Source, Status, Update};
use reqwest::Method;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of a body that are kept.
const BODY: usize = 4096;

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
        let response = remote.http.send(request).await?;
        let status = i64::from(response.status().as_u16());
        let body = response.bytes().await?;
        Ok::<_, WireError>((status, body))
    };
    match tokio::time::timeout(DEADLINE, answer).await {
        Err(_) => {
            Http { error: format!("no answer in {} s", DEADLINE.as_secs()), ..Http::default() }
        }
        Ok(Ok((status, body))) => Http {
            status,
            latency_ms: super::judge::coarse(started.elapsed()),
            body: crate::text::clean_line(&String::from_utf8_lossy(&body[..body.len().min(BODY)])),
            error: String::new(),
        },
        Ok(Err(e)) => Http { error: root(e.as_ref()), ..Http::default() },
    }
}
