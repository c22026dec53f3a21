//! A voter, and what it is asked.

use super::Servers;
use super::answer::Answer;
use super::world::{Log, answer};
use http::Method;
use serde_json::Value;
use std::rc::Rc;
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
    servers: Rc<dyn Servers>,
    log: Log,
}

impl Voter {
    pub fn new(n: usize, servers: Rc<dyn Servers>, log: Log) -> Self {
        let (base, token) = (servers.voter(n), Some(servers.root_token()));
        Self { n, base, token, header: None, servers, log }
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
        let mut request =
            http::Request::builder().method(method).uri(format!("{}/v1/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("X-Vault-Token", token);
        }
        if let Some(header) = self.header {
            request = request.header(header, "true");
        }
        let request = request.body(body).unwrap();
        let seen = tokio::time::timeout(limit, self.servers.send(self.n, request)).await;
        let none = |why: String| (0, http::HeaderMap::new(), why.into_bytes());
        let (code, headers, raw) = match seen {
            Ok(Ok(response)) => {
                let (head, raw) = response.into_parts();
                (head.status.as_u16(), head.headers, raw)
            }
            Ok(Err(why)) => none(why),
            Err(_) => none("silence".into()),
        };
        answer(&self.log, asked, code, headers, raw)
    }
}
