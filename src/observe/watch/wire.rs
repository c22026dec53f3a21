//! Requests, frames and events of watches, as JSON lines or protobuf.
//!
//! A client library's watcher speaks only JSON, keeps whole objects until it has handed
//! them over, and does not notice a connection that is open and dead; this is the part of
//! it that is needed here, on the library's client.

use crate::observe::watch::kinds::{Kind, Row, row};
use crate::observe::{pod, slim};
use crate::remote::{Trouble, trouble};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec, LinesCodec};
use tokio_util::io::StreamReader;

/// Why a request or a stream brought nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Broken {
    /// The version that was asked for is too old: all must be told anew (410 Gone).
    Expired,
    /// This server cannot begin a watch with what there is.
    NoInitialEvents,
    /// Anything else.
    Trouble(Trouble),
}

impl Broken {
    pub(super) fn silent(what: &str, time: Duration) -> Self {
        Self::Trouble(Trouble::Unreachable(format!("{what} for {} s", time.as_secs().max(1))))
    }

    fn odd(why: String) -> Self {
        Self::Trouble(Trouble::Unreachable(crate::text::clean_line(&why)))
    }
}

/// Longest object: etcd takes 1.5 MiB, JSON may double it.
const LONGEST: usize = 8 << 20;
/// Longest error that is read.
const ERROR: usize = 64 << 10;
/// What protobuf messages begin with outside of a stream.
const MAGIC: &[u8] = b"k8s\0";

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// Sends a GET; the answer's body if it was a success.
pub(super) async fn get(
    client: &Client,
    path: &str,
    accept: &str,
    deadline: Duration,
) -> Result<Body, Broken> {
    let request = http::Request::get(path).header(http::header::ACCEPT, accept);
    let request = request.body(Body::empty()).map_err(|e| Broken::odd(e.to_string()))?;
    let answer = async {
        let response = client.send(request).await.map_err(|e| Broken::Trouble(trouble(e)))?;
        let code = response.status().as_u16();
        let body = response.into_body();
        if code < 400 {
            return Ok(body);
        }
        let text = whole(body, ERROR).await.unwrap_or_default();
        Err(refusal(code, &text))
    };
    match tokio::time::timeout(deadline, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Broken::silent("no answer", deadline)),
    }
}

/// A body in one piece, up to a limit.
pub(super) async fn whole(body: Body, most: usize) -> Result<Bytes, Broken> {
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => {
            Err(Broken::odd(format!("the answer has more than {most} bytes")))
        }
        Err(e) => Err(Broken::odd(format!("the answer broke off: {e}"))),
    }
}

/// Opens a watch: frames, one an event.
pub(super) async fn watch(
    client: &Client,
    kind: Kind,
    namespace: Option<&str>,
    query: &str,
    deadline: Duration,
) -> Result<BoxStream<'static, Result<Bytes, Broken>>, Broken> {
    let path = format!("{}?watch=true&allowWatchBookmarks=true&{query}", kind.path(namespace));
    let accept = if kind.protobuf() { PROTOBUF } else { JSON };
    let body = get(client, &path, accept, deadline).await?;
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let broken = |e: std::io::Error| Broken::odd(format!("the watch broke off: {e}"));
    Ok(if kind.protobuf() {
        let codec = LengthDelimitedCodec::builder().max_frame_length(LONGEST).new_codec();
        FramedRead::new(reader, codec).map_ok(bytes::BytesMut::freeze).map_err(broken).boxed()
    } else {
        let frames = FramedRead::new(reader, LinesCodec::new_with_max_length(LONGEST));
        let broken = |e| Broken::odd(format!("the watch broke off: {e}"));
        frames.map_ok(Bytes::from).map_err(broken).boxed()
    })
}

/// What a server's error means here.
fn refusal(code: u16, body: &[u8]) -> Broken {
    let said = match body.strip_prefix(MAGIC) {
        Some(message) => unknown(message).and_then(StatusMessage::decode).ok(),
        None => serde_json::from_slice(body).ok(),
    };
    let said = said.unwrap_or_else(|| StatusMessage {
        message: String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
        code: 0,
    });
    // An error inside a stream has a code of its own.
    let code = u16::try_from(said.code).ok().filter(|c| *c > 0).unwrap_or(code);
    if code == 410 {
        return Broken::Expired;
    }
    if matches!(code, 400 | 422) && said.message.contains("sendInitialEvents") {
        return Broken::NoInitialEvents;
    }
    let status = Status::failure(&said.message, "").with_code(code);
    Broken::Trouble(trouble(kube::Error::Api(status.boxed())))
}

/// One event of a watch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// An object came or changed; its version.
    Put(Row, String),
    /// It went.
    Gone(Row, String),
    /// Nothing happened up to this version; `complete`: all there was has been told.
    Bookmark { version: String, complete: bool },
}

/// Decodes one frame.
pub(super) fn event(kind: Kind, frame: Bytes) -> Result<Event, Broken> {
    if kind.protobuf() { binary(frame).map_err(odd_message)? } else { json(kind, &frame) }
}

fn odd_message(e: prost::DecodeError) -> Broken {
    Broken::odd(format!("the watch sent something that cannot be read: {e}"))
}

/// `watch.Event` around `runtime.RawExtension`.
#[derive(Clone, PartialEq, prost::Message)]
struct EventMessage {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(message, optional, tag = "2")]
    object: Option<RawMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RawMessage {
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
}

