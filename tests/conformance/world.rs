//! What a case has in its hands.

use super::answer::{Answer, Wrong, wrong};
use super::voter::Voter;
use super::{Act, Servers, User};
use futures::StreamExt;
use http::{Method, Request};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Nothing takes longer than this, unless it hangs.
pub const HANG: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(200);
/// How long something has to stay as it is to count as staying.
const A_WHILE: usize = 8;
/// The last exchanges of a case.
pub type Log = Rc<RefCell<Vec<String>>>;

/// What a case has: the servers, a namespace of its own, and its log.
pub struct World {
    pub servers: Rc<dyn Servers>,
    pub ns: String,
    /// The administrator.
    pub kube: Kube,
    pub log: Log,
}

impl World {
    pub async fn new(servers: Rc<dyn Servers>, case: &str) -> Self {
        let log = Log::default();
        let client = servers.kube(&User::Admin).await;
        let kube = Kube { client, log: log.clone(), servers: servers.clone() };
        Self { servers, ns: format!("conf-{}", case.replace('_', "-")), kube, log }
    }

    pub async fn make_namespace(&self) -> Result<(), Wrong> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.ns}});
        self.kube.post("/api/v1/namespaces", &body).await?.code(201)?;
        Ok(())
    }

    pub async fn user(&self, user: User) -> Kube {
        let client = self.servers.kube(&user).await;
        Kube { client, log: self.log.clone(), servers: self.servers.clone() }
    }

    /// Path of something of the core group in this case's namespace.
    pub fn core(&self, what: &str) -> String {
        format!("/api/v1/namespaces/{}/{what}", self.ns)
    }

    /// The same in the group apps.
    pub fn apps(&self, what: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/{what}", self.ns)
    }

    pub fn vault(&self, n: usize) -> Voter {
        Voter::new(n, self.servers.clone(), self.log.clone())
    }

    pub async fn wait(&self, how_long: Duration) {
        self.servers.wait(how_long).await;
    }

    pub async fn act(&self, act: Act) {
        self.log.borrow_mut().push(format!("{act:?}"));
        self.servers.act(act).await;
    }

    /// Looks until it is so.
    pub async fn eventually<V>(
        &self,
        what: &str,
        look: impl AsyncFn() -> Result<V, Wrong>,
    ) -> Result<V, Wrong> {
        let mut last = Wrong(String::new());
        let started = Instant::now();
        for _ in 0..HANG.as_millis() / STEP.as_millis() {
            if started.elapsed() > HANG * 2 {
                break;
            }
            match look().await {
                Ok(it) => return Ok(it),
                Err(not) => last = not,
            }
            self.wait(STEP).await;
        }
        Err(Wrong(format!("  waited for {what}\n{}", last.0)))
    }

    /// Looks for a while; it has to be so all the time.
    pub async fn stays(
        &self,
        what: &str,
        look: impl AsyncFn() -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        for _ in 0..A_WHILE {
            if let Err(not) = look().await {
                return Err(Wrong(format!("  it was to stay so: {what}\n{}", not.0)));
            }
            self.wait(STEP).await;
        }
        Ok(())
    }

    /// Waits until something is gone.
    pub async fn gone(&self, path: &str) -> Result<(), Wrong> {
        let look = async || self.kube.get(path).await?.code(404);
        self.eventually(&format!("{path} to be gone"), look).await?;
        Ok(())
    }

    /// Waits until something is there and has all of this.
    pub async fn becomes(&self, path: &str, wanted: Value) -> Result<Answer, Wrong> {
        let look = async || self.kube.get(path).await?.code(200)?.has(&wanted);
        self.eventually(&format!("{path} to have {wanted}"), look).await
    }
}

/// A user of the Kubernetes API.
pub struct Kube {
    client: Client,
    log: Log,
    servers: Rc<dyn Servers>,
}

impl Kube {
    pub async fn get(&self, path: &str) -> Result<Answer, Wrong> {
        self.ask(Method::GET, path, &[], None).await
    }

