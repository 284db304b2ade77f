//! Which bundled libraries an extension module needs, and in which order they are loaded.
//!
//! The launcher loads extension modules from memory files, where `$ORIGIN` leads nowhere. A library
//! that is loaded already satisfies a `DT_NEEDED` by its `DT_SONAME`, so the launcher loads the
//! bundled ones first: each after those that it needs itself.

use std::collections::{BTreeMap, BTreeSet};

use super::elf::Dynamic;

/// The libraries of the payload, by the name under which others need them.
#[derive(Debug, Default)]
pub struct Libraries {
    /// Name -> paths inside the payload, sorted. Two wheels may bring libraries of one name.
    by_name: BTreeMap<String, Vec<String>>,
    /// Path inside the payload -> what the library needs.
    needed: BTreeMap<String, Vec<String>>,
}

impl Libraries {
    /// Adds a library.
    pub fn add(&mut self, path: &str, dynamic: Dynamic) {
        let file_name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let names = BTreeSet::from([file_name.clone(), dynamic.soname.unwrap_or(file_name)]);
        for name in names {
            self.by_name.entry(name).or_default().push(path.to_owned());
        }
        self.needed.insert(path.to_owned(), dynamic.needed);
    }

    /// Paths of the bundled libraries that `path` with these `DT_NEEDED` names needs, directly or not,
    /// in the order in which they are loaded. What is not bundled is the device's own.
    pub fn for_module(&self, path: &str, needed: &[String]) -> Vec<String> {
        let mut order = Vec::new();
        self.visit(path, needed, &mut BTreeSet::new(), &mut order);
        order
    }

    fn visit<'a>(
        &'a self,
        path: &str,
        needed: &[String],
        seen: &mut BTreeSet<&'a str>,
        order: &mut Vec<String>,
    ) {
        for name in needed {
            let Some(library) = self.find(name, path) else { continue };
            // Marked before its own needs are followed: libraries may need each other.
            if seen.insert(library) {
                self.visit(library, &self.needed[library], seen, order);
                order.push(library.to_owned());
            }
        }
    }

    /// The library of this name; of several the one that shares the longest path with who needs it,
    /// which is the one from the same wheel.
    fn find(&self, name: &str, path: &str) -> Option<&str> {
        let shared =
            |other: &str| other.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
        let found = self.by_name.get(name)?.iter().map(String::as_str);
        found.reduce(|best, other| if shared(other) > shared(best) { other } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libraries(libraries: &[(&str, &str, &[&str])]) -> Libraries {
        let mut all = Libraries::default();
        for (path, soname, needed) in libraries {
            let needed = needed.iter().map(|name| name.to_string()).collect();
            all.add(path, Dynamic { soname: Some(soname.to_string()), needed });
        }
        all
    }

    fn order(all: &Libraries, path: &str, needed: &[&str]) -> Vec<String> {
        all.for_module(path, &needed.iter().map(|name| name.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn what_a_library_needs_comes_before_it() {
        let all = libraries(&[
            ("numpy.libs/libblas.so", "libblas.so", &["libgfortran.so", "libc.so.6"]),
            ("numpy.libs/libgfortran.so", "libgfortran.so", &["libquadmath.so"]),
            ("numpy.libs/libquadmath.so", "libquadmath.so", &[]),
            ("numpy.libs/libother.so", "libother.so", &[]),
        ]);
        assert_eq!(
            order(&all, "numpy/core.so", &["libm.so.6", "libblas.so"]),
            ["numpy.libs/libquadmath.so", "numpy.libs/libgfortran.so", "numpy.libs/libblas.so"]
        );
    }

    #[test]
    fn libraries_that_need_each_other_are_listed_once() {
        let all =
            libraries(&[("a.libs/a.so", "a.so", &["b.so"]), ("a.libs/b.so", "b.so", &["a.so"])]);
        assert_eq!(order(&all, "a/m.so", &["a.so", "b.so"]), ["a.libs/b.so", "a.libs/a.so"]);
    }

    #[test]
    fn a_library_is_found_by_its_soname_and_by_its_file_name() {
        let all = libraries(&[("x.libs/libz-1.so", "libz.so.1", &[])]);
        assert_eq!(order(&all, "x/m.so", &["libz.so.1"]), ["x.libs/libz-1.so"]);
        assert_eq!(order(&all, "x/m.so", &["libz-1.so"]), ["x.libs/libz-1.so"]);
    }

    #[test]
    fn of_two_with_one_name_the_wheel_s_own_is_taken() {
        let all = libraries(&[("x.libs/z.so", "z.so", &[]), ("y.libs/z.so", "z.so", &[])]);
        assert_eq!(order(&all, "y/m.so", &["z.so"]), ["y.libs/z.so"]);
        assert_eq!(order(&all, "x/m.so", &["z.so"]), ["x.libs/z.so"]);
    }
}
