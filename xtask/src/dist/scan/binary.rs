//! Module names inside extension modules and bytecode.

use std::collections::{BTreeMap, BTreeSet};

use crate::dist::collect::{Origin, Tree};

/// What every module that Cython made names. It keeps its own strings in forms that nobody can read, and it
/// is often imported together with private modules beside it.
const CYTHON: &str = "cython_runtime";

/// Modules whose names are common words: C code that says them means something else.
const WORDS: [&str; 14] = [
    "chunk", "cmd", "code", "email", "html", "http", "site", "test", "this", "token", "trace",
    "tty", "uu", "xml",
];

/// The names to look for.
#[derive(Debug, Default)]
pub struct Index {
    /// Names without a dot.
    tops: BTreeSet<String>,
    /// Those that count on their own.
    bare: BTreeSet<String>,
    /// Package -> the short names of its submodules; none: a module without any.
    children: BTreeMap<String, Vec<String>>,
    /// Top-level names that stand out in any bytes: `_cffi_backend`.
    distinct: Vec<String>,
}

impl Index {
    /// The names of a tree.
    pub fn new(tree: &Tree) -> Index {
        let mut index = Index::default();
        for (name, module) in &tree.modules {
            match name.rsplit_once('.') {
                Some((package, short)) => {
                    index.children.entry(package.to_owned()).or_default().push(short.to_owned());
                }
                None => {
                    let dependency = matches!(module.origin, Origin::Dependency(_));
                    if dependency && name.len() >= 8 && name.contains('_') {
                        index.distinct.push(name.clone());
                    }
                    if !WORDS.contains(&name.as_str()) {
                        index.bare.insert(name.clone());
                    }
                    index.tops.insert(name.clone());
                }
            }
        }
        index.bare.insert(CYTHON.to_owned());
        index
    }

    /// The private modules beside a module, save those for tests.
    fn private(&self, module: &str) -> impl Iterator<Item = String> {
        let package = module.rsplit_once('.').map_or("", |(package, _)| package);
        let children = self.children.get(package).into_iter().flatten();
        let private = |short: &&String| short.starts_with('_') && !short.contains("test");
        children.filter(private).map(move |short| format!("{package}.{short}"))
    }
}

/// The modules that the bytes name: NUL-terminated names of any kind, and names with a dot wherever
/// they stand, because Rust's strings touch each other.
pub fn read(module: &str, parts: &[&[u8]], index: &Index) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in parts {
        scan(part, index, &mut found);
    }
    if found.remove(CYTHON) {
        found.extend(index.private(module));
    }
    found
}

fn scan(bytes: &[u8], index: &Index, found: &mut BTreeSet<String>) {
    let mut start = None;
    for at in 0..=bytes.len() {
        let byte = bytes.get(at).copied().unwrap_or(0);
        let part = byte == b'.' || byte == b'_' || byte.is_ascii_alphanumeric();
        match (part, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                start = None;
                if at - from > 1 {
                    let bounded = byte == 0 && (from == 0 || bytes[from - 1] == 0);
                    // The bytes of a run are ASCII.
                    if let Ok(run) = std::str::from_utf8(&bytes[from..at]) {
                        names_in(run, bounded, index, found);
                    }
                }
            }
            _ => {}
        }
    }
}

fn names_in(run: &str, bounded: bool, index: &Index, found: &mut BTreeSet<String>) {
    if bounded && index.bare.contains(run) {
        found.insert(run.to_owned());
    }
    for name in &index.distinct {
        if run.len() >= name.len() && run.contains(name.as_str()) {
            found.insert(name.clone());
        }
    }
    for (dot, _) in run.match_indices('.') {
        for from in (0..dot).rev().take_while(|from| run.as_bytes()[*from] != b'.') {
            if index.tops.contains(&run[from..dot]) {
                below(&run[from..dot], &run[dot + 1..], index, found);
            }
        }
    }
}

/// Follows `rest` ("hazmat.primitivesTypeError") below a package; every child that fits is taken, since
/// the next string may follow without a gap.
fn below(package: &str, rest: &str, index: &Index, found: &mut BTreeSet<String>) {
    for child in index.children.get(package).into_iter().flatten() {
        if let Some(after) = rest.strip_prefix(child.as_str()) {
            let name = format!("{package}.{child}");
            if let Some(rest) = after.strip_prefix('.') {
                below(&name, rest, index, found);
            }
            found.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::{Kind, Module};

    fn index(names: &[&str]) -> Index {
        let mut tree = Tree::default();
        for name in names {
            let module = Module {
                kind: Kind::Source,
                package: false,
                file: None,
                path: String::new(),
                origin: Origin::Dependency("x".to_owned()),
            };
            tree.modules.insert((*name).to_owned(), module);
        }
        Index::new(&tree)
    }

    #[test]
    fn bare_names_count_between_nul_bytes_only() {
        let index = index(&["numbers", "time"]);
        let found = read("x", &[b"\0numbers\0some time\0timeout\0"], &index);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["numbers"]);
    }

    #[test]
    fn what_cython_made_takes_the_private_modules_beside_it() {
        let index = index(&["lxml.etree", "lxml._path", "lxml._testing", "lxml.html", "other._x"]);
        let found = read("lxml.etree", &[b"\0cython_runtime\0"], &index);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["lxml._path"]);
    }

    #[test]
    fn dotted_names_count_wherever_they_touch_others() {
        let index = index(&["acme", "acme.rsa", "acme.ec", "acme.ec.curve", "_cffi_backend"]);
        let found = read("x", &[b"lengthacme.rsa", b"acme.ec.curveNone_cffi_backendx"], &index);
        let expected = ["_cffi_backend", "acme.ec", "acme.ec.curve", "acme.rsa"];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }
}
