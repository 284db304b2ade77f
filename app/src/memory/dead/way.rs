//! A way in which objects are held that should be dead, and the line that tells it.

use std::time::Instant;

use crate::memory::holders::Group;
use crate::memory::json::Object;

/// A way in which objects are held that should be dead.
pub struct Way {
    pub kind: String,
    pub why: String,
    pub path: Path,
    /// Objects now, and how many were told.
    pub count: u64,
    pub told: u64,
    /// Since when the first of them should be dead.
    pub since: Instant,
}

/// Who holds an object.
#[derive(Clone, PartialEq, Eq)]
pub enum Path {
    Held {
        general: String,
        signature: String,
        example: String,
    },
    /// No root reaches it.
    Unseen,
    /// It was not found.
    Unknown,
}

impl Way {
    /// Whether there are twice as many as were told.
    pub fn is_news(&self) -> bool {
        self.count > 0 && self.count >= 2 * self.told
    }

    /// For reports.
    pub fn json(&self) -> Object {
        let (signature, example) = match &self.path {
            Path::Held { signature, example, .. } => (Some(&**signature), Some(&**example)),
            _ => (None, None),
        };
        Object::new()
            .text("why", &self.why)
            .text("type", &self.kind)
            .number("count", self.count)
            .text_or_null("signature", signature)
            .text_or_null("example", example)
            .number("seconds", self.since.elapsed().as_secs())
    }

    /// One line.
    pub fn tell(&mut self) -> String {
        self.told = self.count;
        let Way { kind, why, count, .. } = self;
        let (what, lives) = match count {
            1 => (kind.clone(), ["is held", "lives"]),
            _ => (format!("{count} {kind}"), ["are held", "live"]),
        };
        let how = match &self.path {
            Path::Held { signature, .. } => format!("{} by {signature}", lives[0]),
            Path::Unseen => {
                format!("{}; what holds it is not seen: C code, or a function that runs", lives[1])
            }
            Path::Unknown => format!("{}; what holds it cannot be told", lives[1]),
        };
        format!("memory: {what} should be dead ({why}) and {how}")
    }
}

impl Path {
    /// Of what a snapshot has found.
    pub fn of(group: &Group) -> Path {
        Path::Held {
            general: group.general(),
            signature: group.signature(),
            example: group.example(),
        }
    }

    pub fn is_like(&self, other: &Path) -> bool {
        match (self, other) {
            (Path::Held { general: one, .. }, Path::Held { general: other, .. }) => one == other,
            (one, other) => one == other,
        }
    }

    /// Where another object is held under another key, the key is told by type.
    pub fn merge(&mut self, other: Path) {
        if let (
            Path::Held { general, signature, .. },
            Path::Held { general: same, signature: its, .. },
        ) = (self, other)
            && *general == same
            && *signature != its
        {
            *signature = same;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(key: &str) -> Path {
        Path::Held {
            general: "app.rooms{str}.session".to_owned(),
            signature: format!("app.rooms{{'{key}'}}.session"),
            example: format!("app.rooms{{'{key}'}}.session"),
        }
    }

    fn way(count: u64, path: Path) -> Way {
        let (kind, why) = ("app.Session".to_owned(), "its client has left".to_owned());
        Way { kind, why, path, count, told: 0, since: Instant::now() }
    }

    #[test]
    fn one_line_says_what_and_why_and_who() {
        let line = "memory: app.Session should be dead (its client has left) and is held by \
            app.rooms{'hall'}.session";
        assert_eq!(way(1, held("hall")).tell(), line);
        let line = "memory: 3 app.Session should be dead (its client has left) and are held by \
            app.rooms{str}.session";
        let mut many = way(3, held("hall"));
        many.path.merge(held("kitchen"));
        assert_eq!(many.tell(), line);
        assert!(
            way(1, Path::Unseen)
                .tell()
                .ends_with("and lives; what holds it is not seen: C code, or a function that runs")
        );
        assert!(way(2, Path::Unknown).tell().ends_with("and live; what holds it cannot be told"));
    }

    #[test]
    fn keys_that_differ_are_one_way() {
        assert!(held("hall").is_like(&held("kitchen")));
        assert!(!held("hall").is_like(&Path::Unseen) && Path::Unseen.is_like(&Path::Unseen));
    }

    #[test]
    fn it_is_told_again_when_there_are_twice_as_many() {
        let mut way = way(0, held("hall"));
        let mut told = Vec::new();
        for count in 0..=9 {
            way.count = count;
            if way.is_news() {
                way.tell();
                told.push(count);
            }
        }
        assert_eq!(told, [1, 2, 4, 8]);
    }
}
