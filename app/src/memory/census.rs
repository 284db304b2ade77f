//! What there is: objects and bytes by type, and the longest containers.
//!
//! Bytes are a lower bound: the object itself, and of containers the part that their public structure
//! tells. What only a type's own `__sizeof__` knows is left out: asking for it would run code.

use std::collections::BTreeMap;

/// Objects of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Objects.
    pub count: u64,
    /// Bytes of them, a lower bound.
    pub bytes: u64,
}

/// A container that is among the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its type.
    pub kind: String,
    /// Its length.
    pub len: u64,
    /// The shortest path to it.
    pub path: String,
}

/// How much more there is of a type than there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The type's full name.
    pub kind: String,
    /// Objects more.
    pub count: i64,
    /// Bytes more.
    pub bytes: i64,
}

/// What was counted in one snapshot: everything that the roots reach.
#[derive(Debug, Default, Clone)]
pub struct Census {
    /// By the type's full name. Types that share a name are counted together.
    pub types: BTreeMap<String, Count>,
    /// Longest first.
    pub containers: Vec<Container>,
}

impl Census {
    /// Adds a type's line.
    pub fn add(&mut self, kind: &str, count: Count) {
        let all = self.types.entry(kind.to_owned()).or_default();
        all.count += count.count;
        all.bytes += count.bytes;
    }

    /// Types with the most bytes first.
    pub fn largest(&self) -> Vec<(&str, Count)> {
        let mut types: Vec<_> = self.types.iter().map(|(kind, count)| (&**kind, *count)).collect();
        types.sort_by_key(|(kind, count)| (std::cmp::Reverse((count.bytes, count.count)), *kind));
        types
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(lines: &[(&str, u64)]) -> Census {
        let mut census = Census::default();
        for (kind, count) in lines {
            census.add(kind, Count { count: *count, bytes: count * 10 });
        }
        census
    }

    #[test]
    fn types_of_one_name_are_counted_together() {
        let both = census(&[("app.Session", 2), ("app.Session", 3)]);
        assert_eq!(both.types["app.Session"], Count { count: 5, bytes: 50 });
        assert_eq!(both.largest()[0].0, "app.Session");
    }
}
