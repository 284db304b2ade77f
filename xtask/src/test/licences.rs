//! Every crate that ends up in the tools or in a launcher has a licence that its users can live with.

use anyhow::{Result, bail};
use cargo_metadata::MetadataCommand;

use crate::licenses::{License, Rules};
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
    let allow = ACCEPTED.map(str::to_owned).to_vec();
    let rules = Rules { allow: Some(allow), deny: Vec::new() };
    let mut refused = Vec::new();
    for package in &metadata.packages {
        let license = License::stated(package.license.as_deref().unwrap_or_default());
        if let Err(why) = rules.check(&license) {
            refused.push(format!("{} {} {why}", package.name, package.version));
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
