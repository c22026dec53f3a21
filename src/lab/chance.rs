//! Chance with a seed, which can be written down with the world.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A seeded source of chance.
#[derive(Debug, Clone)]
pub struct Chance(fastrand::Rng);

impl Chance {
    /// The same seed gives the same chances.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// A UUID, version 4 by its form.
    pub fn uuid(&mut self) -> String {
        let n = self.0.u128(..);
        let n = n & !(0xf << 76) | 0x4 << 76;
        let n = n & !(0x3 << 62) | 0x2 << 62;
        let hex = format!("{n:032x}");
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        parts.join("-")
    }

    /// What `generateName` and ReplicaSets append: letters that make no words.
    pub fn suffix(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..length).map(|_| char::from(LETTERS[self.0.usize(..LETTERS.len())])).collect()
    }
}

impl Serialize for Chance {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.get_seed().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Chance {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::new(u64::deserialize(d)?))
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn the_same_seed_goes_on_the_same_after_it_was_written_down() {
        let mut one = Chance::new(7);
        one.uuid();
        let text = serde_json::to_string(&one).unwrap();
        let mut two: Chance = serde_json::from_str(&text).unwrap();
        let id = one.uuid();
        assert_eq!(id, two.uuid());
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_eq!(one.suffix(5), two.suffix(5));
    }
}
