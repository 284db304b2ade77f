//! Who holds it: shortest paths to the objects that were looked for, grouped by what they have in common.

use std::collections::BTreeMap;

/// Groups beyond these are counted together: something is held in so many ways that none of them tells anything.
const MOST_GROUPS: usize = 500;

/// The objects of one type that are held in the same way.
#[derive(Debug, Clone)]
pub struct Group {
    /// The objects' type, with its module.
    pub kind: String,
    /// Objects.
    pub count: u64,
    /// Bytes of the objects themselves, without what they hold: a lower bound.
    pub bytes: u64,
    /// Addresses of those that were looked for by address.
    pub objects: Vec<usize>,
    /// The path of the first of them, in steps.
    example: Vec<String>,
    /// A step that they share, and none where they have different keys.
    shared: Vec<bool>,
}

impl Group {
    /// The path of one of them.
    pub fn example(&self) -> String {
        self.example.concat()
    }

    /// The path that holds whatever else comes to be held in this way.
    pub fn general(&self) -> String {
        self.example.iter().map(|step| general(step)).collect()
    }

    /// By what it is known from one snapshot to the next: type and general path.
    pub fn key(&self) -> (String, String) {
        (self.kind.clone(), self.general())
    }

    /// The path of them all: keys by which they differ are told by type.
    pub fn signature(&self) -> String {
        let steps = self.example.iter().zip(&self.shared);
        steps.map(|(step, shared)| if *shared { step.clone() } else { general(step) }).collect()
    }
}

/// What is the same for all that are in one dict under different keys.
fn general(step: &str) -> String {
    let end = step.starts_with("{'").then(|| step.rfind("'}")).flatten();
    end.map_or_else(|| step.to_owned(), |end| format!("{{str}}{}", &step[end + 2..]))
}

/// The steps of a path: along a linked list they are told once, with a star.
fn without_repetition(steps: &[&str]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut before = None;
    for (at, step) in steps.iter().enumerate() {
        // A path that lost its middle goes on after it as it did before.
        if *step == "…" && before.is_some() && before == steps.get(at + 1) {
            continue;
        }
        if before == Some(step) && step.starts_with('.') {
            if let Some(last) = told.last_mut().filter(|last| !last.ends_with('*')) {
                last.push('*');
            }
            continue;
        }
        told.push((*step).to_owned());
        before = Some(step);
    }
    told
}

/// All groups of one snapshot.
#[derive(Debug, Default, Clone)]
pub struct Holders {
    /// By type and general path.
    groups: BTreeMap<(String, String), Group>,
    /// Objects in groups that are not kept.
    pub others: u64,
}

impl Holders {
    /// Adds an object of a type, at an address if it was looked for by it, by the steps to it.
    pub fn add(&mut self, kind: &str, bytes: u64, address: usize, steps: &[&str]) {
        let steps = without_repetition(steps);
        let key = (kind.to_owned(), steps.iter().map(|step| general(step)).collect::<String>());
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            self.others += 1;
            return;
        }
        let group = self.groups.entry(key).or_insert_with(|| Group {
            kind: kind.to_owned(),
            count: 0,
            bytes: 0,
            objects: Vec::new(),
            shared: vec![true; steps.len()],
            example: steps.clone(),
        });
        group.count += 1;
        group.bytes += bytes;
        if address != 0 {
            group.objects.push(address);
        }
        for ((shared, known), step) in group.shared.iter_mut().zip(&group.example).zip(&steps) {
            *shared &= known == step;
        }
    }

    /// The groups, largest first.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.count, group.bytes)));
        groups.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(paths: &[&[&str]]) -> Holders {
        let mut holders = Holders::default();
        for steps in paths {
            holders.add("app.Session", 48, 0, steps);
        }
        holders
    }

    #[test]
    fn a_key_that_all_share_is_told() {
        let one =
            holders(&[&["app", ".rooms", "{'hall'}", "[]"], &["app", ".rooms", "{'hall'}", "[]"]]);
        let groups: Vec<&Group> = one.groups().collect();
        assert_eq!(groups.len(), 1);
        assert_eq!((groups[0].count, groups[0].bytes), (2, 96));
        assert_eq!(groups[0].signature(), "app.rooms{'hall'}[]");
    }

    #[test]
    fn keys_that_differ_are_told_by_type() {
        let two = holders(&[
            &["app", ".all", "{'a'}<Client>", ".session"],
            &["app", ".all", "{'b'}<Client>", ".session"],
        ]);
        let groups: Vec<&Group> = two.groups().collect();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].signature(), "app.all{str}<Client>.session");
        assert_eq!(groups[0].example(), "app.all{'a'}<Client>.session");
    }

    #[test]
    fn a_key_may_look_like_anything() {
        assert_eq!(general("{'it'}s'}<X>"), "{str}<X>");
        assert_eq!(general("{'"), "{'");
        assert_eq!(general(".x"), ".x");
    }

    #[test]
    fn a_linked_list_is_one_group() {
        let list = holders(&[
            &["app", ".head<Node>", ".next<Node>", ".next<Node>", ".session"],
            &["app", ".head<Node>", ".next<Node>", ".next<Node>", "…", ".next<Node>", ".session"],
            &["app", ".rows", "[]", "[]"],
        ]);
        let signatures: Vec<String> = list.groups().map(Group::signature).collect();
        assert_eq!(signatures, ["app.head<Node>.next<Node>*.session", "app.rows[][]"]);
    }

    #[test]
    fn groups_beyond_the_most_are_counted() {
        let mut many = Holders::default();
        for at in 0..MOST_GROUPS + 3 {
            many.add("app.Session", 48, 0, &["app", &format!(".name{at}")]);
        }
        assert_eq!((many.groups().count(), many.others), (MOST_GROUPS, 3));
    }
}
