//! The table of what import statements do not say, or say in vain: `rules.toml`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::config::Level;
use crate::dist::collect::names::{is_within, wildcard};
use crate::dist::collect::{Origin, Tree};
use crate::dist::scan::Edge;

/// The rules that hold for one Python version.
#[derive(Debug, Default)]
pub struct Rules {
    roots: Vec<Rule>,
    edges: Vec<Rule>,
    mentions: Vec<Rule>,
    given: Vec<Rule>,
    cuts: Vec<Rule>,
    silent: Vec<Rule>,
    docstrings: Vec<Rule>,
    assertions: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    root: Vec<Rule>,
    edge: Vec<Rule>,
    mention: Vec<Rule>,
    given: Vec<Rule>,
    cut: Vec<Rule>,
    silent: Vec<Rule>,
    docstrings: Vec<Rule>,
    assertions: Vec<Rule>,
}

/// One entry of the table. Names may hold `*`, which also stands for dots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The importers; none for roots. A mention counts in the standard library's modules only if they are named here.
    #[serde(default)]
    from: Vec<String>,
    /// Identifiers that stand for an import.
    #[serde(default)]
    names: BTreeSet<String>,
    #[serde(default)]
    to: Vec<String>,
    /// Whoever imports one of these is meant by a need, too.
    #[serde(default)]
    of: Vec<String>,
    /// Targets that `to` would take in.
    #[serde(default)]
    except: Vec<String>,
    /// Modules that a mention, a cut or a need is not about.
    #[serde(default)]
    besides: Vec<String>,
    /// The first level at which a cut holds, `safe` or `balanced`; the last one at which a root does.
    level: Option<Level>,
    /// The distribution whose imports a cut is about, or whose docstrings; none: the standard library.
    distribution: Option<String>,
    /// A module that must be there for a cut to hold.
    when: Option<String>,
    /// Modules of which none may be there for a cut to hold.
    #[serde(default)]
    unless: Vec<String>,
    /// First version, "3.11".
    since: Option<String>,
    /// First version that is without, "3.13".
    until: Option<String>,
    /// Why, one clause.
    pub reason: String,
}

impl Rule {
    fn holds(&self, version: (u8, u8)) -> Result<bool> {
        let parse = |text: &String| -> Result<(u8, u8)> {
            let (major, minor) = text.split_once('.').context("a version is \"3.11\"")?;
            Ok((major.parse()?, minor.parse()?))
        };
        let since = self.since.as_ref().map(parse).transpose()?;
        let until = self.until.as_ref().map(parse).transpose()?;
        Ok(since.is_none_or(|since| version >= since) && until.is_none_or(|until| version < until))
    }

    fn leaves(&self, from: &str) -> bool {
        self.from.iter().any(|pattern| wildcard(pattern.as_bytes(), from.as_bytes()))
    }

    fn passes_over(&self, from: &str) -> bool {
        self.besides.iter().any(|pattern| wildcard(pattern.as_bytes(), from.as_bytes()))
    }

    fn reaches(&self, to: &str) -> bool {
        let fits = |pattern: &String| wildcard(pattern.as_bytes(), to.as_bytes());
        self.to.iter().any(fits) && !self.except.iter().any(fits)
    }

    /// Whether it is about modules from there.
    fn is_about(&self, origin: &Origin) -> bool {
        match (&self.distribution, origin) {
            (None, Origin::Stdlib) => true,
            (Some(distribution), Origin::Dependency(name)) => distribution == name,
            _ => false,
        }
    }

    /// Whether a need is one of a module that has these imports.
    fn is_need_of(&self, name: &str, imports: &[Edge]) -> bool {
        let asks = |pattern: &String| {
            imports.iter().any(|edge| wildcard(pattern.as_bytes(), edge.to.as_bytes()))
        };
        self.reaches(name) || self.of.iter().any(asks) && !self.passes_over(name)
    }

    fn targets<'t>(&'t self, tree: &'t Tree) -> impl Iterator<Item = &'t String> {
        tree.modules.keys().filter(|name| self.reaches(name))
    }
}

impl Rules {
    /// The rules for one version of Python, with the cuts of one level.
    ///
    /// # Errors
    /// A mistake in the table.
    pub fn read(version: (u8, u8), level: Level) -> Result<Rules> {
        let table: Table = toml::from_str(include_str!("rules.toml")).context("scan/rules.toml")?;
        let select = |rules: Vec<Rule>| -> Result<Vec<Rule>> {
            let mut selected = Vec::new();
            for rule in rules {
                if rule
                    .holds(version)
                    .with_context(|| format!("scan/rules.toml: {}", rule.reason))?
                {
                    selected.push(rule);
                }
            }
            Ok(selected)
        };
        Ok(Rules {
            roots: select(table.root)?
                .into_iter()
                .filter(|rule| rule.level.is_none_or(|last| level <= last))
                .collect(),
            edges: select(table.edge)?,
            mentions: select(table.mention)?,
            given: select(table.given)?,
            cuts: select(table.cut)?
                .into_iter()
                .filter(|rule| rule.level.is_some_and(|first| first <= level))
                .collect(),
            silent: select(table.silent)?,
            docstrings: select(table.docstrings)?,
            assertions: select(table.assertions)?,
        })
    }

