//! One voter, asked by itself.
//!
//! Our own client rather than a library's: each voter must be asked without redirects
//! (a stock client follows a 307 and sends the token to another host), with a deadline a
//! request, and `sys/leader`, `sys/ha-status` and the raft endpoints are in no library.

use crate::remote::Secret;
use crate::remote::tunnel::Tunnel;
use crate::remote::wire::{
    Endless, Sockets, Wire, WireError, caused_by, root, timed_out, unconnected, whole,
};
use crate::site::VoterAt;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;
use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Longest wait for a voter's answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_millis(1500);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Connected, then nothing within the deadline.
    #[error("no answer in 2 s")]
    Silent,
    /// Connection refused or closed at once.
    #[error("connection refused")]
    Refused,
    /// No way there: no route, time-out on connect, lost port-forward.
    #[error("the path is lost: {0}")]
    PathLost(String),
    /// It answers with more than anybody asked for.
    #[error("{}", Endless)]
    Endless,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Status code.
    pub code: u16,
    /// Body, if it is JSON.
    pub body: Value,
    /// How long it took.
    pub latency: Duration,
}

/// A voter's client.
pub struct VoterClient {
    /// Raft node id.
    pub name: String,
    /// Address of the site file, if it has one.
    pub address: Option<String>,
    forward: Option<u16>,
    namespace: String,
    /// Scheme behind a port-forward: that of the address, or of the authority.
    scheme: &'static str,
    wire: Arc<dyn Wire>,
    tunnel: Mutex<Option<Tunnel>>,
    /// It answered last time: no need to try the path first.
    answered: AtomicBool,
}

impl VoterClient {
    /// A voter behind sockets.
    pub(crate) fn new(at: &VoterAt, namespace: &str, ca: Option<&[u8]>) -> Result<Self, String> {
        Ok(Self::over(at, namespace, ca.is_some(), Sockets::wire(CONNECT, ca)?))
    }

    /// A voter behind any wire; `authority`: its certificates are signed by a known one.
    #[must_use]
    pub fn over(at: &VoterAt, namespace: &str, authority: bool, wire: Arc<dyn Wire>) -> Self {
        let tls = match &at.address {
            Some(address) => address.get_ref().starts_with("https://"),
            None => authority,
        };
        Self {
            name: at.name.clone(),
            address: at.address.as_ref().map(|a| a.get_ref().trim_end_matches('/').to_owned()),
            forward: at.port_forward,
            namespace: namespace.to_owned(),
            scheme: if tls { "https" } else { "http" },
            wire,
            tunnel: Mutex::new(None),
            answered: AtomicBool::new(false),
        }
    }

    /// Where it is asked, for people.
    #[must_use]
    pub fn shown_address(&self) -> String {
        match (&self.address, self.forward) {
            (Some(a), _) => a.clone(),
            (None, Some(port)) => format!("port-forward {}:{port}", self.name),
            (None, None) => String::new(),
        }
    }

    /// Whether it is only reached through the API server.
    #[must_use]
    pub fn only_forwarded(&self) -> bool {
        self.address.is_none()
    }

    /// The base address in use: its own, or a port-forward where that path is lost.
    ///
    /// A voter that answered last time is not connected to for the sake of it: Vault logs
    /// every TLS connection that says nothing.
    pub async fn base(&self, kube: Option<&kube::Client>) -> Result<String, Silence> {
        let mut lost = Silence::PathLost("it has no address".into());
        if let Some(address) = &self.address {
            let tried = match self.answered.load(Ordering::Relaxed) {
                true => Ok(()),
                false => self.connect(address).await,
            };
            match tried {
                Err(e @ Silence::PathLost(_)) if self.forward.is_some() => lost = e,
                Err(e) => return Err(e),
                Ok(()) => return Ok(address.clone()),
            }
        }
        match (self.forward, kube) {
            (Some(port), Some(kube)) => self.tunnelled(kube, port).await,
            _ => Err(lost),
        }
    }

    async fn tunnelled(&self, kube: &kube::Client, port: u16) -> Result<String, Silence> {
        let mut tunnel = self.tunnel.lock().await;
        if let Some(open) = tunnel.as_ref().filter(|t| t.is_open()) {
            return Ok(open.base.clone());
        }
        let opened = Tunnel::open(kube, &self.namespace, &self.name, port, self.scheme).await?;
        Ok(tunnel.insert(opened).base.clone())
    }

