//! A shared object without what nobody reads on a device: symbol table and debug information.

use object::elf::{FileHeader32, FileHeader64, SHF_ALLOC, SHT_STRTAB};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, FileKind};

/// The object without the sections that are never loaded, or none where that saves nothing or the file
/// is not laid out as linkers do it. What is loaded stays byte for byte where it was; section headers
/// of it stay, for the tools that want them.
pub fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let out = match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => strip::<FileHeader32<Endianness>>(bytes, &CLASS_32)?,
        FileKind::Elf64 => strip::<FileHeader64<Endianness>>(bytes, &CLASS_64)?,
        _ => return None,
    };
    (out.len() < bytes.len()).then_some(out)
}

/// Where the fields are, and how wide an address is.
struct Class {
    word: usize,
    /// In the file header.
    section_table: usize,
    section_count: usize,
    names_index: usize,
    /// In a section header.
    size: usize,
    kind: usize,
    offset: usize,
    length: usize,
    alignment: usize,
}

const CLASS_32: Class = Class {
    word: 4,
    section_table: 32,
    section_count: 48,
    names_index: 50,
    size: 40,
    kind: 4,
    offset: 16,
    length: 20,
    alignment: 32,
};
const CLASS_64: Class = Class {
    word: 8,
    section_table: 40,
    section_count: 60,
    names_index: 62,
    size: 64,
    kind: 4,
    offset: 24,
    length: 32,
    alignment: 48,
};

fn strip<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8], class: &Class) -> Option<Vec<u8>> {
    let header = Elf::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    let loaded = |section: &Elf::SectionHeader| section.sh_flags(endian).contains(SHF_ALLOC);
    // The first section is the empty one. Dynamic symbols name their sections by number, so those that
    // stay must keep theirs.
    let keep = 1 + sections.iter().skip(1).take_while(|section| loaded(section)).count();
    if keep == 1 || sections.iter().skip(keep).any(loaded) {
        return None;
    }
    let segments = header.program_headers(endian, bytes).ok()?;
    let end_of = |offset: u64, size: u64| offset.checked_add(size);
    let mut end = (header.e_phoff(endian).into())
        .checked_add(segments.len() as u64 * u64::from(header.e_phentsize(endian)))?;
    for segment in segments {
        end = end.max(end_of(segment.p_offset(endian).into(), segment.p_filesz(endian).into())?);
    }
    // Bytes that no section accounts for are somebody's secret: leave them alone.
    let table = end_of(header.e_shoff(endian).into(), (sections.len() * class.size) as u64)?;
    let mut accounted = end.max(table);
    for section in sections.iter() {
        let (start, size) = section.file_range(endian).unwrap_or_default();
        accounted = accounted.max(end_of(start, size)?);
    }
    if accounted < bytes.len() as u64 {
        return None;
    }

    let mut out = bytes.get(..usize::try_from(end).ok()?)?.to_vec();
    let put = |out: &mut [u8], at: usize, value: u64, width: usize| match endian {
        Endianness::Little => out[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]),
        Endianness::Big => out[at..at + width].copy_from_slice(&value.to_be_bytes()[8 - width..]),
    };
    let mut names = vec![0];
    let mut headers = Vec::new();
    let table = usize::try_from(header.e_shoff(endian).into()).ok()?;
    for (index, section) in sections.iter().enumerate().take(keep) {
        let at = table.checked_add(index * class.size)?;
        headers.extend_from_slice(bytes.get(at..at + class.size)?);
        if index > 0 {
            put(&mut headers, index * class.size, names.len() as u64, 4);
            names.extend_from_slice(sections.section_name(endian, section).ok()?);
            names.push(0);
        }
    }
    let mut own = vec![0; class.size];
    put(&mut own, 0, names.len() as u64, 4);
    names.extend_from_slice(b".shstrtab\0");
    put(&mut own, class.kind, u64::from(SHT_STRTAB.0), 4);
    put(&mut own, class.offset, out.len() as u64, class.word);
    put(&mut own, class.length, names.len() as u64, class.word);
    put(&mut own, class.alignment, 1, class.word);
    out.extend(names);
    out.resize(out.len().next_multiple_of(class.word), 0);
    let place = out.len() as u64;
    put(&mut out, class.section_table, place, class.word);
    put(&mut out, class.section_count, keep as u64 + 1, 2);
    put(&mut out, class.names_index, keep as u64, 2);
    out.extend(headers);
    out.extend(own);
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::dist::pack::elf;

    #[test]
    fn what_is_loaded_still_works() {
        // This test program has everything: debug information, symbols, dynamic libraries, TLS.
        let program = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&program).unwrap();
        let stripped = stripped(&bytes).expect("it has debug information");
        assert!(stripped.len() < bytes.len() / 2, "{} of {}", stripped.len(), bytes.len());
        assert_eq!(elf::dynamic(&stripped).unwrap(), elf::dynamic(&bytes).unwrap());
        assert_eq!(super::stripped(&stripped), None, "nothing is left to do");

        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("stripped");
        std::fs::write(&copy, &stripped).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        let list = |program| Command::new(program).arg("--list").output().unwrap();
        let (expected, output) = (list(program), list(copy));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == expected.stdout && !output.stdout.is_empty());
    }

    #[test]
    fn what_is_no_elf_stays_as_it_is() {
        assert_eq!(stripped(b""), None);
        assert_eq!(stripped(b"GROUP ( /lib/libc.so.6 )"), None);
        assert_eq!(stripped(b"\x7fELF\x02\x01\x01"), None);
    }

    #[test]
    fn bytes_that_no_section_accounts_for_stay() {
        let program = std::env::current_exe().unwrap();
        let mut bytes = std::fs::read(program).unwrap();
        bytes.extend(b"appended");
        assert_eq!(stripped(&bytes), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damage_never_panics(
            class in 1..=2u8,
            order in 1..=2u8,
            noise in prop::collection::vec(prop_oneof![Just(0), 0..=70u8, any::<u8>()], 50..400),
        ) {
            let bytes = [b"\x7fELF", &[class, order, 1][..], &[0; 9], &noise].concat();
            let _ = stripped(&bytes);
            let _ = elf::dynamic(&bytes);
        }
    }
}
