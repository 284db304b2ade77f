//! Every crate that ends up in the tools or in a launcher has a licence that its users can live with.

use anyhow::{Result, bail};
use cargo_metadata::MetadataCommand;

use crate::paths::Paths;

/// Permissive, and known to the people who read the list.
const ACCEPTED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Reads the dependency graph of every platform.
pub(super) fn check(paths: &Paths) -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(&paths.root).exec()?;
    let mut refused = Vec::new();
    for package in &metadata.packages {
        let verdict = match &package.license {
            Some(expression) => accepts(expression).map_err(|why| format!("{expression}: {why}")),
            None => Err("it names no licence".to_owned()),
        };
        if let Err(why) = verdict {
            refused.push(format!("{} {}: {why}", package.name, package.version));
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    bail!(
        "these crates have a licence that is not accepted; replace them, or argue for the licence \
         and add it to ACCEPTED in {}:\n{}",
        file!(),
        refused.join("\n")
    )
}

/// Whether an SPDX expression leaves a choice of accepted licences. `/` is cargo's old `OR`.
fn accepts(expression: &str) -> Result<(), String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let accepted = any(&mut words)?;
    match words.next() {
        Some(word) => Err(format!("`{word}` is not expected there")),
        None if accepted => Ok(()),
        None => Err("not accepted".to_owned()),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>) -> Result<bool, String> {
    let mut accepted = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        accepted |= all(words)?;
    }
    Ok(accepted)
}

fn all(words: &mut Words<'_>) -> Result<bool, String> {
    let mut accepted = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        accepted &= one(words)?;
    }
    Ok(accepted)
}

fn one(words: &mut Words<'_>) -> Result<bool, String> {
    match words.next() {
        Some("(") => {
            let accepted = any(words)?;
            match words.next() {
                Some(")") => Ok(accepted),
                _ => Err("a parenthesis is not closed".to_owned()),
            }
        }
        None | Some("OR" | "AND" | "WITH" | ")") => Err("a licence is missing".to_owned()),
        Some(name) => match words.next_if_eq(&"WITH") {
            None => Ok(ACCEPTED.contains(&name)),
            Some(_) => {
                let exception = words.next().ok_or("an exception is missing")?;
                Ok(ACCEPTED.contains(&format!("{name} WITH {exception}").as_str()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_accepted_choice_is_enough_and_all_of_several_are_needed() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT OR GPL-2.0-only AND GPL-3.0-only",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        ] {
            assert_eq!(accepts(good), Ok(()), "{good}");
        }
        for bad in [
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "(MIT OR GPL-2.0-only) AND GPL-3.0-only",
            "Apache-2.0 WITH Classpath-exception-2.0",
            "GPL-3.0-only WITH GCC-exception-3.1",
        ] {
            assert_eq!(accepts(bad), Err("not accepted".into()), "{bad}");
        }
    }

    #[test]
    fn what_is_no_expression_is_not_accepted() {
        for (bad, why) in [
            ("", "a licence is missing"),
            ("MIT OR", "a licence is missing"),
            ("(MIT", "a parenthesis is not closed"),
            ("MIT Apache-2.0", "`Apache-2.0` is not expected there"),
            ("Apache-2.0 WITH", "an exception is missing"),
        ] {
            assert_eq!(accepts(bad), Err(why.into()), "{bad:?}");
        }
    }
}
