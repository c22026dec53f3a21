//! Reading TOML tables key by key: what is wrong with one is noted, and the rest is read.

use crate::runbook::lint::Lint;
use crate::runbook::parse::of_toml;
use crate::runbook::types::nearest;
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::collections::BTreeSet;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) type Table<'i> = DeTable<'i>;

pub(super) fn take<'i>(table: &mut Table<'i>, key: &str) -> Option<Spanned<DeValue<'i>>> {
    let found = table.keys().find(|k| k.get_ref() == key)?.clone();
    table.remove(&found)
}

pub(super) fn read<T: DeserializeOwned>(lint: &mut Lint, value: Spanned<DeValue<'_>>) -> Option<T> {
    let span = value.span();
    match T::deserialize(value.into_deserializer()) {
        Ok(value) => Some(value),
        Err(e) => {
            let e: toml::de::Error = e;
            lint.problems.push(of_toml(&e, span));
            None
        }
    }
}

/// The tables of `[[name]]`.
pub(super) fn tables<'i>(
    lint: &mut Lint,
    table: &mut Table<'i>,
    name: &str,
) -> Vec<Spanned<DeValue<'i>>> {
    let Some(value) = take(table, name) else { return Vec::new() };
    let span = value.span();
    match value.into_inner() {
        DeValue::Array(list) => list.into_iter().collect(),
        _ => {
            lint.error(span, format!("`{name}` is no list of tables"), format!("write [[{name}]]"));
            Vec::new()
        }
    }
}

pub(super) fn into_table<'i>(
    lint: &mut Lint,
    value: Spanned<DeValue<'i>>,
    what: &str,
) -> Option<Table<'i>> {
    let span = value.span();
    match value.into_inner() {
        DeValue::Table(table) => Some(table),
        _ => {
            lint.error(span, format!("{what} is no table"), format!("write a table for {what}"));
            None
        }
    }
}

pub(super) fn required<T: DeserializeOwned>(
    lint: &mut Lint,
    table: &mut Table<'_>,
    key: &str,
    at: &Range<usize>,
) -> Option<T> {
    match take(table, key) {
        Some(value) => read(lint, value),
        None => {
            lint.error(at.clone(), format!("`{key}` is missing"), format!("add {key} = …"));
            None
        }
    }
}

/// What is left in a table was not asked for.
pub(super) fn leftover(lint: &mut Lint, table: &Table<'_>, known: &[&str]) {
    let known: Vec<String> = known.iter().map(|k| (*k).to_owned()).collect();
    for key in table.keys() {
        let near = nearest(key.get_ref(), known.iter());
        lint.error(key.span(), format!("`{}` is not known here", key.get_ref()), near);
    }
}

/// Ids are used in addresses and file names.
pub(crate) fn check_id(
    lint: &mut Lint,
    id: &Spanned<String>,
    seen: &mut BTreeSet<String>,
    what: &str,
) {
    let text = id.get_ref();
    let fine = !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !fine {
        lint.error(
            id.span(),
            format!("`{text}` cannot be the id of a {what}"),
            "use lower-case letters, digits and hyphens",
        );
    }
    if !seen.insert(text.clone()) {
        lint.error(
            id.span(),
            format!("there are two {what}s `{text}`"),
            "give each an id of its own",
        );
    }
}
