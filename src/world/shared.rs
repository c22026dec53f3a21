//! A value that those who hold a picture of the world share, and what was made of it once.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

/// A value whose clone costs one counter. Expressions look at the same raft again and again,
/// and in another form: that is made of it once and goes with it.
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: T,
    /// Its other form, as long as nobody changes it.
    form: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl<T> Shared<T> {
    /// Its other form, made when it is asked for first. There is one of them: nothing for
    /// whoever asks for one of another type.
    pub(crate) fn form<F: Any + Send + Sync>(&self, make: impl FnOnce(&T) -> F) -> Option<&F> {
        self.0.form.get_or_init(|| Box::new(make(&self.0.value))).downcast_ref()
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(Inner { value, form: OnceLock::new() }))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self::from(T::default())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    /// What others hold stays as it is.
    fn deref_mut(&mut self) -> &mut T {
        let inner = Arc::make_mut(&mut self.0);
        inner.form = OnceLock::new();
        &mut inner.value
    }
}

impl<T: Clone> Clone for Inner<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), form: OnceLock::new() }
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(to)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(Self::from)
    }
}

impl<T: JsonSchema> JsonSchema for Shared<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_form_is_made_once_and_anew_for_who_changes_it() {
        let first = Shared::from(1);
        let other = first.clone();
        assert_eq!(first.form(|v| format!("{v}")), Some(&"1".to_owned()));
        assert_eq!(other.form(|_| String::new()), Some(&"1".to_owned()), "shared");
        assert_eq!(other.form(|_| 0_u8), None, "there is one form");
        let mut changed = other.clone();
        *changed = 2;
        assert_eq!(changed.form(|v| format!("{v}")), Some(&"2".to_owned()));
        assert_eq!(other.form(|_| String::new()), Some(&"1".to_owned()));
        assert_eq!((*first, *other, *changed), (1, 1, 2));
        assert_ne!(first, changed);
        assert_eq!(first, Shared::from(1));
    }
}
