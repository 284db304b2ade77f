//! What there is after one cycle, as the driver tells it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Objects of a type, by its full name.
    Type(String),
    /// Open files of a kind: a path, `socket`, `pipe`, `anon_inode`.
    File(String),
    /// Threads of the process.
    Threads,
    /// asyncio tasks that are not done.
    Tasks,
    /// Blocks of Python's allocator.
    Blocks,
    /// Bytes that only this process has, and has written to.
    Private,
}

/// Numbers of one moment: pieces (for [`Key::Private`] bytes), and bytes where they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count(pub BTreeMap<Key, (i64, i64)>);

impl Count {
    /// From fields: kind, name, pieces, bytes, and again.
    ///
    /// # Errors
    /// Something else.
    pub fn parse(fields: &[String]) -> Result<Count> {
        let mut count = Count::default();
        for entry in fields.chunks(4) {
            let parse = || {
                let [kind, name, pieces, bytes] = entry else { return None };
                let key = match (kind.as_str(), name.as_str()) {
                    ("type", _) => Key::Type(name.clone()),
                    ("file", _) => Key::File(name.clone()),
                    ("total", "threads") => Key::Threads,
                    ("total", "tasks") => Key::Tasks,
                    ("total", "blocks") => Key::Blocks,
                    ("total", "private") => Key::Private,
                    _ => return None,
                };
                Some((key, pieces.parse::<i64>().ok()?, bytes.parse::<i64>().ok()?))
            };
            let (key, pieces, bytes) =
                parse().with_context(|| format!("the launcher counted {entry:?}"))?;
            // Types that share a name are counted together.
            let sum = count.0.entry(key).or_default();
            *sum = (sum.0 + pieces, sum.1 + bytes);
        }
        Ok(count)
    }

    /// Whether nothing is under way: objects, files, tasks and threads are those of another count.
    pub fn is_same(&self, other: &Count) -> bool {
        let exact = |count: &Count| -> Vec<(Key, i64)> {
            let exact = |key: &&Key| !matches!(key, Key::Blocks | Key::Private);
            let keys = count.0.keys().filter(exact);
            keys.map(|key| (key.clone(), count.0[key].0)).collect()
        };
        exact(self) == exact(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Result<Count> {
        let fields: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Count::parse(&fields)
    }

    #[test]
    fn types_that_share_a_name_are_one() {
        let count = count("type X 2 32 type X 3 48 total blocks 9 0 file pipe 2 0").unwrap();
        assert_eq!(count.0[&Key::Type("X".into())], (5, 80));
        assert_eq!(count.0[&Key::Blocks], (9, 0));
        assert_eq!(count.0[&Key::File("pipe".into())], (2, 0));
    }

    #[test]
    fn something_else_is_an_error() {
        for text in ["type X 2", "type X two 3", "total pages 1 2", "x"] {
            let error = count(text).unwrap_err().to_string();
            assert!(error.starts_with("the launcher counted ["), "{error}");
        }
    }

    #[test]
    fn blocks_and_bytes_are_never_quite_the_same() {
        let one = count("type X 2 32 total blocks 9 0 total private 1 0").unwrap();
        let two = count("type X 2 64 total blocks 8 0 total private 2 0").unwrap();
        assert!(one.is_same(&two));
        assert!(!one.is_same(&count("type X 3 48").unwrap()));
    }
}
