//! What the dynamic linker reads of a shared object: headers, symbols, relocations, and all that the object
//! writes to. The launcher gives it no more than that; see [`pyrmware_payload::Load`].

use std::ops::Range;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Rel, Rela, SectionHeader, Sym};
use object::{Endianness, FileKind};
use pyrmware_payload::{LoadRecord, Starters};

/// Parts that are this near to each other are one: the disk gives whole pages anyway.
const NEAR: u64 = 4096;

/// What is read of this shared object, or none where its code is needed while it is loaded, or where that
/// cannot be told: then it is loaded as a whole.
pub fn of(bytes: &[u8]) -> Option<LoadRecord> {
    match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => of_class::<FileHeader32<Endianness>>(bytes),
        FileKind::Elf64 => of_class::<FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn of_class<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<LoadRecord> {
    let object = Object::<Elf>::of(bytes)?;
    if object.runs_while_relocated()? {
        return None;
    }
    let parts = object.parts()?;
    let starters = object.starters()?;
    // A dynamic section that speaks of what the sections do not know is not laid out as linkers do it.
    let known = object.tables()?.all(|place| parts.iter().any(|part| part.contains(&place)));
    let number = |n: u64| u32::try_from(n).ok();
    let part = |part: &Range<u64>| Some((number(part.start)?, number(part.end - part.start)?));
    let parts = parts.iter().map(part).collect::<Option<_>>()?;
    known.then_some(LoadRecord { parts, starters })
}

struct Object<'b, Elf: FileHeader<Endian = Endianness>> {
    bytes: &'b [u8],
    endian: Endianness,
    header: &'b Elf,
    segments: &'b [Elf::ProgramHeader],
    sections: object::read::elf::SectionTable<'b, Elf>,
    dynamic: &'b [Elf::Dyn],
    /// Where the dynamic section is in the file.
    dynamic_at: u64,
}

