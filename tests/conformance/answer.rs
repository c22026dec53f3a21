//! An answer, and what is expected of it.

use http::HeaderMap;
use serde_json::{Value, json};

/// What was expected and what was seen.
#[derive(Debug)]
pub struct Wrong(pub String);

pub type Done = Result<(), Wrong>;

/// Fails with what was expected and seen.
pub fn wrong<V>(
    expected: impl std::fmt::Display,
    seen: impl std::fmt::Display,
) -> Result<V, Wrong> {
    Err(Wrong(format!("  expected  {expected}\n  seen      {seen}")))
}

/// Fails unless it is so.
pub fn so(is: bool, expected: impl std::fmt::Display, seen: impl std::fmt::Display) -> Done {
    if is { Ok(()) } else { wrong(expected, seen) }
}

/// An answer; code 0 is none at all.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method, path and body.
    pub asked: String,
    pub code: u16,
    pub headers: HeaderMap,
    pub raw: Vec<u8>,
    /// The body, if it is JSON.
    pub body: Value,
}

impl Answer {
    fn wrong<V>(&self, expected: impl std::fmt::Display) -> Result<V, Wrong> {
        Err(Wrong(format!(
            "  asked     {}\n  expected  {expected}\n  seen      {} {}",
            self.asked,
            self.code,
            self.text()
        )))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).trim().to_owned()
    }

    pub fn code(self, code: u16) -> Result<Self, Wrong> {
        if self.code == code { Ok(self) } else { self.wrong(code) }
    }

    /// The body has all of this: objects may have more, lists not. The text `$any` stands for
    /// whatever is there, `$absent` for nothing.
    pub fn has(self, wanted: &Value) -> Result<Self, Wrong> {
        match difference(wanted, Some(&self.body), "") {
            None => Ok(self),
            Some(it) => self.wrong(it),
        }
    }

    /// The body is this and nothing more.
    pub fn is(self, wanted: &Value) -> Result<Self, Wrong> {
        if self.body == *wanted { Ok(self) } else { self.wrong(wanted) }
    }

    /// A whole Status of Kubernetes, with nothing that is not said here.
    pub fn refused(
        self,
        code: u16,
        reason: &str,
        message: &str,
        details: &Value,
    ) -> Result<Self, Wrong> {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        if !details.is_null() {
            status["details"] = details.clone();
        }
        self.code(code)?.is(&status)
    }

    /// Whole body of Vault's errors.
    pub fn errors(self, code: u16, errors: &[&str]) -> Result<Self, Wrong> {
        self.code(code)?.is(&json!({ "errors": errors }))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// A text in the body; empty if there is none.
    pub fn word(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub fn number(&self, pointer: &str) -> Result<u64, Wrong> {
        match self.body.pointer(pointer).and_then(Value::as_u64) {
            Some(n) => Ok(n),
            None => self.wrong(format!("a number at {pointer}")),
        }
    }

    pub fn list(&self, pointer: &str) -> Result<&Vec<Value>, Wrong> {
        match self.body.pointer(pointer).and_then(Value::as_array) {
            Some(list) => Ok(list),
            None => self.wrong(format!("a list at {pointer}")),
        }
    }

    /// Names of a list's items, in its order.
    pub fn names(&self) -> Result<Vec<String>, Wrong> {
        let name = |i: &Value| i["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(self.list("/items")?.iter().map(name).collect())
    }

    pub fn uid(&self) -> String {
        self.word("/metadata/uid")
    }

    pub fn version(&self) -> String {
        self.word("/metadata/resourceVersion")
    }
}

/// Voters stand in the order in which they joined, which says nothing: by name, then.
fn by_node(list: &[Value]) -> Vec<&Value> {
    let mut list: Vec<&Value> = list.iter().collect();
    let name =
        |v: &Value| v.get("node_id").or(v.get("ID")).and_then(Value::as_str).map(str::to_owned);
    if list.iter().all(|v| name(v).is_some()) {
        list.sort_by_key(|v| name(v));
    }
    list
}

/// Where something is not as wanted.
pub fn difference(wanted: &Value, seen: Option<&Value>, at: &str) -> Option<String> {
    let differs = || {
        let seen = seen.map_or_else(|| "nothing".to_owned(), Value::to_string);
        Some(format!("{wanted} at {}, where {seen} is", if at.is_empty() { "/" } else { at }))
    };
    match (wanted, seen) {
        (Value::String(s), seen) if s == "$any" => {
            if seen.is_some() {
                None
            } else {
                differs()
            }
        }
        (Value::String(s), seen) if s == "$absent" => {
            if seen.is_none() {
                None
            } else {
                differs()
            }
        }
        (Value::Object(wanted), Some(Value::Object(seen))) => {
            wanted.iter().find_map(|(k, v)| difference(v, seen.get(k), &format!("{at}/{k}")))
        }
        // Nothing but absences are wanted of what is not there.
        (Value::Object(wanted), None) if wanted.values().all(|v| v == "$absent") => None,
        (Value::Array(all), Some(Value::Array(seen))) => {
            if all.len() != seen.len() {
                return differs();
            }
            let (all, seen) = (by_node(all), by_node(seen));
            let mut pairs = all.into_iter().zip(seen).enumerate();
            pairs.find_map(|(i, (w, s))| difference(w, Some(s), &format!("{at}/{i}")))
        }
        (wanted, Some(seen)) if wanted == seen => None,
        _ => differs(),
    }
}
