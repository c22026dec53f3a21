//! Requests that want the connection: which pod they are about, and whether they may.

use super::call::Call;
use super::error::Refusal;
use super::path::{self, Route};
use super::{Body, access, list};
use crate::lab::kube::{Key, User};
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

/// A command in a container.
#[derive(Debug)]
pub struct Exec {
    /// Which pod.
    pub key: Key,
    /// Which container.
    pub container: String,
    /// The command.
    pub argv: Vec<String>,
}

/// Ports of a pod.
#[derive(Debug)]
pub struct Forward {
    /// Which pod.
    pub key: Key,
    /// In the order of the channels.
    pub ports: Vec<u16>,
}

/// What a connection is wanted for.
#[derive(Debug)]
pub enum Upgrade {
    /// To run something.
    Exec(Exec),
    /// To reach ports.
    Forward(Forward),
}

/// What that request wants, or the answer that says why it does not get it.
pub fn upgrade(
    lab: &Lab,
    user: &User,
    request: &Request<impl Sized>,
) -> Result<Upgrade, Box<Response<Body>>> {
    read(lab, user, request).map_err(|refusal| Box::new(refusal.response()))
}

/// The answer to who speaks none of the protocols.
pub fn no_protocol() -> Response<Body> {
    let message =
        "unable to upgrade: the lab speaks v5.channel.k8s.io and v4.channel.k8s.io over websockets";
    Refusal::bad(message).response()
}

fn read(lab: &Lab, user: &User, request: &Request<impl Sized>) -> Result<Upgrade, Refusal> {
    let Route::Objects(place) = path::route(request.uri().path()) else {
        return Err(Refusal::no_resource());
    };
    if place.kind.id != "pods" || !matches!(place.sub.as_str(), "exec" | "portforward") {
        return Err(Refusal::no_resource());
    }
    let bare = Request::builder().method(request.method()).uri(request.uri()).body(Bytes::new());
    let bare = bare.map_err(|e| Refusal::bad(&e.to_string()))?;
    let call = Call::new(user, place, &bare)?;
    lab.with(|world| access::check(world, &call))?;
    lab.with(|world| wanted(world, &call))
}

fn wanted(world: &World, call: &Call) -> Result<Upgrade, Refusal> {
    let pod = list::found(world, call)?;
    let key = call.key();
    if call.place.sub == "portforward" {
        let ports: Vec<u16> = call
            .query
            .all("ports")
            .iter()
            .flat_map(|p| p.split(','))
            .filter_map(|p| p.parse().ok())
            .collect();
        if ports.is_empty() {
            return Err(Refusal::bad("query parameter \"port\" is required"));
        }
        return Ok(Upgrade::Forward(Forward { key, ports }));
    }
    let container = container(call, &pod)?;
    let argv = call.query.all("command").to_vec();
    if argv.is_empty() {
        return Err(Refusal::bad("you must specify at least 1 command for the container"));
    }
    Ok(Upgrade::Exec(Exec { key, container, argv }))
}

fn container(call: &Call, pod: &Value) -> Result<String, Refusal> {
    let list = pod["spec"]["containers"].as_array();
    let names: Vec<&str> = list.into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
    let name = call.query.get("container").or(names.first().copied()).unwrap_or_default();
    if !names.contains(&name) {
        return Err(Refusal::bad(&format!(
            "container {name} is not valid for pod {}",
            call.name()
        )));
    }
    let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let status = statuses.find(|s| s["name"] == json!(name));
    if status.is_none_or(|s| !s["state"]["running"].is_object()) {
        let message = format!("unable to upgrade connection: container not found (\"{name}\")");
        return Err(Refusal::internal(&message));
    }
    Ok(name.to_owned())
}
