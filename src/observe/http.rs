//! Plain endpoints: status, body, latency.

use crate::remote::Remote;
use crate::world::{Change, Http, Source, Status, Update};
use std::collections::BTreeMap;
use std::time::Instant;

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
        let response = remote.http.get(url).send().await?;
        let status = i64::from(response.status().as_u16());
        let body = response.bytes().await?;
        Ok::<_, reqwest::Error>((status, body))
    };
    match answer.await {
        Ok((status, body)) => Http {
            status,
            latency_ms: super::judge::coarse(started.elapsed()),
            body: crate::text::clean_line(&String::from_utf8_lossy(&body[..body.len().min(BODY)])),
            error: String::new(),
        },
        Err(e) => {
            Http { error: crate::text::clean_line(&e.without_url().to_string()), ..Http::default() }
        }
    }
}
