//! Watches: what there is, then every change, from the store's history.
//!
//! A watch has no task of its own: it is a stream that looks when it is asked for more, and
//! sleeps until the store has a new version, a bookmark is due or its time is over.

use super::call::Call;
use super::error::{Cause, Refusal};
use super::form::{self, Form};
use super::select::Selector;
use super::{Body, envelope, list, proto, reply, table};
use crate::event::Time;
use crate::lab::kube::{Change, Kind, Text, faults};
use crate::lab::{Changes, Heard, Lab, World};
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tokio::time::Instant;

/// Between bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Where none is asked for; the real server takes a half to a whole hour by chance.
const LONGEST: Duration = Duration::from_secs(45 * 60);
/// Objects of one piece of the body.
const PIECE: usize = 256;

struct Watch {
    lab: Lab,
    changes: Changes,
    kind: &'static Kind,
    scope: Option<String>,
    selector: Selector,
    form: Form,
    /// What there was at the beginning and is not told yet.
    first: VecDeque<Text>,
    /// Whether the end of that is to be told.
    mark_end: bool,
    /// Everything up to this version is told.
    at: u64,
    /// The version of the last thing that was told.
    told: u64,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    columns_told: bool,
    over: bool,
}

/// What a look at the world gave.
enum Look {
    /// Nothing yet.
    Nothing,
    /// Nothing may be told.
    Stale,
    Piece(Vec<u8>),
    Last(Vec<u8>),
    Broken,
}

pub fn open(lab: &Lab, call: &Call) -> Result<Response<Body>, Refusal> {
    let selector = list::selector(call)?;
    let asked = call.query.version()?;
    let wanted = initial(call)?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let changes = lab.changes(call.place.kind);
    let everything = wanted.unwrap_or(asked.unwrap_or(0) == 0);
    let (first, now) = lab.with(|world| {
        let current = world.store.version();
        let all = world
            .store
            .texts(call.place.kind, call.scope())
            .filter(|(key, text)| selector.is_empty() || selector.matches(&text.value(key.kind)));
        let first: VecDeque<Text> =
            if everything { all.map(|(_, t)| t.clone()).collect() } else { VecDeque::new() };
        (first, current)
    });
    let limit = call.query.number("timeoutSeconds").filter(|s| *s > 0);
    let start = Instant::now();
    let at = if everything { now } else { asked.unwrap_or(now) };
    let watch = Watch {
        lab: lab.clone(),
        changes,
        kind: call.place.kind,
        scope: call.scope().map(str::to_owned),
        selector,
        form: call.form,
        first,
        mark_end: wanted == Some(true) && bookmarks,
        at,
        told: at,
        bookmarks,
        next_bookmark: start + BOOKMARKS,
        // A year is for ever.
        deadline: start + limit.map_or(LONGEST, |s| Duration::from_secs(s.min(365 * 86_400))),
        columns_told: false,
        over: false,
    };
    let kind = match call.form {
        Form::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        _ => reply::JSON,
    };
    let pieces = futures::stream::unfold(watch, |mut watch| async move {
        watch.next().await.map(|piece| (piece, watch))
    });
    Ok(reply::stream(kind, pieces))
}

