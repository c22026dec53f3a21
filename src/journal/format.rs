//! A line and its hash.

use crate::event::Entry;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What stands for the hash of the line before the first.
pub const ZERO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Between an entry's fields and its hash.
pub(crate) const SEPARATOR: &str = ",\"hash\":\"";

/// The hash of a line's bytes up to the separator, after the line with hash `previous`.
pub(crate) fn hash(previous: &str, body: &[u8]) -> String {
    let mut sha = Sha256::new();
    sha.update(previous.as_bytes());
    sha.update(body);
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    let mut hex = String::with_capacity(64);
    for b in sha.finalize() {
        hex.push(digit(b >> 4));
        hex.push(digit(b & 15));
    }
    hex
}

/// An entry's line, with newline, and its hash.
pub fn line(entry: &Entry, previous: &str) -> Result<(String, String), serde_json::Error> {
    let mut text = serde_json::to_string(entry)?;
    // The closing brace comes after the hash.
    text.pop();
    let hash = hash(previous, text.as_bytes());
    let _ = writeln!(text, "{SEPARATOR}{hash}\"}}");
    Ok((text, hash))
}
