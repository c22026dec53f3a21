//! The way from this process's own clients to the lab's voters and endpoints: no socket is
//! opened. Hosts are names: `vault-0.` whatever is that voter, a door of the world is what
//! answers where people reach Vault, which is the voter that leads. Nobody is anywhere else.

use crate::lab::{Lab, vault};
use crate::remote::{Wire, WireError};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use reqwest::ResponseBuilderExt;
use std::io::ErrorKind;

impl Lab {
    /// The voter behind a host, and what a connection to it comes to.
    fn voter(&self, host: &str) -> std::io::Result<(String, Result<(), ErrorKind>)> {
        let is = |name: &str| {
            host.strip_prefix(name).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        };
        let found = self.with(|world| {
            let named = world.vault.voters.keys().find(|name| is(name)).cloned();
            let door = world.doors.contains(host);
            let voter = named.or_else(|| vault::leader(world).filter(|_| door))?;
            let connected = vault::connect(world, &voter);
            Some((voter, connected))
        });
        found.ok_or_else(|| ErrorKind::ConnectionRefused.into())
    }
}

impl Wire for Lab {
    fn send(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'static, Result<reqwest::Response, WireError>> {
        let lab = self.clone();
        Box::pin(async move {
            let url = request.url().clone();
            let host = url.host_str().unwrap_or_default().to_owned();
            let request = http::Request::try_from(request)?;
            let (mut head, body) = request.into_parts();
            // A server sees a path, not the whole address.
            head.uri = head.uri.path_and_query().cloned().map(http::Uri::from).unwrap_or_default();
            let (voter, connected) = lab.voter(&host)?;
            reach(connected).await?;
            let body: Bytes = body.collect().await?.to_bytes();
            let answer = vault::answer(&lab, &voter, http::Request::from_parts(head, body)).await?;
            let (head, body) = answer.into_parts();
            let mut response =
                http::Response::builder().url(url).body(reqwest::Body::from(body))?;
            (*response.status_mut(), *response.headers_mut()) = (head.status, head.headers);
            Ok(response.into())
        })
    }

    fn connect(&self, host: String, _port: u16) -> BoxFuture<'static, std::io::Result<()>> {
        let lab = self.clone();
        Box::pin(async move {
            let (_, connected) = lab.voter(&host)?;
            reach(connected).await
        })
    }
}

/// A lost path is waited for as long as its caller likes: nothing comes back.
async fn reach(connected: Result<(), ErrorKind>) -> std::io::Result<()> {
    match connected {
        Err(ErrorKind::TimedOut) => std::future::pending().await,
        Err(kind) => Err(kind.into()),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;
    use std::sync::Arc;

    /// Whatever a site file says: a voter, who leads, or nobody.
    #[tokio::test]
    async fn nobody_is_where_no_voter_and_no_door_is() {
        let now = Time(1_777_150_800_000);
        let lab = Lab::new(crate::lab::site::world(1, now), Arc::new(move || now));
        for (url, code) in [
            ("http://vault-0.anywhere.example.net:8200", Some(429)),
            ("http://vault-2", Some(200)),
            ("http://vault.example.net", Some(200)),
            ("http://vault-01.example.net", None),
            ("http://www.vault.example.net", None),
            ("https://example.net", None),
            ("http://127.0.0.1:8200", None),
        ] {
            let path = reqwest::Url::parse(&format!("{url}/v1/sys/health")).unwrap();
            let sent = lab.send(reqwest::Request::new(reqwest::Method::GET, path)).await;
            assert_eq!(sent.ok().map(|r| r.status().as_u16()), code, "{url}");
        }
    }
}
