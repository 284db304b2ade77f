//! Of a shared object, what the dynamic linker reads to load it.
//!
//! Code and constants are most of a shared object, and a start uses little of them. The linker reads headers,
//! symbols and relocations, and what the object writes to: a memory file with nothing but that can be
//! loaded, and code and constants are mapped into their place afterwards, page by page from the launcher's
//! file as they are used. What the object does when it is loaded must wait until then.

use crate::PART;
use crate::reader::{Fault, u32_at};

/// What runs when a shared object is loaded: addresses as its file has them, and where its dynamic section
/// names them, so that the dynamic linker can be kept from it. Zero: there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Starters {
    /// Address of the function of `DT_INIT`, which runs first.
    pub init: u32,
    /// Offset in the file of that entry of the dynamic section.
    pub init_entry: u32,
    /// Address of the functions of `DT_INIT_ARRAY`, one word each.
    pub array: u32,
    /// Their length in bytes.
    pub array_bytes: u32,
    /// Offset in the file of the entry of the dynamic section that says so: `DT_INIT_ARRAYSZ`.
    pub array_entry: u32,
}

/// What the dynamic linker reads of a shared object.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// What runs when it is loaded.
    pub starters: Starters,
    file: &'a [u8],
    parts: &'a [u8],
    crc: u32,
    path: &'a str,
}

impl<'a> Load<'a> {
    pub(crate) fn new(
        record: &'a [u8],
        parts: &'a [u8],
        path: &'a str,
        file: &'a [u8],
    ) -> Option<Load<'a>> {
        let start = (u32_at(record, 0) as usize).checked_mul(PART)?;
        let end = (u32_at(record, 4) as usize).checked_mul(PART)?.checked_add(start)?;
        let starters = Starters {
            init: u32_at(record, 12),
            init_entry: u32_at(record, 16),
            array: u32_at(record, 20),
            array_bytes: u32_at(record, 24),
            array_entry: u32_at(record, 28),
        };
        Some(Load { starters, file, parts: parts.get(start..end)?, crc: u32_at(record, 8), path })
    }

    /// Gives the parts, with their offsets in the file, and checks them at the end.
    ///
    /// # Errors
    /// [`Fault::Damaged`] when the checksum is wrong, [`Fault::Inconsistent`] when there is no such part; some
    /// have been passed on then.
    pub fn parts(&self, mut pass: impl FnMut(usize, &'a [u8])) -> Result<(), Fault> {
        let mut hash = crc32fast::Hasher::new();
        for part in self.parts.chunks_exact(PART) {
            let (offset, length) = (u32_at(part, 0) as usize, u32_at(part, 4) as usize);
            let end = offset.checked_add(length).ok_or(Fault::Inconsistent)?;
            let bytes = self.file.get(offset..end).ok_or(Fault::Inconsistent)?;
            hash.update(bytes);
            pass(offset, bytes);
        }
        if hash.finalize() == self.crc {
            Ok(())
        } else {
            Err(Fault::Damaged { path: self.path.to_owned() })
        }
    }
}

/// A [`Load`] to be written.
#[cfg(feature = "writer")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadRecord {
    /// Offsets in the file and lengths, ascending.
    pub parts: Vec<(u32, u32)>,
    /// What runs when it is loaded.
    pub starters: Starters,
}

#[cfg(feature = "writer")]
impl LoadRecord {
    /// Appends the record and its parts to their tables; none when a part is not in the file.
    pub(crate) fn encode(
        &self,
        file: &[u8],
        loads: &mut Vec<u8>,
        parts: &mut Vec<u8>,
    ) -> Option<()> {
        let mut hash = crc32fast::Hasher::new();
        let first = u32::try_from(parts.len() / PART).ok()?;
        for (offset, length) in &self.parts {
            hash.update(file.get(*offset as usize..offset.checked_add(*length)? as usize)?);
            parts.extend_from_slice(&offset.to_le_bytes());
            parts.extend_from_slice(&length.to_le_bytes());
        }
        let Starters { init, init_entry, array, array_bytes, array_entry } = self.starters;
        let count = u32::try_from(self.parts.len()).ok()?;
        let crc = hash.finalize();
        let record: [u32; crate::LOAD / 4] =
            [first, count, crc, init, init_entry, array, array_bytes, array_entry];
        loads.extend(record.iter().flat_map(|number| number.to_le_bytes()));
        Some(())
    }
}
