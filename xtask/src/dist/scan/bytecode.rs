//! What a module that comes as bytecode asks for, in the same terms as a source file.

use std::collections::BTreeSet;

use super::source::{Call, Facts, Import};
use super::{EdgeKind, Hazard, HazardKind};
use crate::dist::compile::marshal::{Code, Constant, codes};

/// The header of a `.pyc`.
const HEADER: usize = 16;

/// The numbers of the instructions that an import is made of.
struct Opcodes {
    extended_arg: u8,
    load_const: u8,
    import_name: u8,
}

impl Opcodes {
    fn of(version: (u8, u8)) -> Opcodes {
        if version < (3, 13) {
            Opcodes { extended_arg: 144, load_const: 100, import_name: 108 }
        } else {
            Opcodes { extended_arg: 71, load_const: 83, import_name: 75 }
        }
    }
}

/// Reads one `.pyc`. Lines are not told: 0. Never fails: what cannot be read is in [`Facts::error`].
pub fn read(bytes: &[u8], version: (u8, u8), names: &BTreeSet<&str>) -> Facts {
    let mut facts = Facts::default();
    let codes = match codes(bytes.get(HEADER..).unwrap_or(&[]), version) {
        Ok(codes) => codes,
        Err(error) => {
            facts.error = Some(error.to_string());
            return facts;
        }
    };
    let opcodes = Opcodes::of(version);
    for (index, code) in codes.iter().enumerate() {
        // Whether an import is guarded cannot be seen: none counts as certain.
        let module = index + 1 == codes.len();
        let kind = if module { EdgeKind::Conditional } else { EdgeKind::InFunction };
        facts.imports.extend(imports(code, &opcodes, kind));
        strings(code, &mut facts);
        let mentioned = code.names.iter().filter(|name| names.contains(*name));
        facts.mentions.extend(mentioned.map(|name| name.to_string()));
        let hazards = code.names.iter().filter_map(|name| HazardKind::of_call(name));
        facts.hazards.extend(hazards.map(|kind| Hazard { line: 0, kind }));
    }
    facts
}

fn imports(code: &Code<'_>, opcodes: &Opcodes, kind: EdgeKind) -> Vec<Import> {
    let mut imports = Vec::new();
    let mut loaded: [Option<&Constant<'_>>; 2] = [None, None];
    let mut high = 0;
    for pair in code.instructions.chunks_exact(2) {
        let argument = high << 8 | usize::from(pair[1]);
        high = if pair[0] == opcodes.extended_arg { argument } else { 0 };
        if pair[0] == opcodes.load_const {
            loaded = [loaded[1], code.constants.get(argument)];
        } else if pair[0] == opcodes.import_name {
            let level = match loaded[0] {
                Some(Constant::Number(level)) => u32::try_from(*level).unwrap_or(0),
                _ => 0,
            };
            let names = match loaded[1] {
                Some(Constant::Texts(names)) => names.iter().map(|name| name.to_string()).collect(),
                _ => Vec::new(),
            };
            let module = code.names.get(argument).copied().unwrap_or("").to_owned();
            imports.push(Import { module, names, level, line: 0, kind });
        }
    }
    imports
}

fn strings(code: &Code<'_>, facts: &mut Facts) {
    let computes = code.names.iter().any(|name| matches!(*name, "import_module" | "__import__"));
    let texts = code.constants.iter().flat_map(|constant| match constant {
        Constant::Text(text) => vec![*text],
        Constant::Texts(texts) => texts.clone(),
        Constant::Number(_) | Constant::Other => Vec::new(),
    });
    for text in texts {
        facts.strings.push((text.to_owned(), 0));
        if computes {
            // One of them may be what is imported.
            let call = Call { name: text.to_owned(), package: None, line: 0, imports: false };
            facts.calls.push(call);
        }
    }
}
