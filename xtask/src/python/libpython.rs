//! The libpythons of a prefix: which files there are, and which of them a launcher can be linked with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use object::read::archive::ArchiveFile;
use object::read::{File as ObjectFile, ReadCache};
use object::{
    Architecture, Object, ObjectSection, ObjectSymbol, RelocationFlags, SectionFlags, elf,
};

use super::Libraries;

/// Where an interpreter's files are: everything below the prefix that was asked for.
pub(super) struct Places<'a> {
    /// The prefix.
    pub prefix: &'a Path,
    /// The standard library's folder.
    pub stdlib: &'a Path,
    /// "3.11".
    pub version: &'a str,
    /// What `sysconfig` says: true of a prefix that was not moved since it was built.
    pub sysconfig: &'a BTreeMap<String, String>,
}

/// Every libpython of the prefix, and what linking a static one takes.
pub(super) fn find(places: &Places) -> Result<Libraries> {
    let mut libraries = Libraries { link: link_names(places.sysconfig), ..Libraries::default() };
    let folders = folders(places);
    let first = |name: &str| {
        let file = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
        file.map(|file| file.canonicalize().unwrap_or(file))
    };
    let version = places.version;
    // Debian's `-pic.a` is made for this; its plain archive belongs to programs at a fixed address.
    for name in [format!("libpython{version}-pic.a"), format!("libpython{version}.a")] {
        let Some(archive) = first(&name) else { continue };
        let act = || format!("cannot read {}", archive.display());
        if let Some(symbol) = left_out(&archive, version).with_context(act)? {
            libraries.unusable.push(format!(
                "{} needs {symbol}, of a library that does not come with it",
                archive.display()
            ));
            continue;
        }
        match code(&archive).with_context(act)? {
            Code::Independent => libraries.static_pic = libraries.static_pic.or(Some(archive)),
            Code::Fixed => libraries.static_fixed = libraries.static_fixed.or(Some(archive)),
            Code::Intermediate => libraries.unusable.push(format!(
                "{} holds a compiler's intermediate code (LTO), not machine code",
                archive.display()
            )),
        }
    }
    let named = places.sysconfig.get("INSTSONAME").cloned().unwrap_or_default();
    let candidates =
        [named, format!("libpython{version}.so.1.0"), format!("libpython{version}.so")];
    let shared = candidates.iter().filter(|name| name.contains(".so")).find_map(|name| first(name));
    libraries.shared = shared;
    libraries.searched = folders;
    Ok(libraries)
}

/// Folders that can hold a libpython of this prefix, most specific first.
fn folders(places: &Places) -> Vec<PathBuf> {
    let variable = |name: &str| places.sysconfig.get(name).filter(|value| !value.is_empty());
    let mut folders = Vec::new();
    let mut add = |folder: PathBuf| {
        if folder.is_dir() && !folders.contains(&folder) {
            folders.push(folder);
        }
    };
    if let Ok(entries) = places.stdlib.read_dir() {
        let mut configs: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("config"))
            .map(|entry| entry.path())
            .collect();
        configs.sort();
        configs.into_iter().for_each(&mut add);
    }
    let lib = places.prefix.join("lib");
    if let Some(multiarch) = variable("MULTIARCH") {
        add(lib.join(multiarch));
    }
    if let Some(platlib) = variable("PLATLIBDIR") {
        add(places.prefix.join(platlib));
    }
    add(lib);
    add(places.prefix.join("lib64"));
    // Only below the prefix: a moved build still names the folder that it was configured for.
    for name in ["LIBPL", "LIBDIR"] {
        let folder =
            variable(name).map(PathBuf::from).filter(|folder| folder.starts_with(places.prefix));
        folder.into_iter().for_each(&mut add);
    }
    folders
}

