//! Arguments of a call, after templates were filled in.

use crate::runbook::model::{Arg, Call};

pub(crate) struct Args<'a>(&'a Call<String>);

impl<'a> Args<'a> {
    pub(crate) fn new(call: &'a Call<String>) -> Self {
        Self(call)
    }

    /// A text that must be there; empty counts as missing, since a template can give it.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str, String> {
        self.opt(name).ok_or_else(|| format!("`{}` wants `{name}`, and it is empty", self.0.verb))
    }

    pub(crate) fn opt(&self, name: &str) -> Option<&'a str> {
        match self.0.args.get(name) {
            Some(Arg::Text(s)) if !s.is_empty() => Some(s),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.0.args.get(name), Some(Arg::Bool(true)))
    }

    pub(crate) fn list(&self, name: &str) -> &'a [String] {
        match self.0.args.get(name) {
            Some(Arg::List(list)) => list,
            _ => &[],
        }
    }
}
