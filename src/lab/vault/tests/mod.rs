//! The API in every state, under a clock that waits for nobody.

mod client;
mod faults;
mod life;
mod recovery;
mod simulated;
mod snapshots;
mod status;
mod tokens;

use super::*;
use crate::event::Time;
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

pub(super) const NAMES: [&str; 3] = ["vault-0", "vault-1", "vault-2"];
pub(super) const DISKS: [&str; 3] = ["disk-0", "disk-1", "disk-2"];

/// Three healthy voters, vault-2 leads; the clock is tokio's.
pub(super) fn lab(seed: u64) -> Lab {
    let start: Time = "2026-04-25T16:18:00Z".parse().unwrap();
    let mut world = World::new(seed, start);
    initialise(&mut world, &NAMES, &DISKS, 2);
    let began = tokio::time::Instant::now();
    let clock = move || start + crate::event::Span(began.elapsed().as_millis() as u64);
    Lab::new(world, Arc::new(clock))
}

pub(super) async fn seconds(n: u64) {
    tokio::time::sleep(Duration::from_secs(n)).await;
}

pub(super) fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(format!("/v1/{path}"));
    if let Some(token) = token {
        request = request.header("X-Vault-Token", token);
    }
    request.body(Bytes::from(body.to_owned())).unwrap()
}

/// Asks with the root token; `None` where no answer comes within 2 s.
pub(super) async fn whole(
    lab: &Lab,
    voter: &str,
    request: Request<Bytes>,
) -> Option<Result<Response<Bytes>, ErrorKind>> {
    let asked = answer(lab, voter, request);
    let answered = tokio::time::timeout(Duration::from_secs(2), asked).await.ok()?;
    Some(answered.map_err(|e| e.kind()))
}

pub(super) async fn ask(lab: &Lab, voter: &str, method: &str, path: &str) -> (u16, Value) {
    send(lab, voter, method, path, "").await
}

pub(super) async fn send(
    lab: &Lab,
    voter: &str,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, Value) {
    let request = request(method, path, Some(ROOT_TOKEN), body);
    let reply = whole(lab, voter, request).await.expect("an answer").expect("a connection");
    let body = serde_json::from_slice(reply.body()).unwrap_or_default();
    (reply.status().as_u16(), body)
}

pub(super) async fn get(lab: &Lab, voter: &str, path: &str) -> (u16, Value) {
    ask(lab, voter, "GET", path).await
}

/// What it comes to when no answer does.
pub(super) async fn silence(lab: &Lab, voter: &str, path: &str) -> Option<ErrorKind> {
    match whole(lab, voter, request("GET", path, Some(ROOT_TOKEN), "")).await {
        None => None,
        Some(Err(kind)) => Some(kind),
        Some(Ok(reply)) => panic!("{path} at {voter} answered {}", reply.status()),
    }
}

pub(super) async fn code(lab: &Lab, voter: &str, path: &str) -> u16 {
    get(lab, voter, path).await.0
}

pub(super) fn leads(lab: &Lab) -> Option<String> {
    lab.with(|world| leader(world))
}
