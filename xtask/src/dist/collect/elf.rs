//! What a shared object is and asks for, read from its headers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::Object;
use crate::dist::resolve::Plan;

/// A shared object's headers, as far as the pipeline needs them.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// SONAME and DT_NEEDED.
    pub object: Object,
    /// e_machine, and whether it is a 64-bit file.
    pub machine: (u16, bool),
    /// The modules that it can be imported as: the names of its `PyInit_` functions.
    pub modules: Vec<String>,
    /// The versions of symbols that it defines: "GLIBC_2.36".
    pub defined: BTreeSet<String>,
}

/// What a shared object must fit.
#[derive(Debug, Clone, Copy)]
pub struct Launcher {
    machine: Option<(u16, bool)>,
    /// Its C library is musl, not glibc.
    musl: bool,
    /// libpython is inside.
    static_link: bool,
}

impl Launcher {
    /// The launcher of a plan.
    pub fn of(plan: &Plan) -> Launcher {
        let musl = plan.target.contains("-musl");
        Launcher { machine: machine(&plan.target), musl, static_link: plan.link.is_static() }
    }

    /// What a shared object needs, and why it cannot work if it cannot.
    pub fn object(&self, file: &Path) -> Object {
        let fault = match open(file) {
            Ok(Some(headers)) => {
                let fault = self.fault(&headers);
                return Object { fault, ..headers.object };
            }
            Ok(None) => "it is no ELF shared object".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        Object { fault: Some(fault), ..Object::default() }
    }

    fn fault(&self, headers: &Headers) -> Option<String> {
        if let Some(machine) = self.machine.filter(|machine| *machine != headers.machine) {
            let (theirs, ours) = (machine_name(headers.machine), machine_name(machine));
            return Some(format!("it is built for {theirs}, the launcher for {ours}"));
        }
        let foreign = |name: &&String| is_of_musl(name) != self.musl && is_c_library(name);
        if let Some(library) = headers.object.needed.iter().find(foreign) {
            let [theirs, ours] =
                [!self.musl, self.musl].map(|musl| if musl { "musl" } else { "glibc" });
            return Some(format!(
                "it is built for another C library ({library}, of {theirs}), and the device has {ours}"
            ));
        }
        let mut needed = headers.object.needed.iter();
        let libpython = needed.find(|name| self.static_link && name.starts_with("libpython3"))?;
        Some(format!(
            "it needs {libpython} beside the libpython inside the launcher; use link = \"shared\""
        ))
    }
}

/// Whether a library is the C library of a Linux machine.
fn is_c_library(name: &str) -> bool {
    name == "libc.so.6" || is_of_musl(name)
}

fn is_of_musl(name: &str) -> bool {
    name.starts_with("libc.musl-") || name.starts_with("ld-musl-")
}

/// Reads a file's headers; none when it is no ELF file.
///
/// # Errors
/// A file that cannot be read, or that starts like ELF and is damaged.
pub fn open(file: &Path) -> Result<Option<Headers>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    read(&bytes).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads the headers; none when the bytes are no ELF file.
///
/// # Errors
/// A file that starts like ELF and is damaged.
pub fn read(bytes: &[u8]) -> Result<Option<Headers>> {
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let headers = match bytes.get(4) {
        Some(1) => headers::<elf::FileHeader32<Endianness>>(bytes),
        _ => headers::<elf::FileHeader64<Endianness>>(bytes),
    };
    headers.map(Some).context("the ELF headers are damaged")
}

fn headers<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<Headers> {
    let header = E::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let mut found = Headers {
        machine: (header.e_machine(endian).0, header.is_type_64()),
        ..Headers::default()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let dynamic = sections.dynamic_table(endian, bytes)?;
    for entry in dynamic.iter() {
        if entry.tag == elf::DT_NEEDED {
            found.object.needed.push(text(dynamic.string(entry)?));
        } else if entry.tag == elf::DT_SONAME {
            found.object.soname = Some(text(dynamic.string(entry)?));
        }
    }
    if let Some((mut needs, link)) = sections.gnu_verneed(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        while let Some((library, mut versions)) = needs.next()? {
            let library = text(library.file(endian, strings)?);
            while let Some(version) = versions.next()? {
                let weak = version.vna_flags.get(endian).0 & elf::VER_FLG_WEAK.0 != 0;
                if !weak {
                    found
                        .object
                        .versions
                        .push((library.clone(), text(version.name(endian, strings)?)));
                }
            }
        }
    }
    if let Some((mut defined, link)) = sections.gnu_verdef(endian, bytes)? {
        let strings = sections.strings(endian, bytes, link)?;
        while let Some((_, mut names)) = defined.next()? {
            if let Some(name) = names.next()? {
                found.defined.insert(text(name.name(endian, strings)?));
            }
        }
    }
    let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM)?;
    for symbol in symbols.iter().filter(|symbol| !symbol.is_undefined(endian)) {
        let name = symbol.name(endian, symbols.strings())?;
        if let Some(module) = name.strip_prefix(b"PyInit_") {
            found.modules.push(text(module));
        } else if let Some(module) = name.strip_prefix(b"PyInitU_") {
            found.modules.push(text(module)); // punycode: only that it is a module matters
        }
    }
    Ok(found)
}

/// The parts of a shared object in which strings of its code lie: what is loaded, is data, and is no
/// table of the linker's. Debugging information names everything that a header file did. All bytes
/// where the headers say nothing.
pub fn data(bytes: &[u8]) -> Vec<&[u8]> {
    let parts = match bytes.get(4) {
        Some(1) => sections::<elf::FileHeader32<Endianness>>(bytes),
        _ => sections::<elf::FileHeader64<Endianness>>(bytes),
    };
    parts.ok().filter(|parts| !parts.is_empty()).unwrap_or_else(|| vec![bytes])
}

fn sections<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<Vec<&[u8]>> {
    let header = E::parse(bytes)?;
    let endian = header.endian()?;
    let mut parts = Vec::new();
    for section in header.sections(endian, bytes)?.iter() {
        let flags = section.sh_flags(endian).0;
        let loaded = flags & elf::SHF_ALLOC.0 != 0 && flags & elf::SHF_EXECINSTR.0 == 0;
        if loaded && section.sh_type(endian) == elf::SHT_PROGBITS {
            parts.push(section.data(endian, bytes)?);
        }
    }
    Ok(parts)
}

/// The e_machine of a target triple and whether it is a 64-bit one; none for architectures not listed.
pub fn machine(target: &str) -> Option<(u16, bool)> {
    let arch = target.split('-').next().unwrap_or("");
    let machine = match arch {
        "x86_64" => (elf::EM_X86_64, !target.ends_with("x32")),
        "aarch64" => (elf::EM_AARCH64, true),
        "i586" | "i686" => (elf::EM_386, false),
        "loongarch64" => (elf::EM_LOONGARCH, true),
        "powerpc64" | "powerpc64le" => (elf::EM_PPC64, true),
        "powerpc" => (elf::EM_PPC, false),
        "s390x" => (elf::EM_S390, true),
        _ if arch.starts_with("arm") || arch.starts_with("thumb") => (elf::EM_ARM, false),
        _ if arch.starts_with("riscv64") => (elf::EM_RISCV, true),
        _ if arch.starts_with("riscv32") => (elf::EM_RISCV, false),
        _ if arch.starts_with("mips64") => (elf::EM_MIPS, true),
        _ if arch.starts_with("mips") => (elf::EM_MIPS, false),
        _ => return None,
    };
    Some((machine.0.0, machine.1))
}

/// The name of an e_machine for messages.
fn machine_name((machine, wide): (u16, bool)) -> String {
    let name = match elf::Machine(machine) {
        elf::EM_X86_64 => "x86-64",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_386 => "32-bit x86",
        elf::EM_ARM => "32-bit ARM",
        elf::EM_RISCV => return format!("{}-bit RISC-V", if wide { 64 } else { 32 }),
        _ => return format!("machine {machine}, {}-bit", if wide { 64 } else { 32 }),
    };
    name.to_owned()
}
