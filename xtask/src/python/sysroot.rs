//! The interpreter of another machine, read from the files of a sysroot: nothing in it runs here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{Interpreter, candidates, libpython, probe, remedy};
use crate::target::Target;

const SCRIPT: &str = include_str!("sysroot.py");

/// The top folder of the sysroot that a prefix is in, or none: `/usr` of the machine that builds is no
/// sysroot, nor is an unpacked build of Python.
pub fn root_of(prefix: &Path) -> Option<PathBuf> {
    let prefix = prefix.canonicalize().ok()?;
    let root = prefix.parent().filter(|root| root.parent().is_some() && prefix.ends_with("usr"))?;
    let is_system = prefix.join("include/features.h").is_file() || root.join("lib").is_dir();
    is_system.then(|| root.to_owned())
}

/// What a prefix in a sysroot holds, for `target`. Another Python, of this machine, compiles for it.
///
/// # Errors
/// The folder holds no CPython of that machine, or this machine no Python of that version.
pub(super) fn read(prefix: &Path, target: &Target) -> Result<Interpreter> {
    let shown = prefix.display();
    let prefix = prefix.canonicalize().with_context(|| {
        format!(
            "cannot find the interpreter {shown}; `cargo xtask sysroot debian bookworm {}` makes a sysroot whose \
             `usr` it can be",
            target.debian
        )
    })?;
    let (version, full_version, include) = newest(&prefix).with_context(|| {
        format!("{shown} is no CPython prefix of a sysroot: it has no include/python3.X/patchlevel.h; add the \
                 headers and the static library of its Python (Debian's libpython3-dev)")
    })?;
    let short = format!("3.{}", version.1);
    ensure!(
        probe::MINORS.contains(&version.1),
        "{shown} has Python {short}; a launcher embeds Python 3.{} to 3.{}",
        probe::MINORS.start(),
        probe::MINORS.end()
    );
    let stdlib = prefix.join(format!("lib/python{short}"));
    ensure!(
        stdlib.join("os.py").is_file(),
        "{shown} has the headers of Python {short} and no standard library: {} is not there",
        stdlib.join("os.py").display()
    );
    let magic = magic(&stdlib, &include)?;
    let host = of_this_machine(version, magic)?;
    let sysconfig = sysconfig(&host, &stdlib, target)?;
    check(&prefix, &sysconfig, target)?;
    let places = libpython::Places {
        prefix: &prefix,
        stdlib: &stdlib,
        version: &short,
        sysconfig: &sysconfig,
    };
    let libraries = libpython::find(&places)?;
    let markers = markers(&host, &full_version, target);
    let config = libraries.static_pic.as_deref().or(libraries.static_fixed.as_deref());
    Ok(Interpreter {
        builtins: builtins(&stdlib, config, &sysconfig)?,
        ext_suffix: sysconfig.get("EXT_SUFFIX").cloned().unwrap_or_else(|| ".so".to_owned()),
        dynload: stdlib.join("lib-dynload"),
        // What a version of CPython freezes, and what its modules in C offer, is the same everywhere.
        frozen: host.frozen,
        exports: host.exports,
        program: host.program,
        program_libraries: host.program_libraries,
        prefix,
        version,
        full_version,
        magic,
        stdlib,
        include,
        libraries,
        sysconfig,
        markers,
    })
}

/// The newest Python whose headers are there: its version, in full, and the folder.
fn newest(prefix: &Path) -> Option<((u8, u8), String, PathBuf)> {
    let entries = prefix.join("include").read_dir().ok()?.flatten();
    let found = entries.filter_map(|entry| {
        let name = entry.file_name();
        let minor: u8 = name.to_str()?.strip_prefix("python3.")?.parse().ok()?;
        let text = std::fs::read_to_string(entry.path().join("patchlevel.h")).ok()?;
        let full = defined(&text, "PY_VERSION")?.trim_matches('"').trim_end_matches('+').to_owned();
        Some(((3, minor), full, entry.path()))
    });
    found.max_by_key(|(version, ..)| *version)
}

/// The value of `#define NAME VALUE`.
fn defined<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("#define") && words.next() == Some(name)).then(|| words.next())?
    })
}