/// The libraries of `LIBS`, `MODLIBS` and `SYSLIBS`, each once: "expat", "z", "m", "dl".
fn link_names(sysconfig: &BTreeMap<String, String>) -> Vec<String> {
    let mut names = Vec::new();
    for variable in ["MODLIBS", "LIBS", "SYSLIBS"] {
        let words =
            sysconfig.get(variable).map(String::as_str).unwrap_or_default().split_whitespace();
        for name in words.filter_map(|word| word.strip_prefix("-l")) {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// A function of HACL* that the archive calls and has not. CPython links its own copy into its own programs from 3.12
/// on, and Debian's archive is without it.
fn left_out(archive: &Path, version: &str) -> Result<Option<String>> {
    // To read all symbols takes a while.
    if matches!(version, "3.10" | "3.11") {
        return Ok(None);
    }
    let cache = ReadCache::new(File::open(archive)?);
    let members = ArchiveFile::parse(&cache)?;
    let (mut called, mut defined) = (BTreeSet::new(), BTreeSet::new());
    if members.is_thin() {
        return Ok(None);
    }
    for member in members.members() {
        let (offset, size) = member?.file_range();
        let Ok(object) = ObjectFile::parse(cache.range(offset, size)) else { continue };
        for symbol in object.symbols() {
            if let Ok(name) = symbol.name()
                && name.contains("Hacl_")
            {
                let names = if symbol.is_undefined() { &mut called } else { &mut defined };
                names.insert(name.to_owned());
            }
        }
    }
    Ok(called.difference(&defined).next().cloned())
}

/// What an archive's members are made of.
#[derive(Debug, PartialEq, Eq)]
enum Code {
    /// Machine code that runs at any address.
    Independent,
    /// Machine code that holds absolute addresses.
    Fixed,
    /// Input of a compiler's link step: no machine code.
    Intermediate,
}

/// Looks through the members up to the first absolute address in what is loaded.
fn code(archive: &Path) -> Result<Code> {
    let cache = ReadCache::new(File::open(archive)?);
    let members = ArchiveFile::parse(&cache)?;
    // A thin archive names its objects' files, which the build that made them has long removed.
    if members.is_thin() {
        return Ok(Code::Intermediate);
    }
    for member in members.members() {
        let member = member?;
        let (offset, size) = member.file_range();
        let Ok(object) = ObjectFile::parse(cache.range(offset, size)) else {
            return Ok(Code::Intermediate);
        };
        if is_intermediate(&object) {
            return Ok(Code::Intermediate);
        }
        if object.sections().any(|section| has_absolute_address(&object, &section)) {
            return Ok(Code::Fixed);
        }
    }
    Ok(Code::Independent)
}

/// Whether the object holds GCC's intermediate code and nothing else.
fn is_intermediate<'data>(object: &impl Object<'data>) -> bool {
    // Looked for first: a section's name is found sooner than a symbol's.
    let has_code = |name: &str| name.starts_with(".gnu.lto_");
    object.sections().any(|section| section.name().is_ok_and(has_code))
        && object.symbol_by_name("__gnu_lto_slim").is_some()
}

/// Whether the linker of a position-independent program would refuse the section.
fn has_absolute_address<'data>(
    object: &impl Object<'data>,
    section: &impl ObjectSection<'data>,
) -> bool {
    let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return false };
    // Debug sections are full of absolute addresses, and never loaded.
    if sh_flags.0 & elf::SHF_ALLOC.0 == 0 {
        return false;
    }
    section.relocations().any(|(_, relocation)| {
        let RelocationFlags::Elf { r_type } = relocation.flags() else { return false };
        is_absolute(object.architecture(), r_type)
    })
}

/// Relocations that only a program at a fixed address can satisfy. Addresses as wide as a pointer are fine: the
/// dynamic loader adjusts them.
fn is_absolute(architecture: Architecture, r_type: elf::RelocationType) -> bool {
    match architecture {
        Architecture::X86_64 => matches!(r_type, elf::R_X86_64_32 | elf::R_X86_64_32S),
        Architecture::Aarch64 => matches!(
            r_type,
            elf::R_AARCH64_ABS32
                | elf::R_AARCH64_ABS16
                | elf::R_AARCH64_MOVW_UABS_G0
                | elf::R_AARCH64_MOVW_UABS_G0_NC
                | elf::R_AARCH64_MOVW_UABS_G1
                | elf::R_AARCH64_MOVW_UABS_G1_NC
                | elf::R_AARCH64_MOVW_UABS_G2
                | elf::R_AARCH64_MOVW_UABS_G2_NC
                | elf::R_AARCH64_MOVW_UABS_G3
        ),
        Architecture::Arm => matches!(
            r_type,
            elf::R_ARM_MOVW_ABS_NC
                | elf::R_ARM_MOVT_ABS
                | elf::R_ARM_THM_MOVW_ABS_NC
                | elf::R_ARM_THM_MOVT_ABS
        ),
        Architecture::Riscv32 | Architecture::Riscv64 => {
            matches!(r_type, elf::R_RISCV_HI20 | elf::R_RISCV_LO12_I | elf::R_RISCV_LO12_S)
        }
        _ => false,
    }
}

/// Which of `names` the linker does not find as `lib*.so` or `lib*.a`, asked of the C compiler that links.
/// Without a C compiler there is nothing to ask, and none is reported.
pub fn missing_libraries(names: &[String], beside: &Path) -> Vec<String> {
    let found = |name: &String| {
        ["so", "a"].iter().any(|suffix| {
            let file = format!("lib{name}.{suffix}");
            beside.parent().is_some_and(|folder| folder.join(&file).is_file())
                || linker_finds(&file)
        })
    };
    names.iter().filter(|name| !found(name)).cloned().collect()
}

/// Whether the C compiler finds the file in its library folders.
fn linker_finds(file: &str) -> bool {
    let output = Command::new("cc").arg(format!("-print-file-name={file}")).output();
    // It prints the bare name of what it does not find.
    output.map_or(true, |output| output.stdout.trim_ascii() != file.as_bytes())
}
