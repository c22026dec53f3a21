//! Objects, and what holds for all kinds: identities, resource versions, generations,
//! finalizers, grace, and a history that watches read.

mod found;

use super::kept::{Slot, Text, pairs};
use super::kinds::{self, Kind};
use super::rules::{goes, has_generation, preconditions};
pub use super::rules::{metadata, stamp};
use crate::event::Time;
use crate::lab::Chance;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Changes that a watch can go back; older is `410 Gone`.
pub(in crate::lab) const HISTORY: usize = 4096;
/// Objects that stay parsed.
const WARM: usize = 1024;

/// Where an object lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Its kind.
    #[serde(deserialize_with = "kinds::read")]
    pub kind: &'static Kind,
    /// Empty for what lies in none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// An object's place. The kind is one of the lab's own literals, `statefulsets.apps`.
    #[must_use]
    pub fn new(kind: &'static Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The version that it made.
    pub version: u64,
    /// Which object.
    pub key: Key,
    /// As it was; none: it was created.
    pub old: Option<Text>,
    /// As it is; none: it is gone. What went has the version of its going.
    pub new: Option<Text>,
}

/// Something for controllers to look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Touched {
    /// Which object.
    pub key: Key,
    /// As it was.
    pub old: Option<Arc<Value>>,
    /// As it is; none: it is gone.
    pub new: Option<Arc<Value>>,
}

/// How an object is to be deleted.
#[derive(Debug, Clone, Default)]
pub struct Deleting {
    /// Only if it has this UID.
    pub uid: Option<String>,
    /// Only at this resource version.
    pub version: Option<String>,
    /// Seconds of grace that the object itself needs; a pod's.
    pub grace: i64,
}

/// Why the store refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No such object.
    NotFound,
    /// There is one of that name.
    Exists,
    /// The object is another or has changed; the server's words.
    Conflict(String),
}

/// All objects.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Store {
    version: u64,
    #[serde(with = "pairs")]
    objects: BTreeMap<Key, Slot>,
    #[serde(skip)]
    warm: AtomicUsize,
    touched: VecDeque<Touched>,
    #[serde(skip)]
    history: VecDeque<Change>,
}

impl Clone for Store {
    fn clone(&self) -> Self {
        Self {
            version: self.version,
            objects: self.objects.clone(),
            warm: AtomicUsize::new(self.warm.load(Ordering::Relaxed)),
            touched: self.touched.clone(),
            history: self.history.clone(),
        }
    }
}

