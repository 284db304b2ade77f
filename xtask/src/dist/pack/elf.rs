//! What a shared object says about itself and needs.

use anyhow::Result;
use object::elf::{DT_NEEDED, DT_SONAME, FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, FileKind};

/// The part of the dynamic section that decides the order of loading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
}

/// Reads the dynamic section of an ELF file of either class and byte order.
///
/// # Errors
/// The bytes are no ELF file, or a damaged one.
pub fn dynamic(bytes: &[u8]) -> Result<Dynamic> {
    match FileKind::parse(bytes)? {
        FileKind::Elf32 => dynamic_of(FileHeader32::<Endianness>::parse(bytes)?, bytes),
        FileKind::Elf64 => dynamic_of(FileHeader64::<Endianness>::parse(bytes)?, bytes),
        kind => anyhow::bail!("{kind:?} is not ELF"),
    }
}

fn dynamic_of<Elf: FileHeader<Endian = Endianness>>(header: &Elf, bytes: &[u8]) -> Result<Dynamic> {
    let endian = header.endian()?;
    let table = header.sections(endian, bytes)?.dynamic_table(endian, bytes)?;
    let mut found = Dynamic::default();
    for entry in table.iter() {
        if matches!(entry.tag, DT_NEEDED | DT_SONAME) {
            let text = String::from_utf8_lossy(table.string(entry)?).into_owned();
            match entry.tag {
                DT_SONAME => found.soname = Some(text),
                _ => found.needed.push(text),
            }
        }
    }
    Ok(found)
}