    /// As a Table, the way kubectl asks for it.
    pub async fn table(&self, path: &str) -> Result<Answer, Wrong> {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        self.ask(Method::GET, path, &[("accept", accept)], None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.ask(Method::POST, path, &[("content-type", "application/json")], Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.ask(Method::PUT, path, &[("content-type", "application/json")], Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, Wrong> {
        self.ask(Method::DELETE, path, &[], None).await
    }

    /// With DeleteOptions; kind and version are added.
    pub async fn delete_with(&self, path: &str, options: Value) -> Result<Answer, Wrong> {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        merge(&mut body, options);
        self.ask(Method::DELETE, path, &[("content-type", "application/json")], Some(&body)).await
    }

    pub async fn merge(&self, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.patch("application/merge-patch+json", path, body).await
    }

    pub async fn strategic(&self, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.patch("application/strategic-merge-patch+json", path, body).await
    }

    pub async fn json_patch(&self, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.patch("application/json-patch+json", path, body).await
    }

    pub async fn apply(&self, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.patch("application/apply-patch+yaml", path, body).await
    }

    pub async fn patch(&self, kind: &str, path: &str, body: &Value) -> Result<Answer, Wrong> {
        self.ask(Method::PATCH, path, &[("content-type", kind)], Some(body)).await
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<http::Response<Body>, Wrong> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|b| Body::from(b.to_string().into_bytes())).unwrap_or_else(Body::empty);
        let request = request.body(body).map_err(|e| Wrong(e.to_string()))?;
        self.client
            .send(request)
            .await
            .map_err(|e| Wrong(format!("  asked     {method} {path}\n  seen      {e}")))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Wrong> {
        let asked = format!("{method} {path}{}", shown(body));
        let work = async {
            let response = self.send(&method, path, headers, body).await?;
            let (parts, body) = response.into_parts();
            let raw = body.collect().await.map_err(|e| Wrong(format!("  asked {asked}\n  {e}")))?;
            Ok((parts, raw.to_bytes().to_vec()))
        };
        let Ok(done) = tokio::time::timeout(HANG, work).await else {
            return wrong(format!("an answer to {asked}"), "none");
        };
        let (parts, raw) = done?;
        Ok(answer(&self.log, asked.clone(), parts.status.as_u16(), parts.headers, raw))
    }

    /// A watch; `path` is that of a list, with a query that says `watch=true`.
    pub async fn watch(&self, path: &str) -> Result<Watch, Wrong> {
        self.watch_as(path, "application/json").await
    }

    pub async fn watch_as(&self, path: &str, accept: &str) -> Result<Watch, Wrong> {
        let response = self.send(&Method::GET, path, &[("accept", accept)], None).await?;
        let asked = format!("GET {path}");
        let code = response.status().as_u16();
        if code != 200 {
            let (parts, body) = response.into_parts();
            let raw = body.collect().await.map(|b| b.to_bytes().to_vec()).unwrap_or_default();
            let seen = answer(&self.log, asked, code, parts.headers, raw);
            return seen.code(200).and_then(|a| wrong("a stream", a.text()));
        }
        let stream = response.into_body().into_data_stream().boxed_local();
        let servers = self.servers.clone();
        Ok(Watch { asked, stream, rest: Vec::new(), log: self.log.clone(), servers })
    }
}

/// A stream of events.
pub struct Watch {
    asked: String,
    stream: futures::stream::LocalBoxStream<'static, Result<bytes::Bytes, kube::Error>>,
    rest: Vec<u8>,
    log: Log,
    servers: Rc<dyn Servers>,
}

impl Watch {
    /// The next event, or nothing when the stream was closed in good order.
    pub async fn next(&mut self) -> Result<Option<Value>, Wrong> {
        let mut steps = HANG.as_millis() / STEP.as_millis();
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).map_err(|e| {
                    Wrong(format!("  {}: {e} in {}", self.asked, String::from_utf8_lossy(&line)))
                })?;
                note(&self.log, format!("{} … {event}", self.asked));
                return Ok(Some(event));
            }
            tokio::select! {
                biased;
                data = self.stream.next() => match data {
                    Some(Ok(data)) => self.rest.extend_from_slice(&data),
                    Some(Err(e)) => return wrong(format!("{} to go on or to end", self.asked), e),
                    None if self.rest.is_empty() => return Ok(None),
                    None => return wrong("whole lines", String::from_utf8_lossy(&self.rest)),
                },
                () = self.servers.wait(STEP) => steps -= 1,
            }
            if steps == 0 {
                return wrong(format!("an event of {}", self.asked), "none");
            }
        }
    }

    /// The next event, of this type; its object.
    pub async fn expect(&mut self, kind: &str) -> Result<Value, Wrong> {
        match self.next().await? {
            Some(mut event) if event["type"] == kind => Ok(event["object"].take()),
            Some(event) => wrong(format!("{kind} of {}", self.asked), event),
            None => wrong(format!("{kind} of {}", self.asked), "the end"),
        }
    }

    pub async fn ends(&mut self) -> Result<(), Wrong> {
        match self.next().await? {
            None => Ok(()),
            Some(event) => wrong(format!("the end of {}", self.asked), event),
        }
    }
}

/// Notes an answer and reads it.
pub fn answer(
    log: &Log,
    asked: String,
    code: u16,
    headers: http::HeaderMap,
    raw: Vec<u8>,
) -> Answer {
    let mut body: Value = serde_json::from_slice(&raw).unwrap_or_default();
    // Who owns which field is noise, except where a case is about that.
    if !asked.contains("fieldManager")
        && let Some(meta) = body.get_mut("metadata").and_then(Value::as_object_mut)
    {
        meta.remove("managedFields");
    }
    note(log, format!("{asked} → {code} {}", String::from_utf8_lossy(&raw)));
    Answer { asked, code, headers, raw, body }
}

fn note(log: &Log, line: String) {
    let short: String = line.chars().take(700).collect();
    log.borrow_mut().push(short);
}

fn shown(body: Option<&Value>) -> String {
    body.map(|b| format!(" {b}")).unwrap_or_default()
}

/// Puts one object's fields over another's.
pub fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