impl Store {
    /// The latest resource version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The object at that place.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        let slot = self.objects.get(key)?;
        Some(slot.parsed.get().cloned().unwrap_or_else(|| Arc::new(slot.text.value(key.kind))))
    }

    /// The object at that place, as it is kept.
    #[must_use]
    pub fn text(&self, key: &Key) -> Option<Text> {
        self.objects.get(key).map(|slot| slot.text.clone())
    }

    /// Objects of a kind, of one namespace or of all, by namespace and name.
    pub fn list(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.slots(kind, namespace, None).map(|(key, slot)| {
            let parsed = slot.parsed.get_or_init(|| {
                self.warm.fetch_add(1, Ordering::Relaxed);
                Arc::new(slot.text.value(kind))
            });
            (key, parsed)
        })
    }

    /// The same as they are kept: for long lists.
    pub fn texts(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (&Key, &Text)> {
        self.texts_behind(kind, namespace, None)
    }

    /// The same, from behind a place on: its namespace and name.
    pub fn texts_behind(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        place: Option<(&str, &str)>,
    ) -> impl Iterator<Item = (&Key, &Text)> {
        self.slots(kind, namespace, place).map(|(key, slot)| (key, &slot.text))
    }

    fn slots(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        behind: Option<(&str, &str)>,
    ) -> impl Iterator<Item = (&Key, &Slot)> {
        let first = match behind {
            Some((namespace, name)) => Bound::Excluded(Key::new(kind, namespace, name)),
            None => Bound::Included(Key::new(kind, namespace.unwrap_or_default(), "")),
        };
        let namespace = namespace.map(str::to_owned);
        self.objects.range((first, Bound::Unbounded)).take_while(move |(key, _)| {
            std::ptr::eq(key.kind, kind) && namespace.as_ref().is_none_or(|n| *n == key.namespace)
        })
    }

    /// Objects as they were at an earlier version; none if that is forgotten.
    #[must_use]
    pub fn at(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        version: u64,
    ) -> Option<BTreeMap<Key, Text>> {
        let mut then: BTreeMap<Key, Text> =
            self.texts(kind, namespace).map(|(k, t)| (k.clone(), t.clone())).collect();
        let changes: Vec<&Change> = self.since(version)?.collect();
        let ours =
            |c: &&&Change| c.key.kind == kind && namespace.is_none_or(|n| n == c.key.namespace);
        for change in changes.iter().rev().filter(ours) {
            match &change.old {
                Some(old) => then.insert(change.key.clone(), old.clone()),
                None => then.remove(&change.key),
            };
        }
        Some(then)
    }

    /// Changes after that version; none if the history does not reach so far back, which
    /// is `410 Gone`.
    #[must_use]
    pub fn since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        let first = self.history.front().map_or(self.version + 1, |c| c.version);
        (version + 1 >= first).then(|| {
            let from = self.history.partition_point(|c| c.version <= version);
            self.history.range(from..)
        })
    }

    /// Forgets the history: every watch has to list again, as after a compaction.
    pub fn compact(&mut self) {
        self.history.clear();
    }

    /// Creates an object; identity, time and version are given here. `metadata` that only a
    /// server may set is overwritten.
    pub fn create(
        &mut self,
        key: &Key,
        mut object: Value,
        now: Time,
        chance: &mut Chance,
    ) -> Result<Arc<Value>, Denied> {
        if self.objects.contains_key(key) {
            return Err(Denied::Exists);
        }
        self.version += 1;
        let version = self.version;
        let meta = metadata(&mut object);
        meta.insert("name".into(), json!(key.name));
        if key.kind.namespaced {
            meta.insert("namespace".into(), json!(key.namespace));
        }
        meta.insert("uid".into(), json!(chance.uuid()));
        meta.insert("creationTimestamp".into(), json!(stamp(now)));
        meta.insert("resourceVersion".into(), json!(version.to_string()));
        for name in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            meta.remove(name);
        }
        if has_generation(key.kind) {
            meta.insert("generation".into(), json!(1));
        }
        if let Value::Object(fields) = &mut object {
            fields.insert("apiVersion".into(), json!(key.kind.api_version()));
            fields.insert("kind".into(), json!(key.kind.kind));
        }
        let object = Arc::new(object);
        self.put(key, &object);
        self.changed(key, None, Some(Arc::clone(&object)));
        Ok(object)
    }

    /// What is new is looked at soon: it stays parsed. What was there before, as it was kept.
    fn put(&mut self, key: &Key, object: &Arc<Value>) -> Option<Text> {
        let slot = Slot { text: Text::of(object), parsed: Arc::clone(object).into() };
        self.warm.fetch_add(1, Ordering::Relaxed);
        let old = self.objects.insert(key.clone(), slot)?;
        self.cooled(&old);
        Some(old.text)
    }

    fn take(&mut self, key: &Key) -> Option<(Arc<Value>, Text)> {
        let slot = self.objects.remove(key)?;
        self.cooled(&slot);
        let Slot { text, parsed } = slot;
        let object = parsed.into_inner().unwrap_or_else(|| Arc::new(text.value(key.kind)));
        Some((object, text))
    }

    fn cooled(&self, slot: &Slot) {
        if slot.parsed.get().is_some() {
            self.warm.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Changes an object. Nothing happens if `change` leaves it as it was. An object that is
    /// being deleted goes when its last finalizer is taken and no grace is left.
    pub fn update(
        &mut self,
        key: &Key,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Denied> {
        let old = self.get(key).ok_or(Denied::NotFound)?;
        let mut new = (*old).clone();
        change(&mut new);
        if new == *old {
            return Ok(old);
        }
        self.version += 1;
        let respecified = has_generation(key.kind) && new.get("spec") != old.get("spec");
        let marked = |o: &Value| !o["metadata"]["deletionTimestamp"].is_null();
        let meta = metadata(&mut new);
        meta.insert("resourceVersion".into(), json!(self.version.to_string()));
        if respecified
            || has_generation(key.kind) && marked(&old) != meta.contains_key("deletionTimestamp")
        {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            meta.insert("generation".into(), json!(generation));
        }
        let new = Arc::new(new);
        if goes(&new) {
            let old = self.take(key);
            self.changed(key, old, None);
            return Ok(new);
        }
        let text = self.put(key, &new);
        self.changed(key, text.map(|text| (old, text)), Some(Arc::clone(&new)));
        Ok(new)
    }

    /// Deletes an object, or marks it if finalizers or grace still hold it. What is returned
    /// is the object as it is then or was last.
    pub fn delete(&mut self, key: &Key, how: &Deleting, now: Time) -> Result<Arc<Value>, Denied> {
        let old = self.get(key).ok_or(Denied::NotFound)?;
        preconditions(&old, how)?;
        if !old["metadata"]["deletionTimestamp"].is_null() {
            // A second delete can only shorten the grace.
            return self.update(key, |o| {
                let left = o["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
                if how.grace < left {
                    o["metadata"]["deletionGracePeriodSeconds"] = json!(how.grace);
                }
            });
        }
        self.update(key, |o| {
            let until = now + crate::event::Span::secs(u64::try_from(how.grace).unwrap_or(0));
            o["metadata"]["deletionTimestamp"] = json!(stamp(until));
            o["metadata"]["deletionGracePeriodSeconds"] = json!(how.grace);
        })
    }

    /// Marks an object as [`Self::delete`] does, and gives it these finalizers with the same
    /// change.
    pub fn mark(
        &mut self,
        key: &Key,
        finalizers: &[String],
        how: &Deleting,
        now: Time,
    ) -> Result<Arc<Value>, Denied> {
        self.update(key, |o| {
            let until = now + crate::event::Span::secs(u64::try_from(how.grace).unwrap_or(0));
            let meta = metadata(o);
            meta.insert("deletionTimestamp".into(), json!(stamp(until)));
            meta.insert("deletionGracePeriodSeconds".into(), json!(how.grace));
            match finalizers {
                [] => drop(meta.remove("finalizers")),
                list => drop(meta.insert("finalizers".into(), json!(list))),
            }
        })
    }

    /// Takes an object away whatever holds it; the kubelet's last word about a pod.
    pub fn remove(&mut self, key: &Key) {
        if let Some(old) = self.take(key) {
            self.version += 1;
            self.changed(key, Some(old), None);
        }
    }

    /// The next change that controllers have not looked at.
    pub fn take_touched(&mut self) -> Option<Touched> {
        let next = self.touched.pop_front();
        if next.is_none() && self.warm.load(Ordering::Relaxed) > WARM {
            self.objects.values_mut().for_each(|slot| drop(slot.parsed.take()));
            self.warm.store(0, Ordering::Relaxed);
        }
        next
    }

    fn changed(&mut self, key: &Key, old: Option<(Arc<Value>, Text)>, new: Option<Arc<Value>>) {
        let ((old, was), is) = (old.unzip(), self.text(key));
        self.touched.push_back(Touched { key: key.clone(), old, new });
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let change = Change { version: self.version, key: key.clone(), old: was, new: is };
        self.history.push_back(change);
    }
}
