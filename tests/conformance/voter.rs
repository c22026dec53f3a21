//! A voter, and what it is asked.

use super::answer::Answer;
use super::world::{Log, answer};
use http::Method;
use serde_json::Value;
use std::time::Duration;

/// Who does not answer within this does not answer.
const SILENCE: Duration = Duration::from_secs(3);

/// One voter's API.
#[derive(Clone)]
pub struct Voter {
    pub n: usize,
    base: String,
    token: Option<String>,
    header: Option<&'static str>,
    http: reqwest::Client,
    log: Log,
}

impl Voter {
    pub fn new(n: usize, base: String, token: String, http: reqwest::Client, log: Log) -> Self {
        Self { n, base, token: Some(token), header: None, http, log }
    }

    pub fn name(&self) -> String {
        format!("vault-{}", self.n)
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(str::to_owned);
        self
    }

    /// The server is not to forward it.
    pub fn unforwarded(mut self) -> Self {
        self.header = Some("X-Vault-No-Request-Forwarding");
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Vec::new(), SILENCE).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.ask(Method::PUT, path, body, SILENCE).await
    }

    /// Whatever it takes; the code is 0 if there is no answer.
    pub async fn ask(&self, method: Method, path: &str, body: Vec<u8>, limit: Duration) -> Answer {
        let asked = format!("{} {method} /v1/{path} {} bytes", self.name(), body.len());
        let url = format!("{}/v1/{path}", self.base);
        let mut request = self.http.request(method, url).body(body).timeout(limit);
        if let Some(token) = &self.token {
            request = request.header("X-Vault-Token", token);
        }
        if let Some(header) = self.header {
            request = request.header(header, "true");
        }
        let work = async {
            let response = request.send().await?;
            let (code, headers) = (response.status().as_u16(), response.headers().clone());
            Ok::<_, reqwest::Error>((code, headers, response.bytes().await?.to_vec()))
        };
        let (code, headers, raw) = match work.await {
            Ok(it) => it,
            Err(e) => (0, http::HeaderMap::new(), e.to_string().into_bytes()),
        };
        answer(&self.log, asked, code, headers, raw)
    }
}
