//! Codecs are looked up by name: `"…".encode("shift-jis")` imports `encodings.shift_jis`.

use std::collections::BTreeMap;

use super::text::decode;
use crate::dist::collect::Tree;

/// Alias -> codec module's short name, from the interpreter's own `encodings/aliases.py`.
#[derive(Debug, Default)]
pub struct Codecs {
    aliases: BTreeMap<String, String>,
}

impl Codecs {
    /// Reads the table of the tree's interpreter; a tree without one knows no aliases.
    pub fn new(tree: &Tree) -> Codecs {
        let file = tree.modules.get("encodings.aliases").and_then(|module| module.file.as_ref());
        let text = file.and_then(|file| std::fs::read(file).ok()).map(|bytes| decode(&bytes));
        let pair = |line: &str| {
            let mut quoted = line.split('\'').skip(1).step_by(2).map(str::to_owned);
            Some((quoted.next()?, quoted.next()?))
        };
        let lines = text.iter().flat_map(|text| text.lines());
        Codecs {
            aliases: lines
                .filter(|line| !line.trim_start().starts_with('#'))
                .filter_map(pair)
                .collect(),
        }
    }

    /// The module of a codec, if the tree has one for that name.
    pub fn module(&self, name: &str, tree: &Tree) -> Option<String> {
        let plain = name.to_lowercase().replace(['-', ' '], "_");
        let short = self.aliases.get(&plain).unwrap_or(&plain);
        let module = format!("encodings.{short}");
        (!short.contains('.') && tree.modules.contains_key(&module)).then_some(module)
    }
}