/// Whether all that there is is to be told first; none: nobody said.
fn initial(call: &Call) -> Result<Option<bool>, Refusal> {
    let (name, field) = ("sendInitialEvents", "resourceVersionMatch");
    let wanted = call.query.get(name).map(|_| call.query.flag(name));
    let matching = call.query.get(field);
    let forbidden = |why: &str| Refusal::options("ListOptions", Cause::forbidden(field, why));
    match (wanted, matching) {
        (Some(_), Some("NotOlderThan")) | (None, None) => Ok(wanted),
        (Some(_), _) => Err(forbidden(
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )),
        (None, Some(_)) => Err(forbidden(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
    }
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            if self.over {
                return None;
            }
            let heard = self.changes.mark_unchanged();
            let lab = self.lab.clone();
            let look = lab.with(|world| self.look(world, heard));
            let stale = matches!(look, Look::Stale);
            match look {
                Look::Piece(piece) => return Some(Ok(piece.into())),
                Look::Last(piece) => {
                    self.over = true;
                    return Some(Ok(piece.into()));
                }
                Look::Broken => {
                    self.over = true;
                    return Some(Err(Error::from(ErrorKind::ConnectionReset)));
                }
                Look::Nothing | Look::Stale => {}
            }
            let timer = async {
                if stale {
                    return std::future::pending().await;
                }
                let bookmark = if self.bookmarks { self.next_bookmark } else { self.deadline };
                tokio::time::sleep_until(bookmark.min(self.deadline)).await;
            };
            tokio::select! {
                biased;
                () = self.changes.changed() => {}
                () = timer => {
                    let now = Instant::now();
                    if now >= self.deadline {
                        return None;
                    }
                    self.next_bookmark = now + BOOKMARKS;
                    if let Some(piece) = self.bookmark() {
                        return Some(Ok(piece.into()));
                    }
                }
            }
        }
    }

    fn look(&mut self, world: &World, heard: Heard) -> Look {
        if world.suffers(faults::API_OUTAGE) {
            return Look::Broken;
        }
        self.at = self.at.max(heard.quiet);
        if world.suffers(faults::WATCH_STALE) {
            return Look::Stale;
        }
        if !self.first.is_empty() {
            let many = self.first.len().min(PIECE);
            let some: Vec<Text> = self.first.drain(..many).collect();
            let tell = |text: &Text| self.event(world.now, "ADDED", text, None);
            return Look::Piece(some.iter().flat_map(tell).collect());
        }
        if std::mem::take(&mut self.mark_end) {
            return Look::Piece(self.mark(world.now, self.at, true));
        }
        self.changes.all_told(heard);
        let Some(changes) = world.store.since(self.at) else {
            // Events have no cache, and the store says it in other words.
            let message = match self.kind.plural {
                "events" => "The resourceVersion for the provided watch is too old.".to_owned(),
                _ => format!("too old resource version: {} ({})", self.at, world.store.version()),
            };
            return Look::Last(self.error(&Refusal::expired(&message)));
        };
        let ours: Vec<&Change> = changes.filter(|c| self.is_ours(c)).collect();
        let mut piece = Vec::new();
        for change in ours {
            piece.extend(self.tell(world.now, change));
        }
        // A version of the future, as of another history, waits for its time.
        self.at = self.at.max(world.store.version());
        if piece.is_empty() {
            return Look::Nothing;
        }
        self.told = self.at;
        Look::Piece(piece)
    }

    fn is_ours(&self, change: &Change) -> bool {
        change.key.kind == self.kind
            && self.scope.as_ref().is_none_or(|scope| *scope == change.key.namespace)
    }

    /// A change as it looks through the selector.
    fn tell(&mut self, now: Time, change: &Change) -> Vec<u8> {
        let seen = |text: &Option<Text>| {
            let text = text.as_ref()?;
            let wanted = self.selector.is_empty() || self.selector.matches(&text.value(self.kind));
            wanted.then(|| text.clone())
        };
        match (seen(&change.old), seen(&change.new)) {
            (None, Some(new)) => self.event(now, "ADDED", &new, None),
            (Some(_), Some(new)) => self.event(now, "MODIFIED", &new, None),
            // As it was last, with the version of its going.
            (Some(old), None) => self.event(now, "DELETED", &old, Some(change.version)),
            (None, None) => Vec::new(),
        }
    }

    fn event(&mut self, now: Time, what: &str, text: &Text, version: Option<u64>) -> Vec<u8> {
        if self.form == Form::Json && version.is_none() {
            return line(what, &text.whole(self.kind));
        }
        let mut object = text.value(self.kind);
        if let Some(version) = version {
            object["metadata"]["resourceVersion"] = json!(version.to_string());
        }
        match self.form {
            Form::Json => line(what, &object.to_string()),
            Form::Metadata => line(what, &form::metadata(&object).to_string()),
            Form::Table(include) => {
                let row = table::row(now, self.kind, &object, include);
                self.table(what, &object["metadata"]["resourceVersion"], row)
            }
            Form::Protobuf => envelope::frame(what, "v1", "Pod", &proto::pod(&object)),
        }
    }

    fn table(&mut self, what: &str, version: &Value, row: Value) -> Vec<u8> {
        let told = std::mem::replace(&mut self.columns_told, true);
        let columns = if told { Value::Null } else { table::columns(self.kind) };
        line(what, &table::table(version, columns, json!([row])).to_string())
    }

    /// A bookmark, if anything happened since the last that was told.
    fn bookmark(&mut self) -> Option<Vec<u8>> {
        let (now, version) = self.lab.with(|world| (world.now, world.store.version()));
        if version <= self.told {
            return None;
        }
        self.told = version;
        Some(self.mark(now, version, false))
    }

    fn mark(&mut self, now: Time, version: u64, end: bool) -> Vec<u8> {
        let mut object = json!({
            "kind": self.kind.kind, "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": version.to_string()},
        });
        if end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        match self.form {
            Form::Json => line("BOOKMARK", &object.to_string()),
            Form::Metadata => line("BOOKMARK", &form::metadata(&object).to_string()),
            Form::Table(_) => {
                let row = table::row(now, self.kind, &object, form::Include::Metadata);
                self.table("BOOKMARK", &object["metadata"]["resourceVersion"], row)
            }
            Form::Protobuf => envelope::frame("BOOKMARK", "v1", "Pod", &proto::pod(&object)),
        }
    }

    fn error(&self, refusal: &Refusal) -> Vec<u8> {
        match self.form {
            Form::Protobuf => {
                envelope::frame("ERROR", "v1", "Status", &proto::status(refusal.status()))
            }
            _ => line("ERROR", &refusal.status().to_string()),
        }
    }
}

fn line(what: &str, object: &str) -> Vec<u8> {
    format!("{{\"type\":\"{what}\",\"object\":{object}}}\n").into_bytes()
}