    /// What every launcher needs -> why.
    pub fn roots(&self, tree: &Tree) -> BTreeMap<String, String> {
        let mut roots = BTreeMap::new();
        for rule in &self.roots {
            for name in rule.targets(tree) {
                roots.entry(name.clone()).or_insert_with(|| rule.reason.clone());
            }
        }
        roots
    }

    /// What a module needs beyond what its file says.
    pub fn edges(&self, from: &str, tree: &Tree) -> Vec<String> {
        let rules = self.edges.iter().filter(|rule| rule.leaves(from));
        rules.flat_map(|rule| rule.targets(tree)).cloned().collect()
    }

    /// The identifiers that stand for an import.
    pub fn names(&self) -> BTreeSet<&str> {
        self.mentions.iter().flat_map(|rule| rule.names.iter().map(String::as_str)).collect()
    }

    /// What a module needs that writes one of [`Rules::names`].
    pub fn mentioned(&self, from: &str, name: &str, tree: &Tree) -> Vec<String> {
        let stdlib = tree.modules.get(from).is_some_and(|module| module.origin == Origin::Stdlib);
        let rules = self.mentions.iter().filter(|rule| rule.names.contains(name));
        let rules = rules.filter(|rule| (!stdlib || rule.leaves(from)) && !rule.passes_over(from));
        rules.flat_map(|rule| rule.targets(tree)).cloned().collect()
    }

    /// Whether an import of a module always finds what the interpreter has.
    pub fn gives(&self, to: &str) -> bool {
        self.given.iter().any(|rule| rule.reaches(to))
    }

    /// Whether nobody reads the docstrings of a module, although it, or its distribution, speaks of some.
    pub fn is_silent(&self, name: &str, origin: &Origin) -> bool {
        self.silent.iter().any(|rule| rule.is_about(origin) && rule.reaches(name))
    }

    /// Whether a module does not do its work without its docstrings.
    pub fn needs_docstrings(&self, name: &str, imports: &[Edge]) -> bool {
        self.docstrings.iter().any(|rule| rule.is_need_of(name, imports))
    }

    /// Whether a module does not do its work without its assertions.
    pub fn needs_assertions(&self, name: &str, imports: &[Edge]) -> bool {
        self.assertions.iter().any(|rule| rule.is_need_of(name, imports))
    }

    /// The rule by which an import is not to be followed.
    pub fn cut(&self, from: &str, to: &str, tree: &Tree) -> Option<&Rule> {
        let origin = &tree.modules.get(from)?.origin;
        let there = |name: &String| tree.modules.contains_key(name);
        // A package that is cut off as a whole still uses itself.
        let same = |pattern: &String| is_within(from, pattern.trim_end_matches(".*"));
        self.cuts.iter().find(|rule| {
            rule.is_about(origin)
                && rule.leaves(from)
                && !rule.passes_over(from)
                && rule.reaches(to)
                && !rule.to.iter().any(same)
                && rule.when.as_ref().is_none_or(there)
                && !rule.unless.iter().any(there)
        })
    }
}

#[cfg(test)]
impl Rules {
    /// The reasons of the cuts of the standard library.
    pub fn reasons(&self) -> Vec<String> {
        let cuts = self.cuts.iter().filter(|rule| rule.distribution.is_none());
        cuts.map(|rule| rule.reason.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_valid_and_every_rule_has_a_reason() {
        let table: Table = toml::from_str(include_str!("rules.toml")).unwrap();
        let first = |rule: &Rule| matches!(rule.level, Some(Level::Safe | Level::Balanced));
        assert!(table.cut.iter().all(first), "a cut needs a level");
        for minor in 10..=14 {
            let rules = Rules::read((3, minor), Level::Balanced).unwrap();
            let named = rules.roots.iter().chain(&rules.mentions).chain(&rules.given);
            let named = named.chain(&rules.silent);
            for rule in rules.docstrings.iter().chain(&rules.assertions) {
                assert!(!rule.reason.is_empty(), "{rule:?}");
                assert!(!rule.to.is_empty() || !rule.of.is_empty(), "{rule:?}");
            }
            for rule in named.clone().chain(&rules.edges).chain(&rules.cuts) {
                assert!(!rule.reason.is_empty() && !rule.to.is_empty(), "{rule:?}");
            }
            assert!(rules.roots.iter().all(|rule| rule.from.is_empty()));
            assert!(rules.edges.iter().chain(&rules.cuts).all(|rule| !rule.from.is_empty()));
            assert!(rules.mentions.iter().all(|rule| !rule.names.is_empty()));
            let safe = Rules::read((3, minor), Level::Safe).unwrap().cuts.len();
            assert!(0 < safe && safe < rules.cuts.len());
            assert_eq!(Rules::read((3, minor), Level::All).unwrap().cuts.len(), 0);
        }
    }

    #[test]
    fn versions_bound_a_rule() {
        let rule: Rule =
            toml::from_str("to = ['x']\nsince = '3.11'\nuntil = '3.13'\nreason = 'r'").unwrap();
        let held: Vec<u8> = (9..15).filter(|minor| rule.holds((3, *minor)).unwrap()).collect();
        assert_eq!(held, [11, 12]);
    }
}
