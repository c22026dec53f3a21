//! Which fields of an object are kept, and which form the text of each has: a small
//! language, so that the list can be read.
//!
//! `name:form` is a field with a text, a number or a truth; `name{…}` is an object;
//! `name[]…` is a list; `name[+field]{…}` a list of those objects that have that field;
//! `@name` stands for a list of fields that several kinds have in common.

use serde_json::{Map, Value};

/// The form of a text. What does not have it is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Of an object, or a part of one: lower-case letters, digits, `-` and `.`.
    Name,
    /// A word that programs agree on: `Running`, `apps/v1`, `kubernetes.io/pvc-protection`.
    Word,
    /// A UUID.
    Uid,
    /// RFC 3339.
    Time,
    /// `2Gi`, `25%`, `100m`.
    Amount,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// The name of a label, of a taint, of a topology.
    Key,
    /// The value of a label.
    Label,
    /// An image by name, tag and digest.
    Image,
    /// What a driver calls a volume.
    Handle,
    /// `30 2 * * 0`.
    Cron,
    /// `Europe/Berlin`, `Etc/GMT+1`.
    Zone,
}

const SHAPES: [(&str, Shape); 13] = [
    ("name", Shape::Name),
    ("word", Shape::Word),
    ("uid", Shape::Uid),
    ("time", Shape::Time),
    ("amount", Shape::Amount),
    ("number", Shape::Number),
    ("flag", Shape::Flag),
    ("key", Shape::Key),
    ("label", Shape::Label),
    ("image", Shape::Image),
    ("handle", Shape::Handle),
    ("cron", Shape::Cron),
    ("zone", Shape::Zone),
];

/// Names of objects are no longer (RFC 1123); handles and images may be twice as long.
const LONGEST: usize = 253;

impl Shape {
    /// Whether a text has this form.
    #[must_use]
    pub fn fits(self, text: &str) -> bool {
        let all = |also: &str| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || also.as_bytes().contains(&b))
        };
        let most = if matches!(self, Self::Handle | Self::Image) { 2 * LONGEST } else { LONGEST };
        text.len() <= most
            && !is_token(text)
            && match self {
                Self::Name => all("-.") && !text.bytes().any(|b| b.is_ascii_uppercase()),
                Self::Word | Self::Key => all("-._/"),
                Self::Uid => text.len() == 36 && is_uuid(text),
                Self::Time => text.parse::<crate::event::Time>().is_ok(),
                Self::Amount => text.len() <= 32 && all(".%+-"),
                Self::Label => text.len() <= 63 && all("-._"),
                Self::Image => all("-._/:@") && !text.contains("//"),
                Self::Handle => all("-._/#:") && !text.contains("//"),
                Self::Cron => text.len() <= 64 && all("*,/-?#@ "),
                // One that no table has is kept: nobody knows when its job is due, there as here.
                Self::Zone => text.len() <= 64 && all("_/+-"),
                Self::Number | Self::Flag => false,
            }
    }
}

/// Whether it is written as a UUID.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Tokens can be told by how they begin; none has any business in a field that is kept, but
/// what people can write they may have written anywhere.
fn is_token(text: &str) -> bool {
    ["hvs.", "hvb.", "hvr.", "eyJ", "ghp_", "glpat-", "xoxb-", "AKIA"].iter().any(|begin| {
        text.match_indices(begin).any(|(at, _)| {
            let rest = text[at + begin.len()..].bytes();
            rest.take_while(|b| b.is_ascii_alphanumeric() || b"_-.".contains(b)).count() >= 12
        })
    })
}

/// What of a value is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Mask {
    /// One text, number or truth.
    Leaf(Shape),
    /// A map from names to labels: those whose name is wanted, or all.
    Labels {
        /// It selects: all of it is wanted.
        all: bool,
    },
    /// An object with these fields.
    Fields(Vec<(String, Mask)>),
    /// A list; of objects without that field none.
    List(Box<Mask>, Option<String>),
}

/// Fields that several masks have in common.
pub type Common = [(&'static str, &'static str)];

impl Mask {
    /// Reads the fields of an object; none for what is not of the language, which a test
    /// looks for.
    #[must_use]
    pub fn read(text: &str, common: &Common) -> Option<Self> {
        let mut words = words(text).into_iter().peekable();
        let fields = fields(&mut words, common)?;
        words.next().is_none().then_some(Self::Fields(fields))
    }