    /// A request to this very node; never forwarded to the leader by it.
    pub async fn ask(
        &self,
        base: &str,
        method: reqwest::Method,
        path: &str,
        token: Option<&Secret>,
        deadline: Option<Duration>,
    ) -> Result<Asked, Silence> {
        let started = Instant::now();
        let untried = self.answered.load(Ordering::Relaxed);
        let response = async {
            let response = self.send(base, method, path, token, None).await?;
            let code = response.status().as_u16();
            Ok::<_, WireError>((code, whole(response).await?))
        };
        match tokio::time::timeout(deadline.unwrap_or(DEADLINE), response).await {
            Ok(Ok((code, bytes))) => {
                self.answered.store(true, Ordering::Relaxed);
                let body = crate::text::json(&bytes).unwrap_or(Value::Null);
                Ok(Asked { code, body, latency: started.elapsed() })
            }
            // In a box: it is rare, and every answer would have room for it.
            Ok(Err(e)) => {
                let seen = silence(e.as_ref());
                Err(Box::pin(self.why(base, started, untried, seen)).await)
            }
            Err(_) => Err(Box::pin(self.why(base, started, untried, Silence::Silent)).await),
        }
    }

    /// Why there was no answer, now that the path is looked at: silence behind a path that
    /// does not stand says nothing about the voter. `untried`: `base` had relied on the
    /// answer before.
    async fn why(&self, base: &str, started: Instant, untried: bool, seen: Silence) -> Silence {
        self.answered.store(false, Ordering::Relaxed);
        if self.address.as_deref() == Some(base) {
            let doubtful = untried && seen == Silence::Silent;
            return if doubtful { self.connect(base).await.err().unwrap_or(seen) } else { seen };
        }
        let mut tunnel = self.tunnel.lock().await;
        let Some(open) = tunnel.as_ref().filter(|t| t.base == base) else {
            return Silence::PathLost("the port-forward was closed".into());
        };
        if let Some(fault) = open.fault_since(started) {
            return fault;
        }
        match open.check().await {
            Ok(()) => seen,
            Err(lost) => {
                *tunnel = None;
                lost
            }
        }
    }

    /// Sends a request without a deadline, as for a snapshot's stream.
    pub async fn send(
        &self,
        base: &str,
        method: reqwest::Method,
        path: &str,
        token: Option<&Secret>,
        body: Option<&Value>,
    ) -> Result<reqwest::Response, WireError> {
        let mut request = request(base, method, path, token)?;
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert("Content-Type", json);
            *request.body_mut() = Some(body.to_string().into());
        }
        self.wire.send(request).await
    }

    /// The same with bytes as its body, as a snapshot's are.
    pub(crate) async fn send_body(
        &self,
        base: &str,
        method: reqwest::Method,
        path: &str,
        token: &Secret,
        body: reqwest::Body,
    ) -> Result<reqwest::Response, WireError> {
        let mut request = request(base, method, path, Some(token))?;
        *request.body_mut() = Some(body);
        self.wire.send(request).await
    }

    /// Whether anything listens there, without asking it anything.
    async fn connect(&self, address: &str) -> Result<(), Silence> {
        let lost = |e: String| Silence::PathLost(e);
        let url = reqwest::Url::parse(address).map_err(|e| lost(e.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(8200);
        match tokio::time::timeout(CONNECT, self.wire.connect(host, port)).await {
            Err(_) => Err(lost("time-out on connect".into())),
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => Err(Silence::Refused),
            Ok(Err(e)) => Err(lost(e.to_string())),
        }
    }

    pub(crate) async fn cluster_id(&self, kube: Option<&kube::Client>) -> Option<String> {
        let base = self.base(kube).await.ok()?;
        let asked =
            self.ask(&base, reqwest::Method::GET, "sys/seal-status", None, None).await.ok()?;
        asked.body.get("cluster_id")?.as_str().map(str::to_owned)
    }
}

/// A request without a body, for this voter and nobody behind it.
fn request(
    base: &str,
    method: reqwest::Method,
    path: &str,
    token: Option<&Secret>,
) -> Result<reqwest::Request, WireError> {
    let url = reqwest::Url::parse(&format!("{base}/v1/{path}"))?;
    let mut request = reqwest::Request::new(method, url);
    let headers = request.headers_mut();
    for name in ["x-vault-request", "x-vault-no-request-forwarding"] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("true"));
    }
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.reveal())?;
        value.set_sensitive(true);
        headers.insert("X-Vault-Token", value);
    }
    Ok(request)
}

/// What a client's error means before the path is looked at.
fn silence(e: &(dyn Error + Send + Sync + 'static)) -> Silence {
    if e.is::<Endless>() {
        Silence::Endless
    } else if caused_by(e, ErrorKind::ConnectionRefused) {
        Silence::Refused
    } else if timed_out(e) {
        // Also a connection that stands while its TLS handshake gets no answer: whether the
        // path stands is looked at afterwards.
        Silence::Silent
    } else if unconnected(e) {
        Silence::PathLost(root(e))
    } else {
        Silence::Refused
    }
}