/// `runtime.Unknown`, behind [`MAGIC`].
#[derive(Clone, PartialEq, prost::Message)]
struct UnknownMessage {
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
struct StatusMessage {
    #[prost(string, tag = "3")]
    #[serde(default)]
    message: String,
    #[prost(int32, tag = "6")]
    #[serde(default)]
    code: i32,
}

/// A bookmark is an object of the kind with nothing but a version, and perhaps a note.
#[derive(Clone, PartialEq, prost::Message)]
struct BookmarkMessage {
    #[prost(message, optional, tag = "1")]
    meta: Option<BookmarkMeta>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BookmarkMeta {
    #[prost(string, tag = "6")]
    version: String,
    #[prost(map = "string, string", tag = "12")]
    annotations: std::collections::HashMap<String, String>,
}

/// The annotation of the bookmark behind the initial events.
const COMPLETE: &str = "k8s.io/initial-events-end";

fn unknown(message: &[u8]) -> Result<Bytes, prost::DecodeError> {
    Ok(UnknownMessage::decode(message)?.raw)
}

fn binary(frame: Bytes) -> Result<Result<Event, Broken>, prost::DecodeError> {
    let event = EventMessage::decode(frame)?;
    let mut raw = event.object.unwrap_or_default().raw;
    if event.kind == "ERROR" {
        return Ok(Err(refusal(500, &raw)));
    }
    if raw.starts_with(MAGIC) {
        raw = UnknownMessage::decode(raw.slice(MAGIC.len()..))?.raw;
    }
    if event.kind == "BOOKMARK" {
        let meta = BookmarkMessage::decode(raw)?.meta.unwrap_or_default();
        let complete = meta.annotations.get(COMPLETE).is_some_and(|v| v == "true");
        return Ok(Ok(Event::Bookmark { version: meta.version, complete }));
    }
    let object = pod::Pod::decode(raw)?;
    let version = object.meta.as_ref().map(|m| m.resource_version.clone()).unwrap_or_default();
    let row = Row::Pod(pod::row(object));
    Ok(Ok(match event.kind.as_str() {
        "DELETED" => Event::Gone(row, version),
        _ => Event::Put(row, version),
    }))
}

#[derive(Deserialize)]
struct EventJson<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct ObjectJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaJson<'a> {
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(borrow, default, rename = "continue")]
    more: Cow<'a, str>,
    #[serde(default)]
    annotations: Option<std::collections::HashMap<String, String>>,
}

fn json(kind: Kind, frame: &[u8]) -> Result<Event, Broken> {
    let odd = |e: serde_json::Error| {
        Broken::odd(format!("the watch sent something that cannot be read: {e}"))
    };
    let event: EventJson<'_> = serde_json::from_slice(frame).map_err(odd)?;
    if event.kind == "ERROR" {
        return Err(refusal(500, event.object.get().as_bytes()));
    }
    let meta = serde_json::from_str::<ObjectJson<'_>>(event.object.get()).map_err(odd)?.metadata;
    let version = meta.resource_version.into_owned();
    if event.kind == "BOOKMARK" {
        let note = meta.annotations.as_ref().and_then(|a| a.get(COMPLETE));
        return Ok(Event::Bookmark { version, complete: note.is_some_and(|v| v == "true") });
    }
    let row = row(kind, event.object.get()).map_err(Broken::odd)?;
    Ok(match event.kind.as_ref() {
        "DELETED" => Event::Gone(row, version),
        _ => Event::Put(row, version),
    })
}

/// A page of a list.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) version: String,
    /// What the next page is asked with; empty behind the last.
    pub(super) more: String,
}

#[derive(Deserialize)]
struct ListJson<'a> {
    #[serde(borrow)]
    metadata: MetaJson<'a>,
    #[serde(borrow, deserialize_with = "slim::or_null")]
    items: Vec<&'a RawValue>,
}

/// One page of a list.
pub(super) async fn page(
    client: &Client,
    kind: Kind,
    namespace: Option<&str>,
    query: &str,
    deadline: Duration,
) -> Result<Page, Broken> {
    let path = format!("{}?{query}", kind.path(namespace));
    let body = get(client, &path, JSON, deadline).await?;
    let body = match tokio::time::timeout(deadline, whole(body, 64 << 20)).await {
        Ok(body) => body?,
        Err(_) => return Err(Broken::silent("the list stands still", deadline)),
    };
    let odd = |e: serde_json::Error| Broken::odd(format!("the list has something unreadable: {e}"));
    let list: ListJson<'_> = serde_json::from_slice(&body).map_err(odd)?;
    let rows: Result<_, _> = list.items.iter().map(|item| row(kind, item.get())).collect();
    Ok(Page {
        rows: rows.map_err(Broken::odd)?,
        version: list.metadata.resource_version.into_owned(),
        more: list.metadata.more.into_owned(),
    })
}

/// A frame as a server sends it: an object in its envelopes, with its length before it.
#[cfg(test)]
pub(super) fn frame(kind: &str, object: &impl Message) -> Vec<u8> {
    let inner = UnknownMessage { raw: object.encode_to_vec().into() };
    let raw = Bytes::from([MAGIC, &inner.encode_to_vec()].concat());
    let event = EventMessage { kind: kind.into(), object: Some(RawMessage { raw }) };
    let bytes = event.encode_to_vec();
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

/// The bookmark behind what there is, or any other one.
#[cfg(test)]
pub(super) fn bookmark(version: &str, complete: bool) -> Vec<u8> {
    let annotations = complete.then(|| (COMPLETE.to_owned(), "true".to_owned()));
    let meta =
        BookmarkMeta { version: version.into(), annotations: annotations.into_iter().collect() };
    frame("BOOKMARK", &BookmarkMessage { meta: Some(meta) })
}

/// An error inside a stream.
#[cfg(test)]
pub(super) fn error(code: i32, message: &str) -> Vec<u8> {
    frame("ERROR", &StatusMessage { message: message.into(), code })
}
