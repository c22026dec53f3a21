//! What can be written down as a value of expressions, without JSON in between: a picture of a
//! cluster is looked at every second, and most of that time went into making and dropping it.
//!
//! It is the value that its JSON would be. A text in exactly the form that [`Time`] writes is a
//! timestamp in expressions: the world's own times are always of that form, and servers' times
//! (without milliseconds) never are.
//!
//! [`Time`]: crate::event::Time

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp,
};
use cel::common::value::Val;
use serde::de::value::Error;
use serde::ser::{self, Impossible, Serialize, Serializer};
use std::collections::HashMap;

/// A value of expressions.
pub(crate) type Boxed = Box<dyn Val>;

/// That value; null for what has no JSON.
pub(crate) fn val<T: Serialize + ?Sized>(value: &T) -> Boxed {
    value.serialize(ToVal).unwrap_or_else(|_| Box::new(CelNull))
}

struct ToVal;

fn unfit<T>(what: &str) -> Result<T, Error> {
    Err(ser::Error::custom(format!("{what} has no place in an expression")))
}

fn time(s: &str) -> Option<chrono::DateTime<chrono::FixedOffset>> {
    if s.len() != 24 || !s.ends_with('Z') || s.as_bytes()[10] != b'T' || s.as_bytes()[19] != b'.' {
        return None;
    }
    chrono::DateTime::parse_from_rfc3339(s).ok()
}

/// A variant that holds something is a map of one entry, as in JSON.
fn variant(name: &'static str, value: Boxed) -> Boxed {
    Box::new(CelMap::from(HashMap::from([(CelMapKey::from(name), value)])))
}

/// Whole numbers are all of one size.
macro_rules! whole {
    ($($name:ident: $of:ty),*) => {
        $(fn $name(self, v: $of) -> Result<Boxed, Error> {
            self.serialize_i64(v.into())
        })*
    };
}

