//! Rows of one kind, sorted by key, shared between those who hold a picture of the world.

use crate::world::{Keyed, Rows};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Index;
use std::sync::Arc;

/// A table of rows, sorted by namespace and name, so that rows do not jump on the screen.
/// A clone costs one counter, a change one pointer a row: the state is published after
/// every fold, and a cluster may have 20,000 pods.
#[derive(Debug, PartialEq, Eq)]
pub struct Table<T>(Arc<Vec<Arc<T>>>);

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Table<T> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A row by its place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place).map(|row| &**row)
    }

    /// All of it, to replace what was there.
    #[must_use]
    pub fn to_rows(&self) -> Rows<T> {
        Rows { upsert: self.0.to_vec(), remove: Vec::new(), whole: true }
    }

    /// Rows in their order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.0.iter())
    }
}

impl<T: Keyed> Table<T> {
    fn place(&self, namespace: &str, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|row| order(&**row, namespace, name))
    }

    /// The row of that name; the namespace is empty for kinds that have none.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str) -> Option<&T> {
        self.place(namespace, name).ok().and_then(|i| self.get(i))
    }

    /// Whether a namespace has any row; looks at a few rows, not at all of them.
    #[must_use]
    pub fn has_namespace(&self, namespace: &str) -> bool {
        let at = self.0.partition_point(|row| row.namespace() < namespace);
        self.get(at).is_some_and(|row| row.namespace() == namespace)
    }

    /// Puts rows in and takes rows out.
    pub fn apply(&mut self, rows: &Rows<T>) {
        if rows.whole {
            self.0 = Arc::default();
        }
        for key in &rows.remove {
            let (namespace, name) = key.split_once('/').unwrap_or(("", key));
            self.remove(namespace, name);
        }
        for row in &rows.upsert {
            self.put(Arc::clone(row));
        }
    }

    /// Puts one row in.
    pub fn put(&mut self, row: Arc<T>) {
        let place = self.place(row.namespace(), row.name());
        let rows = Arc::make_mut(&mut self.0);
        match place {
            Ok(i) => rows[i] = row,
            Err(i) => rows.insert(i, row),
        }
    }

    /// Takes one row out, if it is there.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        if let Ok(i) = self.place(namespace, name) {
            Arc::make_mut(&mut self.0).remove(i);
        }
    }

    /// Keeps the rows that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool) {
        if self.iter().all(&mut wanted) {
            return;
        }
        Arc::make_mut(&mut self.0).retain(|row| wanted(row));
    }
}

impl<T: Keyed + PartialEq> Table<T> {
    /// What turns `old` into this table. Rows that both share cost one comparison of
    /// pointers.
    #[must_use]
    pub fn since(&self, old: &Self) -> Rows<T> {
        let mut rows = Rows::default();
        let mut before = old.0.iter().peekable();
        for row in self.0.iter() {
            let gone = |b: &&Arc<T>| order(&***b, row.namespace(), row.name()) == Ordering::Less;
            // The usual case first: the very same row in both.
            if before.next_if(|b| Arc::ptr_eq(b, row)).is_some() {
                continue;
            }
            while let Some(b) = before.next_if(gone) {
                rows.remove.push(b.key());
            }
            let same =
                before.next_if(|b| order(&***b, row.namespace(), row.name()) == Ordering::Equal);
            if same.is_none_or(|b| !Arc::ptr_eq(b, row) && b != row) {
                rows.upsert.push(Arc::clone(row));
            }
        }
        rows.remove.extend(before.map(|b| b.key()));
        rows
    }
}

fn order<T: Keyed>(row: &T, namespace: &str, name: &str) -> Ordering {
    row.namespace().cmp(namespace).then_with(|| row.name().cmp(name))
}

/// Rows of a [`Table`].
#[derive(Debug)]
pub struct Iter<'a, T>(std::slice::Iter<'a, Arc<T>>);

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.0.next().map(|row| &**row)
    }

    fn nth(&mut self, n: usize) -> Option<&'a T> {
        self.0.nth(n).map(|row| &**row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> Index<usize> for Table<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.0[place]
    }
}

impl<T: Keyed> FromIterator<T> for Table<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        let mut rows: Vec<_> = rows.into_iter().map(Arc::new).collect();
        rows.sort_by(|a, b| order(&**a, b.namespace(), b.name()));
        Self(Arc::new(rows))
    }
}

impl<T: Keyed> From<Vec<T>> for Table<T> {
    fn from(rows: Vec<T>) -> Self {
        rows.into_iter().collect()
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self)
    }
}

impl<'de, T: Keyed + Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Self::from)
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Pod;
    use proptest::prelude::*;

    fn pod(namespace: &str, name: &str, restarts: i64) -> Pod {
        Pod { namespace: namespace.into(), name: name.into(), restarts, ..Pod::default() }
    }

    fn tables() -> impl Strategy<Value = Table<Pod>> {
        let row = ("[ab]", "[a-f]", 0..3_i64);
        proptest::collection::btree_map((row.0, row.1), row.2, 0..8)
            .prop_map(|rows| rows.iter().map(|((ns, n), r)| pod(ns, n, *r)).collect())
    }

    proptest! {
        #[test]
        fn what_came_since_turns_the_old_table_into_the_new(old in tables(), new in tables()) {
            let rows = new.since(&old);
            let mut turned = old.clone();
            turned.apply(&rows);
            prop_assert_eq!(&turned, &new);
            prop_assert_eq!(new.since(&turned), Rows::default());
            let touched = rows.upsert.len() + rows.remove.len();
            prop_assert!(touched <= old.len() + new.len());
        }
    }

    #[test]
    fn a_clone_keeps_what_it_saw_and_shares_what_did_not_change() {
        let before: Table<Pod> = vec![pod("b", "x", 0), pod("a", "x", 0)].into();
        let mut after = before.clone();
        after.put(Arc::new(pod("b", "x", 1)));
        assert_eq!((before[1].restarts, after[1].restarts), (0, 1));
        assert!(std::ptr::eq(&before[0], &after[0]));
        assert_eq!(after.since(&before).upsert.len(), 1);
        assert_eq!(after.find("b", "x").map(|p| p.restarts), Some(1));
        assert_eq!(after.find("b", "y"), None);
        assert!(after.has_namespace("a") && after.has_namespace("b"));
        assert!(
            !after.has_namespace("") && !after.has_namespace("aa") && !after.has_namespace("c")
        );
    }
}
