//! One voter, asked by itself.
//!
//! Our own client rather than a library's: each voter must be asked without redirects
//! (a stock client follows a 307 and sends the token to another host), with a deadline a
//! request, and `sys/leader`, `sys/ha-status` and the raft endpoints are in no library.

use crate::remote::Secret;
use crate::site::VoterAt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

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
    client: reqwest::Client,
    tunnel: Mutex<Option<Tunnel>>,
}

struct Tunnel {
    base: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl VoterClient {
    pub(crate) fn new(at: &VoterAt, namespace: &str, ca: Option<&[u8]>) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(2);
        if let Some(ca) = ca {
            let certificate =
                reqwest::Certificate::from_pem(ca).map_err(|e| format!("ca_file: {e}"))?;
            builder = builder.add_root_certificate(certificate);
        }
        Ok(Self {
            name: at.name.clone(),
            address: at.address.as_ref().map(|a| a.get_ref().trim_end_matches('/').to_owned()),
            forward: at.port_forward,
            namespace: namespace.to_owned(),
            client: builder.build().map_err(|e| e.to_string())?,
            tunnel: Mutex::new(None),
        })
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
    pub async fn base(&self, kube: Option<&kube::Client>) -> Result<String, Silence> {
        let mut lost = Silence::PathLost("it has no address".into());
        if let Some(address) = &self.address {
            match connect(address).await {
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
        let lost = |e: String| Silence::PathLost(e);
        let mut tunnel = self.tunnel.lock().await;
        if let Some(t) = tunnel.as_ref().filter(|t| !t.task.is_finished()) {
            return Ok(t.base.clone());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|e| lost(e.to_string()))?;
        let local = listener.local_addr().map_err(|e| lost(e.to_string()))?;
        let api: Api<Pod> = Api::namespaced(kube.clone(), &self.namespace);
        let pod = self.name.clone();
        // Asked once before it counts: a pod that is not there is a lost path.
        let first = tokio::time::timeout(DEADLINE, api.portforward(&pod, &[port])).await;
        match first {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => return Err(lost(crate::remote::trouble(e).to_string())),
            Err(_) => return Err(lost("port-forward does not answer".into())),
        }
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (api, pod) = (api.clone(), pod.clone());
                tokio::spawn(async move {
                    if let Ok(mut forward) = api.portforward(&pod, &[port]).await
                        && let Some(mut stream) = forward.take_stream(port)
                    {
                        // Either side closing ends it; there is nobody to tell.
                        let _ = copy_bidirectional(&mut socket, &mut stream).await;
                    }
                });
            }
        });
        let base = format!("http://{local}");
        *tunnel = Some(Tunnel { base: base.clone(), task });
        Ok(base)
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
        let response = async {
            let started = Instant::now();
            let response =
                self.request(base, method, path, token).send().await.map_err(|e| silence(&e))?;
            let code = response.status().as_u16();
            let bytes = response.bytes().await.map_err(|e| silence(&e))?;
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            Ok(Asked { code, body, latency: started.elapsed() })
        };
        match tokio::time::timeout(deadline.unwrap_or(DEADLINE), response).await {
            Ok(answer) => answer,
            Err(_) => Err(Silence::Silent),
        }
    }

    /// A request to be sent, as for a snapshot's stream.
    pub fn request(
        &self,
        base: &str,
        method: reqwest::Method,
        path: &str,
        token: Option<&Secret>,
    ) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .request(method, format!("{base}/v1/{path}"))
            .header("X-Vault-Request", "true")
            .header("X-Vault-No-Request-Forwarding", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", token.reveal());
        }
        request
    }

    pub(crate) async fn cluster_id(&self, kube: Option<&kube::Client>) -> Option<String> {
        let base = self.base(kube).await.ok()?;
        let asked =
            self.ask(&base, reqwest::Method::GET, "sys/seal-status", None, None).await.ok()?;
        asked.body.get("cluster_id")?.as_str().map(str::to_owned)
    }
}

/// Whether anything listens there, without asking it anything.
async fn connect(address: &str) -> Result<(), Silence> {
    let lost = |e: String| Silence::PathLost(e);
    let url = reqwest::Url::parse(address).map_err(|e| lost(e.to_string()))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(8200);
    match tokio::time::timeout(CONNECT, TcpStream::connect((host.as_str(), port))).await {
        Err(_) => Err(lost("time-out on connect".into())),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => Err(Silence::Refused),
        Ok(Err(e)) => Err(lost(e.to_string())),
    }
}

fn silence(e: &reqwest::Error) -> Silence {
    if e.is_connect() && e.is_timeout() {
        Silence::PathLost("time-out on connect".into())
    } else if e.is_timeout() {
        Silence::Silent
    } else {
        Silence::Refused
    }
}
