//! What protobuf messages lie in.

use prost::Message;

/// What messages begin with.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
pub struct TypeMeta {
    #[prost(string, tag = "1")]
    pub api_version: String,
    #[prost(string, tag = "2")]
    pub kind: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Unknown {
    #[prost(message, optional, tag = "1")]
    pub kind: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    pub raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(bytes = "vec", tag = "1")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchEvent {
    #[prost(string, tag = "1")]
    what: String,
    #[prost(message, optional, tag = "2")]
    object: Option<Raw>,
}

/// A message with what it is.
pub fn enveloped(version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let kind = TypeMeta { api_version: version.to_owned(), kind: kind.to_owned() };
    let unknown = Unknown { kind: Some(kind), raw: message.to_vec() };
    [MAGIC, &unknown.encode_to_vec()].concat()
}

/// An event of a watch, with its length before it.
pub fn frame(what: &str, version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let raw = enveloped(version, kind, message);
    let event = WatchEvent { what: what.to_owned(), object: Some(Raw { raw }) };
    let bytes = event.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &bytes].concat()
}

/// Takes a message out.
pub fn opened(body: &[u8]) -> Result<Unknown, String> {
    let message = body.strip_prefix(MAGIC).ok_or("it does not begin as protobuf does")?;
    Unknown::decode(message).map_err(|e| e.to_string())
}