/// The number that bytecode for this Python begins with: in the importer's source, from 3.14 on in a header.
fn magic(stdlib: &Path, include: &Path) -> Result<u16> {
    let source = stdlib.join("importlib/_bootstrap_external.py");
    let text = std::fs::read_to_string(&source)
        .with_context(|| format!("cannot read {}", source.display()))?;
    let inside =
        |line: &str| line.strip_prefix("MAGIC_NUMBER = (")?.split(')').next()?.parse().ok();
    if let Some(magic) = text.lines().find_map(inside) {
        return Ok(magic);
    }
    let header = include.join("internal/pycore_magic_number.h");
    let text = std::fs::read_to_string(&header).unwrap_or_default();
    defined(&text, "PYC_MAGIC_NUMBER").and_then(|number| number.parse().ok()).with_context(|| {
        format!(
            "neither {} nor {} says what bytecode begins with",
            source.display(),
            header.display()
        )
    })
}

/// A Python of this machine that compiles what the device's Python takes.
fn of_this_machine(version: (u8, u8), magic: u16) -> Result<Interpreter> {
    let name = format!("python{}.{}", version.0, version.1);
    let mut programs: Vec<PathBuf> = which::which(&name).into_iter().collect();
    programs.extend(candidates());
    let mut others = BTreeSet::new();
    for program in programs {
        match probe::read(&program) {
            Ok(found) if (found.version, found.magic) == (version, magic) => return Ok(found),
            Ok(found) => others.insert(found.full_version),
            Err(_) => continue,
        };
    }
    let others = match others.is_empty() {
        true => "none".to_owned(),
        false => others.into_iter().collect::<Vec<_>>().join(", "),
    };
    bail!(
        "the device's Python is {}.{}, and no Python of this machine compiles for it (magic number {magic}); \
         found: {others}; remedy: {}, or any other CPython {}.{} on PATH",
        version.0,
        version.1,
        remedy::install(&[name]),
        version.0,
        version.1
    )
}

/// What the device's Python was configured with.
fn sysconfig(
    host: &Interpreter,
    stdlib: &Path,
    target: &Target,
) -> Result<BTreeMap<String, String>> {
    let entries = stdlib.read_dir().with_context(|| format!("cannot list {}", stdlib.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("_sysconfigdata_") && name.ends_with(".py")
    });
    files.sort();
    let of_target = |file: &&PathBuf| file.to_string_lossy().contains(target.gnu);
    let file = files.iter().find(of_target).or(files.first()).with_context(|| {
        format!(
            "{} has no _sysconfigdata_*.py, which says how that Python was built",
            stdlib.display()
        )
    })?;
    let act = || format!("reading {}", file.display());
    let output = host.command().args(["-c", SCRIPT]).arg(file).output().with_context(act)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", act(), said.lines().last().unwrap_or("Python said nothing"));
    }
    serde_json::from_slice(&output.stdout).with_context(act)
}

/// Refuses the Python of another machine, and builds that a launcher does not embed.
fn check(prefix: &Path, sysconfig: &BTreeMap<String, String>, target: &Target) -> Result<()> {
    let value = |name: &str| sysconfig.get(name).map(String::as_str).unwrap_or_default();
    let first = |text: &str| text.split('-').next().unwrap_or_default().to_owned();
    let built_for = value("HOST_GNU_TYPE");
    ensure!(
        first(built_for).starts_with(&first(target.gnu)),
        "the Python in {} is for {built_for}, the device for {}; name the sysroot of the device with \
         `python`, or correct its `target`",
        prefix.display(),
        target.triple
    );
    for (variable, kind) in
        [("Py_DEBUG", "a debug build"), ("Py_GIL_DISABLED", "a free-threaded build")]
    {
        ensure!(
            value(variable) != "1",
            "the Python in {} is {kind} ({variable} is 1), whose extension modules are not those of an ordinary \
             CPython",
            prefix.display()
        );
    }
    Ok(())
}