impl Serializer for ToVal {
    type Ok = Boxed;
    type Error = Error;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = Impossible<Boxed, Error>;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, v: bool) -> Result<Boxed, Error> {
        Ok(Box::new(CelBool::from(v)))
    }

    whole! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32
    }

    fn serialize_i64(self, v: i64) -> Result<Boxed, Error> {
        Ok(Box::new(CelInt::from(v)))
    }

    /// Expressions compare whole numbers with signed ones; one that is larger is a fraction's kind.
    #[allow(clippy::cast_precision_loss, reason = "so it is in JSON too")]
    fn serialize_u64(self, v: u64) -> Result<Boxed, Error> {
        i64::try_from(v).map_or_else(|_| self.serialize_f64(v as f64), |v| ToVal.serialize_i64(v))
    }

    fn serialize_f32(self, v: f32) -> Result<Boxed, Error> {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Result<Boxed, Error> {
        if v.is_finite() { Ok(Box::new(CelDouble::from(v))) } else { self.serialize_unit() }
    }

    fn serialize_char(self, v: char) -> Result<Boxed, Error> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<Boxed, Error> {
        Ok(match time(v) {
            Some(time) => Box::new(CelTimestamp::from(time)),
            None => Box::new(CelString::from(v.to_owned())),
        })
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Boxed, Error> {
        unfit("a row of bytes")
    }

    fn serialize_none(self) -> Result<Boxed, Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Boxed, Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Boxed, Error> {
        Ok(Box::new(CelNull))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Boxed, Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Boxed, Error> {
        Ok(Box::new(CelString::from(variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Boxed, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Boxed, Error> {
        Ok(variant(name, value.serialize(self)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List, Error> {
        Ok(List(Vec::with_capacity(len.unwrap_or(0))))
    }

    fn serialize_tuple(self, len: usize) -> Result<List, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<List, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        unfit("a variant with several values")
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries, Error> {
        Ok(Entries::new(len.unwrap_or(0), None))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Entries, Error> {
        Ok(Entries::new(len, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Entries, Error> {
        Ok(Entries::new(len, Some(name)))
    }
}

struct List(Vec<Boxed>);

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.0.push(value.serialize(ToVal)?);
        Ok(())
    }

    fn whole(self) -> Boxed {
        Box::new(CelList::from(self.0))
    }
}

macro_rules! list {
    ($($of:ident: $name:ident),*) => {
        $(impl ser::$of for List {
            type Ok = Boxed;
            type Error = Error;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<Boxed, Error> {
                Ok(self.whole())
            }
        })*
    };
}
list!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field
);

/// A map, or the fields of a struct.
struct Entries {
    map: HashMap<CelMapKey<'static>, Boxed>,
    /// Of a map whose value comes next.
    key: Option<CelMapKey<'static>>,
    variant: Option<&'static str>,
}

impl Entries {
    fn new(len: usize, variant: Option<&'static str>) -> Self {
        Self { map: HashMap::with_capacity(len), key: None, variant }
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.map.insert(CelMapKey::from(key), value.serialize(ToVal)?);
        Ok(())
    }

    fn whole(self) -> Boxed {
        let map: Boxed = Box::new(CelMap::from(self.map));
        match self.variant {
            Some(name) => variant(name, map),
            None => map,
        }
    }
}

impl ser::SerializeMap for Entries {
    type Ok = Boxed;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let text = serde_json::to_value(key).ok();
        let Some(serde_json::Value::String(text)) = text else {
            return unfit("a key that is no text");
        };
        self.key = Some(CelMapKey::from(text));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if let Some(key) = self.key.take() {
            self.map.insert(key, value.serialize(ToVal)?);
        }
        Ok(())
    }

    fn end(self) -> Result<Boxed, Error> {
        Ok(self.whole())
    }
}

macro_rules! fields {
    ($($of:ident),*) => {
        $(impl ser::$of for Entries {
            type Ok = Boxed;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(key, value)
            }

            fn end(self) -> Result<Boxed, Error> {
                Ok(self.whole())
            }
        })*
    };
}
fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Time;
    use crate::runbook::convert;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    #[derive(serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum How {
        AsItIs,
        So(u8),
        With { left: i16, at: Option<Time> },
    }

    #[derive(serde::Serialize)]
    struct Row {
        name: &'static str,
        how: Vec<How>,
        large: u64,
        part: f32,
        one: (i8, char),
        by_name: BTreeMap<String, bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        gone: Option<()>,
        none: Option<i32>,
        open: f64,
    }

    fn back<T: Serialize>(of: &T) -> Value {
        let value = val(of);
        convert::to_json(&cel::Value::try_from(&*value).unwrap())
    }

    #[test]
    fn it_is_the_value_that_its_json_is() {
        let row = Row {
            name: "data-vault-0",
            how: vec![How::AsItIs, How::So(3), How::With { left: -4, at: Some(Time(61_002)) }],
            large: u64::MAX,
            part: 0.5,
            one: (-1, 'é'),
            by_name: BTreeMap::from([("a".into(), true), ("b/c".into(), false)]),
            gone: None,
            none: None,
            open: f64::NAN,
        };
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["open"], Value::Null);
        assert_eq!(back(&json), back(&row));
        let large = json!(1.844_674_407_370_955_2e19);
        let told = json!({
            "name": "data-vault-0", "large": large, "part": 0.5, "one": [-1, "é"],
            "how": ["as-it-is", {"so": 3}, {"with": {"left": -4, "at": "1970-01-01T00:01:01.002Z"}}],
            "by_name": {"a": true, "b/c": false}, "none": null, "open": null,
        });
        assert_eq!(back(&row), told);
    }

    /// The world's own times, and no text that only looks like one.
    #[test]
    fn times_are_timestamps() {
        let is_time = |text: &str| {
            let value = cel::Value::try_from(&*val(text)).unwrap();
            matches!(value, cel::Value::Timestamp(_))
        };
        assert!(is_time(&Time(0).to_string()));
        for other in
            ["", "1970-01-01T00:00:00Z", "1970-01-01 00:00:00.000Z", "1970-13-01T00:00:00.000Z"]
        {
            assert!(!is_time(other), "{other}");
        }
    }

    #[test]
    fn what_has_no_place_is_null() {
        struct Raw;
        impl Serialize for Raw {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_bytes(b"x")
            }
        }
        assert_eq!(back(&Raw), Value::Null);
        assert_eq!(back(&BTreeMap::from([((1, 2), 3)])), Value::Null);
    }
}
