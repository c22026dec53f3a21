//! The API server: requests in, answers out, over a lab's objects.
//!
//! Everything but watches and followed logs is answered at once, inside one
//! [`Lab::with`](crate::lab::Lab::with). Bodies are held to recorded answers of Kubernetes
//! 1.34; where they differ on purpose, the function says so.

mod access;
mod admission;
mod apply;
mod call;
mod columns;
mod discovery;
mod envelope;
mod error;
mod fields;
mod form;
mod list;
mod logs;
mod merge;
mod openapi;
mod patch;
mod path;
mod pod_cells;
mod pod_defaults;
mod proto;
mod proto_in;
mod remove;
mod reply;
mod scale;
mod select;
mod table;
mod typed;
mod upgrade;
mod validate;
mod watch;
mod write;

#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;

pub use self::admission::admit;
use self::call::{Call, Done};
use self::error::Refusal;
use self::path::{Query, Route};
pub use self::upgrade::{Exec, Forward, Upgrade, no_protocol, upgrade};
use crate::lab::faults::kind_of;
use crate::lab::kube::{User, faults};
use crate::lab::{Lab, World};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use std::collections::BTreeSet;

/// An answer's body. Its errors are connections that break off.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Answers a request of someone.
pub async fn answer(lab: &Lab, user: &User, request: Request<Bytes>) -> Response<Body> {
    let slow =
        lab.with(|world| world.suffers(faults::API_SLOW).then(|| world.chance.between(1000, 3000)));
    if let Some(milliseconds) = slow {
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
    }
    match resolve(lab, user, request) {
        Ok(response) => response,
        Err(refusal) => {
            if refusal.code() == 504 {
                // The real server hopes that its cache catches up.
                tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            }
            refusal.response()
        }
    }
}

/// The answer to a request whose token nobody knows.
#[must_use]
pub fn unauthorized() -> Response<Body> {
    Refusal::unauthorized().response()
}

/// The answer to a request whose body is too large, or ended before it was whole.
#[must_use]
pub fn unread(too_large: bool) -> Response<Body> {
    match too_large {
        true => Refusal::too_large().response(),
        false => Refusal::bad("unexpected EOF").response(),
    }
}

fn resolve(lab: &Lab, user: &User, request: Request<Bytes>) -> Result<Response<Body>, Refusal> {
    match path::route(request.uri().path()) {
        Route::NoResource => Err(Refusal::no_resource()),
        Route::Other if request.uri().path() == "/lab" => Ok(of_the_lab(lab)),
        Route::Other => Ok(discovery::answer(&request)),
        Route::Review(plural) => {
            let object = access::review(lab, user, plural, &request)?;
            Ok(reply::bytes(201, reply::JSON, object.to_string()))
        }
        Route::Objects(place) => {
            let call = Call::new(user, place, &request)?;
            lab.with(|world| access::check(world, &call))?;
            if call.watches() {
                return watch::open(lab, &call);
            }
            if call.place.sub == "log" && call.method == Method::GET {
                return logs::answer(lab, &call);
            }
            let path = request.uri().path();
            lab.with(|world| {
                let done = unary(world, &call);
                // Renewals of leases change nothing, and would push out what does.
                let deed = call.method != Method::GET && call.place.kind.kind != "Lease";
                if done.is_ok() && deed && matches!(call.dry_run(), Ok(false)) {
                    world.did(format!("{} {path}", call.method), call.bound_to().as_str());
                }
                done
            })
        }
    }
}

/// What no real server has: that this is a lab, its clock, what goes wrong in it, and what
/// was changed by requests.
fn of_the_lab(lab: &Lab) -> Response<Body> {
    let body = lab.with(|world| {
        let faults: BTreeSet<&str> = world.faults.iter().map(|entry| kind_of(entry)).collect();
        let now = world.now.to_string();
        serde_json::json!({"lab": true, "now": now, "faults": faults, "deeds": &world.deeds})
    });
    reply::bytes(200, reply::JSON, body.to_string())
}

fn unary(world: &mut World, call: &Call) -> Result<Response<Body>, Refusal> {
    let named = call.place.name.is_some();
    let sub = call.place.sub.as_str();
    let kind = call.place.kind;
    if !matches!((kind.id, sub), (_, "") | ("pods", "eviction")) && !kind.sub.contains(&sub) {
        return Err(Refusal::no_resource());
    }
    let done = match (&call.method, named, sub) {
        (&Method::GET, false, _) => return list::list(world, call),
        (&Method::GET, true, "scale") => scale::get(world, call)?,
        (&Method::GET, true, _) => list::get(world, call)?,
        (&Method::POST, true, "eviction") => remove::evict(world, call)?,
        (&Method::POST, false, _) => write::create(world, call)?,
        (&Method::PUT, true, "scale") => scale::put(world, call)?,
        (&Method::PUT, true, _) => write::put(world, call)?,
        (&Method::PATCH, true, _) => patch::patch(world, call)?,
        (&Method::DELETE, true, "") => remove::one(world, call)?,
        (&Method::DELETE, false, _) => return remove::collection(world, call),
        _ => return Err(Refusal::not_allowed()),
    };
    let (code, warning, body) = match done {
        Done::Object(code, object) => (code, None, form::object(world.now, call, &object)),
        Done::Warned(code, object, warning) => {
            (code, Some(warning), form::object(world.now, call, &object))
        }
        Done::Status(code, status) => (code, None, status.to_string().into()),
    };
    let mut response = reply::bytes(code, form::content_type(call.form), body);
    if let Some(value) = warning.and_then(|w| format!("299 - \"{w}\"").parse().ok()) {
        response.headers_mut().insert(http::header::WARNING, value);
    }
    Ok(response)
}

/// The query of a request.
pub(super) fn query(request: &Request<impl Sized>) -> Query {
    Query::of(request.uri().query())
}