/// Modules inside libpython: those in the table that it was compiled with.
fn builtins(
    stdlib: &Path,
    archive: Option<&Path>,
    sysconfig: &BTreeMap<String, String>,
) -> Result<BTreeSet<String>> {
    let beside = archive.and_then(Path::parent).map(Path::to_owned);
    let entries = stdlib.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let configs = entries.filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("config-"))
    });
    let table = beside.into_iter().chain(configs).map(|folder| folder.join("config.c"));
    for file in table {
        if let Ok(text) = std::fs::read_to_string(&file) {
            let found = in_table(&text);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    // What every CPython has, and what `Modules/Setup` added.
    const CORE: [&str; 8] =
        ["_ast", "_imp", "_string", "_tokenize", "_warnings", "builtins", "gc", "marshal"];
    let named = sysconfig.get("MODBUILT_NAMES").with_context(|| {
        format!(
            "{} does not say which modules are inside libpython: there is no config-*/config.c",
            stdlib.display()
        )
    })?;
    let core = CORE.into_iter().chain(["sys"]);
    Ok(core.chain(named.split_whitespace()).map(str::to_owned).collect())
}

/// The names in `struct _inittab _PyImport_Inittab[]`: lines such as `{"posix", PyInit_posix},`.
fn in_table(source: &str) -> BTreeSet<String> {
    let name = |line: &str| line.trim().strip_prefix("{\"")?.split('"').next().map(str::to_owned);
    source.lines().filter_map(name).collect()
}

/// The environment of PEP 508 markers on the device. Which kernel it runs nobody knows.
fn markers(host: &Interpreter, full_version: &str, target: &Target) -> BTreeMap<String, String> {
    let mut markers = host.markers.clone();
    for (name, value) in [
        ("implementation_version", full_version),
        ("platform_machine", target.machine),
        ("platform_release", ""),
        ("platform_version", ""),
        ("python_full_version", full_version),
    ] {
        markers.insert(name.to_owned(), value.to_owned());
    }
    markers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TARGETS;

    #[test]
    fn headers_and_tables_are_read() {
        let header = "#define PY_MAJOR_VERSION 3\n#define PY_VERSION              \"3.14.0rc2+\"\n";
        assert_eq!(defined(header, "PY_VERSION"), Some("\"3.14.0rc2+\""));
        assert_eq!(defined(header, "PY_VERSION_HEX"), None);
        let table = "extern PyObject* PyMarshal_Init(void);\n    {\"posix\", PyInit_posix},\n/* Sentinel */\n{0, 0}\n";
        assert_eq!(in_table(table), BTreeSet::from(["posix".to_owned()]));
    }

    #[test]
    fn this_machine_is_no_sysroot() {
        assert_eq!(root_of(Path::new("/usr")), None);
        let folder = tempfile::tempdir().unwrap();
        let usr = folder.path().join("usr");
        std::fs::create_dir_all(usr.join("include")).unwrap();
        assert_eq!(root_of(&usr), None);
        std::fs::write(usr.join("include/features.h"), "").unwrap();
        assert_eq!(root_of(&usr), Some(folder.path().canonicalize().unwrap()));
    }

    #[test]
    fn what_a_sysroot_lacks_is_said_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let usr = folder.path().join("usr");
        let error = || format!("{:#}", read(&usr, &TARGETS[1]).unwrap_err());
        assert!(error().contains("`cargo xtask sysroot debian bookworm arm64`"), "{}", error());
        let include = usr.join("include/python3.11");
        std::fs::create_dir_all(&include).unwrap();
        assert!(error().contains("it has no include/python3.X/patchlevel.h"), "{}", error());
        std::fs::write(include.join("patchlevel.h"), "#define PY_VERSION \"3.11.2\"\n").unwrap();
        assert!(error().contains("and no standard library"), "{}", error());
        let importlib = usr.join("lib/python3.11/importlib");
        std::fs::create_dir_all(&importlib).unwrap();
        std::fs::write(usr.join("lib/python3.11/os.py"), "").unwrap();
        let source = importlib.join("_bootstrap_external.py");
        std::fs::write(&source, "MAGIC_NUMBER = (1).to_bytes(2, 'little')\n").unwrap();
        assert!(
            error().contains("no Python of this machine compiles for it (magic number 1)"),
            "{}",
            error()
        );
    }

    #[test]
    fn the_python_of_another_machine_is_refused() {
        let sysconfig =
            BTreeMap::from([("HOST_GNU_TYPE".to_owned(), "x86_64-pc-linux-gnu".to_owned())]);
        let error = check(Path::new("/s/usr"), &sysconfig, &TARGETS[2]).unwrap_err().to_string();
        assert!(error.contains("is for x86_64-pc-linux-gnu, the device for armv7-"), "{error}");
    }
}
