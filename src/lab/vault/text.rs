//! JSON straight to text, for what the voters are asked every second: a tree of values is made
//! only to be written and dropped, and in a build for tests that was a tenth of a rehearsal.

use crate::event::Time;
use serde_json::Value;
use std::fmt::Write;

/// What can be written.
pub(super) trait Put {
    /// Writes it behind `out`.
    fn put(&self, out: &mut String);
}

/// A text that is JSON already.
pub(super) struct Text(pub String);

impl Put for Text {
    fn put(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

impl Put for str {
    fn put(&self, out: &mut String) {
        // Names and addresses need no escapes.
        let mut rest = self.as_bytes();
        while let [b' '..=b'!' | b'#'..=b'[' | b']'..=b'~', more @ ..] = rest {
            rest = more;
        }
        if rest.is_empty() {
            out.push('"');
            out.push_str(self);
            out.push('"');
        } else {
            out.push_str(&Value::from(self).to_string());
        }
    }
}

impl Put for String {
    fn put(&self, out: &mut String) {
        self.as_str().put(out);
    }
}

impl Put for bool {
    fn put(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

/// As they are printed.
macro_rules! numbers {
    ($($of:ty),*) => {
        $(impl Put for $of {
            fn put(&self, out: &mut String) {
                // Fails for no string.
                let _ = write!(out, "{self}");
            }
        })*
    };
}
numbers!(i32, i64, u64, usize);

impl Put for Time {
    fn put(&self, out: &mut String) {
        self.to_string().put(out);
    }
}

impl Put for () {
    fn put(&self, out: &mut String) {
        out.push_str("null");
    }
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, out: &mut String) {
        (**self).put(out);
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, out: &mut String) {
        match self {
            Some(value) => value.put(out),
            None => ().put(out),
        }
    }
}

impl<T: Put> Put for Vec<T> {
    fn put(&self, out: &mut String) {
        out.push('[');
        for (i, value) in self.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            value.put(out);
        }
        out.push(']');
    }
}

/// An object that is being written.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        let mut text = String::with_capacity(512);
        text.push('{');
        Self(text)
    }

    /// One more field. Its name is a word of Vault's, which needs no escapes.
    pub(super) fn field(mut self, name: &'static str, value: &dyn Put) -> Self {
        self.0.push_str(if self.0.len() > 1 { ",\"" } else { "\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
        value.put(&mut self.0);
        self
    }

    /// The same of a name that somebody gave.
    pub(super) fn entry(mut self, name: &str, value: &dyn Put) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        name.put(&mut self.0);
        self.0.push(':');
        value.put(&mut self.0);
        self
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// The text of an object, written as for `json!`; names are literals, and in the order in which
/// Vault writes them.
macro_rules! object {
    ($($name:literal: $value:expr),* $(,)?) => {
        crate::lab::vault::text::Object::new()$(.field($name, &$value))*.end()
    };
}
pub(super) use object;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_the_json_that_the_macro_of_serde_json_makes() {
        let odd = "a \"quote\", a \\ and\na line \u{1} é";
        let inner = object! { "n": 1_u64 };
        let text = object! {
            "text": odd, "own": String::from(odd), "yes": true, "no": false, "int": -3, "big": u64::MAX,
            "at": Time(61_002), "null": (), "none": None::<bool>, "some": Some("x"),
            "list": vec!["a", "b"], "empty": Vec::<String>::new(), "raw": Text(inner),
        };
        let told = json!({
            "text": odd, "own": odd, "yes": true, "no": false, "int": -3, "big": u64::MAX,
            "at": "1970-01-01T00:01:01.002Z", "null": null, "none": null, "some": "x",
            "list": ["a", "b"], "empty": [], "raw": {"n": 1},
        });
        assert_eq!(text.parse::<Value>().unwrap(), told);
        assert_eq!(object! {}, "{}");
        let named = Object::new().entry(odd, &1).entry("b", &2).end();
        assert_eq!(named.parse::<Value>().unwrap(), json!({odd: 1, "b": 2}));
    }
}
