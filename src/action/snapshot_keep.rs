//! A snapshot becomes an anchor: checked, named, copied, compared.

use crate::action::Say;
use crate::action::snapshot_read::{Checked, check_snapshot, sha256};
use crate::event::{Stream, Time};
use crate::remote::Machine;
use serde_json::{Value, json};
use std::path::Path;

/// Where an anchor is kept.
pub(super) struct Kept<'a> {
    pub(super) machine: &'a dyn Machine,
    pub(super) path: &'a Path,
    pub(super) copy: &'a Path,
}

impl Kept<'_> {
    /// Checks, gives the file its name, copies, compares; durable in both places. None of one that
    /// ends too early and can be taken again.
    pub(super) fn keep(
        &self,
        part: &Path,
        (index, again): (i64, bool),
        bytes: u64,
        now: Time,
        say: &Say,
    ) -> Result<Option<Value>, String> {
        let Self { machine, path, copy } = *self;
        let checked = check_snapshot(machine, part)?;
        if checked.index < index {
            let short = format!(
                "the snapshot ends at index {}, before the commit index {index} that was read first",
                checked.index
            );
            if again {
                say(Stream::Note, format!("{short}; it is taken again"));
                return Ok(None);
            }
            return Err(short);
        }
        machine.rename(part, path).map_err(|e| format!("{}: {e}", path.display()))?;
        say(
            Stream::Note,
            format!("checked: index {}, {bytes} bytes, sha256 {}", checked.index, checked.sha256),
        );
        machine.copy(path, copy).map_err(|e| format!("{}: {e}", copy.display()))?;
        let second = sha256(machine, copy)?;
        if second != checked.sha256 {
            return Err(format!("the second copy differs: sha256 {second} at {}", copy.display()));
        }
        say(Stream::Note, format!("second copy is the same: {}", copy.display()));
        Ok(Some(result(path, bytes, &checked, 2, now)))
    }
}

pub(super) fn result(path: &Path, bytes: u64, checked: &Checked, copies: u32, at: Time) -> Value {
    json!({
        "path": path, "bytes": bytes, "index": checked.index, "sha256": checked.sha256,
        "checked": true, "copies": copies, "at": at,
    })
}