    /// What of `value` is kept: each text by what `leaf` makes of it, given its form and the
    /// name of its field.
    pub fn keep(&self, value: &Value, leaf: &mut Leaf<'_>) -> Option<Value> {
        match (self, value) {
            (Self::Leaf(Shape::Number), Value::Number(n)) if small(n) => Some(value.clone()),
            (Self::Leaf(Shape::Flag), Value::Bool(_)) => Some(value.clone()),
            // `maxSurge` is one or the other.
            (Self::Leaf(Shape::Amount), Value::Number(n)) if small(n) => Some(value.clone()),
            (Self::Leaf(shape), Value::String(text)) => leaf(*shape, "", text).map(Value::String),
            (Self::Labels { all }, Value::Object(map)) => {
                let name = |key: &str| if *all { String::new() } else { key.to_owned() };
                let kept = map.iter().filter_map(|(key, value)| {
                    let text = leaf(Shape::Label, &name(key), value.as_str()?)?;
                    Some((leaf(Shape::Key, "", key)?, text.into()))
                });
                full(kept.collect())
            }
            (Self::Fields(fields), Value::Object(map)) => {
                let kept = fields.iter().filter_map(|(name, mask)| {
                    Some((name.clone(), mask.keep(map.get(name)?, leaf)?))
                });
                full(kept.collect())
            }
            (Self::List(of, wanted), Value::Array(all)) => {
                let has = |v: &&Value| {
                    wanted.as_ref().is_none_or(|w| v.get(w).is_some_and(|v| !v.is_null()))
                };
                let kept: Vec<Value> =
                    all.iter().filter(has).filter_map(|v| of.keep(v, leaf)).collect();
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            _ => None,
        }
    }
}

/// What becomes of a text: its form, the name of its label if only some are wanted, itself.
pub type Leaf<'a> = dyn FnMut(Shape, &str, &str) -> Option<String> + 'a;

/// The API's numbers have 32 bits, or no use for more.
fn small(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
}

fn full(map: Map<String, Value>) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Object(map))
}

fn words(text: &str) -> Vec<String> {
    let spaced = text.replace('{', " { ").replace('}', " } ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn fields(words: &mut Words, common: &Common) -> Option<Vec<(String, Mask)>> {
    let mut all = Vec::new();
    while let Some(word) = words.next_if(|w| w != "}") {
        if let Some(name) = word.strip_prefix('@') {
            let (_, text) = common.iter().find(|(n, _)| *n == name)?;
            let Mask::Fields(more) = Mask::read(text, common)? else { return None };
            all.extend(more);
            continue;
        }
        let (name, shape) = word.split_once(':').unwrap_or((&word, ""));
        let (name, list) = match name.split_once('[') {
            Some((name, within)) => (name, Some(within.strip_suffix(']')?)),
            None => (name, None),
        };
        let one = match shape {
            "" => {
                words.next_if(|w| w == "{")?;
                let inside = fields(words, common)?;
                words.next_if(|w| w == "}")?;
                Mask::Fields(inside)
            }
            "labels" => Mask::Labels { all: false },
            "selector" => Mask::Labels { all: true },
            shape => Mask::Leaf(SHAPES.iter().find(|(n, _)| *n == shape)?.1),
        };
        let mask = match list {
            None => one,
            Some(wanted) => Mask::List(Box::new(one), wanted.strip_prefix('+').map(str::to_owned)),
        };
        all.push((name.to_owned(), mask));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_named_and_well_formed_is_kept() {
        let common = [("inner", "b:word c:number")];
        let mask = Mask::read("a{@inner} l[]:name v[+x]{n:name x{y:flag}} m:labels", &common);
        let value = json!({
            "a": {"b": "Running", "c": 3, "d": "no", "e": {}}, "l": ["one", "Two words", 3],
            "v": [{"n": "kept", "x": {"y": true, "z": 1}}, {"n": "not", "secret": "s"}],
            "m": {"app": "vault", "else": "no", "sp ace": "x"}, "z": "never",
        });
        let mut leaf = |shape: Shape, label: &str, text: &str| {
            (shape.fits(text) && label != "else").then(|| text.to_owned())
        };
        let kept = mask.unwrap().keep(&value, &mut leaf).unwrap();
        let wanted = json!({"a": {"b": "Running", "c": 3}, "l": ["one"],
            "v": [{"n": "kept", "x": {"y": true}}], "m": {"app": "vault"}});
        assert_eq!(kept, wanted);
        for wrong in ["a", "a{", "a}", "a:nothing", "@none", "a[:name"] {
            assert!(Mask::read(wrong, &common).is_none(), "{wrong}");
        }
    }

    #[test]
    fn forms_take_what_they_are_for_and_nothing_that_says_anything() {
        for (shape, good, bad) in [
            (Shape::Name, "data-vault-0", "Data Vault"),
            (Shape::Word, "kubernetes.io/pvc-protection", "a b"),
            (Shape::Uid, "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f1", "0f1e2d3c"),
            (Shape::Time, "2026-04-25T16:00:00Z", "yesterday"),
            (Shape::Amount, "2Gi", "two"),
            (Shape::Label, "vault_1.x", "user:password"),
            (Shape::Image, "registry.example.net/a/b:1@sha256:00", "https://u:p@example.net/a"),
            (Shape::Handle, "pve/pve/local-lvm/vm-9999-pvc-1", "a=b"),
            (Shape::Cron, "*/5 0 * * sun", "x; y"),
            (Shape::Zone, "America/Argentina/Buenos_Aires", "near by"),
            (Shape::Name, "hvs.short", "hvs.aaaaaaaaaaaaaaaaaaaaaaaa"),
        ] {
            assert!(shape.fits(good), "{shape:?} {good}");
            assert!(shape == Shape::Amount && bad == "two" || !shape.fits(bad), "{shape:?} {bad}");
        }
    }
}
