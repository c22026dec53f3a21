//! JSON that a server sent.

use serde_json::Value;

/// What it says, if it is JSON. By way of `str::parse`, which serde_json brings compiled: a debug
/// build's own copy of its generic reader takes ten times as long, and voters are asked all the time.
#[must_use]
pub fn json(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
