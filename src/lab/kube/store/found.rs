//! Objects that get there without being created: nobody hears of them.

use super::{Key, Slot, Store, Text, metadata};
use crate::event::Time;
use crate::lab::Chance;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

impl Store {
    /// Puts an object there as it was found, identity and times and all; nobody hears of it.
    pub fn adopt(&mut self, key: &Key, object: &Value) {
        self.version += 1;
        let mut object = object.clone();
        metadata(&mut object).insert("resourceVersion".into(), json!(self.version.to_string()));
        let slot = Slot::new(Text::of(&object));
        if let Some(old) = self.objects.insert(key.clone(), slot) {
            self.cooled(&old);
        }
        self.compact();
    }

    /// Puts many objects there that nobody looks at: no controller, no watch.
    pub fn plant(&mut self, key: &Key, object: Value, now: Time, chance: &mut Chance) {
        if self.create(key, object, now, chance).is_ok() {
            self.touched.pop_back();
            self.compact();
            if let Some(slot) = self.objects.get_mut(key)
                && slot.parsed.take().is_some()
            {
                self.warm.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}