impl<'b, Elf: FileHeader<Endian = Endianness>> Object<'b, Elf> {
    fn of(bytes: &'b [u8]) -> Option<Self> {
        let header = Elf::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, bytes).ok()?;
        let find = |segment: &&Elf::ProgramHeader| segment.p_type(endian) == elf::PT_DYNAMIC;
        let section = segments.iter().find(find)?;
        Some(Object {
            bytes,
            endian,
            header,
            segments,
            sections: header.sections(endian, bytes).ok()?,
            dynamic: section.dynamic(endian, bytes).ok()??,
            dynamic_at: section.p_offset(endian).into(),
        })
    }

    /// Whether code of the object, or a place in its code, is needed before it is loaded as a whole: functions
    /// that choose other functions, relocations in what is not written to.
    fn runs_while_relocated(&self) -> Option<bool> {
        let endian = self.endian;
        let text = |entry: &Elf::Dyn| {
            let (tag, value) = (entry.d_tag(endian), entry.d_val(endian).into());
            tag == elf::DT_TEXTREL
                || tag == elf::DT_PREINIT_ARRAY
                || (tag == elf::DT_FLAGS && value & elf::DF_TEXTREL.0 != 0)
        };
        let symbols = self.sections.symbols(endian, self.bytes, elf::SHT_DYNSYM).ok()?;
        let chooses = symbols.iter().any(|symbol| symbol.st_type() == elf::STT_GNU_IFUNC);
        let chosen = match self.header.e_machine(endian) {
            elf::EM_X86_64 => elf::R_X86_64_IRELATIVE,
            elf::EM_386 => elf::R_386_IRELATIVE,
            elf::EM_AARCH64 => elf::R_AARCH64_IRELATIVE,
            elf::EM_ARM => elf::R_ARM_IRELATIVE,
            elf::EM_RISCV => elf::R_RISCV_IRELATIVE,
            _ => return None,
        };
        for section in self.sections.iter() {
            if let Some((rels, _)) = section.rel(endian, self.bytes).ok()?
                && rels.iter().any(|rel| rel.r_type(endian) == chosen)
            {
                return Some(true);
            }
            if let Some((relas, _)) = section.rela(endian, self.bytes).ok()?
                && relas.iter().any(|rela| rela.r_type(endian, false) == chosen)
            {
                return Some(true);
            }
        }
        Some(chooses || self.dynamic.iter().any(text))
    }

    /// The parts of the file, ascending.
    fn parts(&self) -> Option<Vec<Range<u64>>> {
        let endian = self.endian;
        let headers = u64::from(self.header.e_phentsize(endian)) * self.segments.len() as u64;
        let table: u64 = self.header.e_phoff(endian).into();
        let start = size_of::<Elf>() as u64;
        let mut parts = vec![0..start, table..table.checked_add(headers)?];
        for segment in self.segments {
            let kind = segment.p_type(endian);
            let written = kind == elf::PT_LOAD && segment.p_flags(endian).contains(elf::PF_W);
            let read = [elf::PT_DYNAMIC, elf::PT_NOTE, elf::PT_TLS, elf::PT_GNU_PROPERTY];
            let (at, length): (u64, u64) =
                (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
            if written || read.contains(&kind) {
                parts.push(at..at.checked_add(length)?);
            } else if kind == elf::PT_LOAD && segment.p_memsz(endian).into() != length {
                return None; // zeros that nobody writes to
            }
        }
        let read = [
            elf::SHT_DYNSYM,
            elf::SHT_STRTAB,
            elf::SHT_HASH,
            elf::SHT_GNU_HASH,
            elf::SHT_GNU_VERSYM,
            elf::SHT_GNU_VERDEF,
            elf::SHT_GNU_VERNEED,
            elf::SHT_REL,
            elf::SHT_RELA,
            elf::SHT_RELR,
        ];
        for section in self.sections.iter() {
            if section.sh_flags(endian).contains(elf::SHF_ALLOC)
                && read.contains(&section.sh_type(endian))
                && let Some((at, length)) = section.file_range(endian)
            {
                parts.push(at..at.checked_add(length)?);
            }
        }
        parts.sort_by_key(|part| part.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            match joined.last_mut() {
                Some(last) if part.start <= last.end + NEAR => last.end = last.end.max(part.end),
                _ => joined.push(part),
            }
        }
        (joined.last()?.end <= self.bytes.len() as u64).then_some(joined)
    }

    /// Where the tables of the dynamic section begin in the file.
    fn tables(&self) -> Option<impl Iterator<Item = u64>> {
        let tables = [
            elf::DT_SYMTAB,
            elf::DT_STRTAB,
            elf::DT_HASH,
            elf::DT_GNU_HASH,
            elf::DT_VERSYM,
            elf::DT_VERDEF,
            elf::DT_VERNEED,
            elf::DT_REL,
            elf::DT_RELA,
            elf::DT_RELR,
            elf::DT_JMPREL,
        ];
        let entries = self.dynamic.iter().filter(move |e| tables.contains(&e.d_tag(self.endian)));
        let places: Option<Vec<u64>> =
            entries.map(|entry| self.place(entry.d_val(self.endian).into())).collect();
        Some(places?.into_iter())
    }

    /// Where an address is in the file.
    fn place(&self, address: u64) -> Option<u64> {
        let endian = self.endian;
        self.segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(
            |segment| {
                let inside = address.checked_sub(segment.p_vaddr(endian).into())?;
                let length: u64 = segment.p_filesz(endian).into();
                (inside < length).then(|| inside + segment.p_offset(endian).into())
            },
        )
    }

    fn starters(&self) -> Option<Starters> {
        let mut found = Starters::default();
        for (index, entry) in self.dynamic.iter().enumerate() {
            let at = self.dynamic_at + (index * size_of::<Elf::Dyn>()) as u64;
            let (at, value) =
                (u32::try_from(at).ok()?, u32::try_from(entry.d_val(self.endian).into()).ok());
            match entry.d_tag(self.endian) {
                elf::DT_INIT => (found.init, found.init_entry) = (value?, at),
                elf::DT_INIT_ARRAY => found.array = value?,
                elf::DT_INIT_ARRAYSZ => (found.array_bytes, found.array_entry) = (value?, at),
                _ => {}
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use object::{Object as _, ObjectSection as _};

    use super::*;

    /// A shared object, made by the C compiler of this machine.
    fn library(source: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (code, out) = (folder.path().join("a.c"), folder.path().join("a.so"));
        std::fs::write(&code, source).unwrap();
        let mut compiler = std::process::Command::new("cc");
        let made = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&out).arg(code).status();
        assert!(made.unwrap().success(), "the C compiler that links launchers compiles, too");
        std::fs::read(out).unwrap()
    }

    const PLAIN: &str = "
        static int count = 7;
        const char text[9000] = \"constant\";
        __attribute__((constructor)) static void first(void) { count++; }
        __attribute__((constructor)) static void second(void) { count++; }
        int get(int at) { return text[at] + count; }";

    #[test]
    fn code_and_constants_are_not_read() {
        let bytes = library(PLAIN);
        let load = of(&bytes).expect("it is an ordinary one");
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let read = |name: &str| {
            let (at, length) = file.section_by_name(name).unwrap().file_range().unwrap();
            let parts = load.parts.iter().map(|(at, length)| (u64::from(*at), u64::from(*length)));
            parts
                .map(|(start, size)| (start, start + size))
                .any(|(start, end)| start <= at && at + length <= end)
        };
        for name in [".dynsym", ".dynstr", ".rela.dyn", ".dynamic", ".init_array", ".data"] {
            assert!(read(name), "{name}");
        }
        for name in [".text", ".rodata", ".eh_frame"] {
            assert!(!read(name), "{name}");
        }
        let array = file.section_by_name(".init_array").unwrap();
        let starters = load.starters;
        assert_eq!(u64::from(starters.array), array.address());
        assert_eq!(u64::from(starters.array_bytes), array.size());
        let entry = starters.array_entry as usize;
        assert_eq!(bytes[entry + 8..entry + 12], starters.array_bytes.to_le_bytes());
    }

    #[test]
    fn what_runs_while_it_is_relocated_is_loaded_as_a_whole() {
        let chooses = format!(
            "{PLAIN}
            static void *choose(void) {{ return get; }}
            int chosen(int) __attribute__((ifunc(\"choose\")));"
        );
        assert_eq!(of(&library(&chooses)), None);
        assert_eq!(of(b"\x7fELF and no more"), None);
    }
}
