//! The table of imports that cannot be read from any file: `rules.toml`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::dist::collect::Tree;
use crate::dist::collect::names::wildcard;

/// The rules that hold for one Python version.
#[derive(Debug, Default)]
pub struct Rules {
    roots: Vec<Rule>,
    edges: Vec<Rule>,
    cuts: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    root: Vec<Rule>,
    edge: Vec<Rule>,
    cut: Vec<Rule>,
}

/// One entry of the table. Names may hold `*`, which also stands for dots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The importers; none for roots.
    #[serde(default)]
    from: Vec<String>,
    to: Vec<String>,
    /// Targets that `to` would take in.
    #[serde(default)]
    except: Vec<String>,
    /// First version, "3.11".
    since: Option<String>,
    /// First version that is without, "3.13".
    until: Option<String>,
    reason: String,
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

    fn reaches(&self, to: &str) -> bool {
        let fits = |pattern: &String| wildcard(pattern.as_bytes(), to.as_bytes());
        self.to.iter().any(fits) && !self.except.iter().any(fits)
    }

    fn targets<'t>(&'t self, tree: &'t Tree) -> impl Iterator<Item = &'t String> {
        tree.modules.keys().filter(|name| self.reaches(name))
    }
}

impl Rules {
    /// The rules for one version of Python.
    ///
    /// # Errors
    /// A mistake in the table.
    pub fn read(version: (u8, u8)) -> Result<Rules> {
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
            roots: select(table.root)?,
            edges: select(table.edge)?,
            cuts: select(table.cut)?,
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

    /// Whether an import of the file is not to be followed.
    pub fn cuts(&self, from: &str, to: &str) -> bool {
        self.cuts.iter().any(|rule| rule.leaves(from) && rule.reaches(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_valid_and_every_rule_has_a_reason() {
        for minor in 10..=14 {
            let rules = Rules::read((3, minor)).unwrap();
            for rule in rules.roots.iter().chain(&rules.edges).chain(&rules.cuts) {
                assert!(!rule.reason.is_empty() && !rule.to.is_empty(), "{rule:?}");
            }
            assert!(rules.roots.iter().all(|rule| rule.from.is_empty()));
            assert!(rules.edges.iter().chain(&rules.cuts).all(|rule| !rule.from.is_empty()));
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
