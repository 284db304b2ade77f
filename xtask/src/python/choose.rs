//! Which interpreter a launcher embeds when nobody, or only a file, says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::version::Specifier;
use super::{Interpreter, probe, pyo3, remedy, sysroot};
use crate::target::Target;

/// The interpreter that was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What goes in.
    pub interpreter: Interpreter,
    /// Which and why, where that is not what was typed.
    pub notes: Vec<String>,
}

/// Chooses the interpreter of the machine that builds: `wanted` (flag or device), else what `PYO3_CONFIG_FILE` names,
/// else the first of [`candidates`] that satisfies `requires_python` and has a libpython.
pub fn choose(wanted: Option<&Path>, requires_python: &str) -> Result<Choice> {
    let specifier: Specifier =
        requires_python.parse().context("[project] requires-python is not valid")?;
    if let Some(path) = wanted {
        return named(path, &specifier);
    }
    if let Some(file) = std::env::var_os("PYO3_CONFIG_FILE").filter(|file| !file.is_empty()) {
        let file = PathBuf::from(file);
        let prefix = pyo3::prefix(&file)?;
        let mut choice = named(&prefix, &specifier).with_context(|| {
            format!("cannot use the interpreter that PYO3_CONFIG_FILE ({}) names", file.display())
        })?;
        choice.notes.push(format!(
            "Python {} of {}, as PYO3_CONFIG_FILE says",
            choice.interpreter.full_version,
            choice.interpreter.prefix.display()
        ));
        return Ok(choice);
    }
    first_that_suits(&specifier)
}

/// The interpreter of another machine, in the sysroot that the device or a flag names.
pub fn choose_foreign(prefix: &Path, target: &Target, requires_python: &str) -> Result<Choice> {
    let specifier: Specifier =
        requires_python.parse().context("[project] requires-python is not valid")?;
    let interpreter = sysroot::read(prefix, target)?;
    suits(&interpreter, &specifier).map_err(anyhow::Error::msg)?;
    Ok(Choice { interpreter, notes: Vec::new() })
}

/// The interpreter at a path that somebody named: nothing else will do.
fn named(path: &Path, specifier: &Specifier) -> Result<Choice> {
    let interpreter = Interpreter::at(path)?;
    suits(&interpreter, specifier).map_err(anyhow::Error::msg)?;
    let mut notes = Vec::new();
    if path.join("pyvenv.cfg").is_file()
        || path.ancestors().nth(2).is_some_and(|dir| dir.join("pyvenv.cfg").is_file())
    {
        notes.push(format!(
            "{} is a virtual environment; the launcher gets the CPython that it was made from, {}, and the dependencies of the project, not of the environment",
            path.display(),
            interpreter.prefix.display()
        ));
    }
    Ok(Choice { interpreter, notes })
}

/// Whether the interpreter can be embedded in the application's launcher; else why not and what helps.
fn suits(interpreter: &Interpreter, specifier: &Specifier) -> Result<(), String> {
    let (version, prefix) = (&interpreter.full_version, interpreter.prefix.display());
    let parsed = interpreter.parsed_version().map_err(|error| format!("{error:#}"))?;
    if !specifier.contains(&parsed) {
        return Err(format!(
            "Python {version} of {prefix} does not satisfy `requires-python = \"{specifier}\"` of [project]; name another prefix with --python"
        ));
    }
    if interpreter.libraries.is_empty() {
        return Err(no_libpython(interpreter));
    }
    Ok(())
}

/// Why there is nothing to link, and what to do.
fn no_libpython(interpreter: &Interpreter) -> String {
    let (short, prefix) = (interpreter.short_version(), &interpreter.prefix);
    let mut text = format!(
        "Python {} of {} has no libpython to link: looked for libpython{short}-pic.a, libpython{short}.a and libpython{short}.so.1.0 in {}",
        interpreter.full_version,
        prefix.display(),
        list(&interpreter.libraries.searched),
    );
    for reason in &interpreter.libraries.unusable {
        text += &format!("; {reason}");
    }
    text += &if prefix.ancestors().any(|folder| folder.ends_with(".pyenv")) {
        format!(
            "; remedy: `PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {}`, or --python PREFIX",
            interpreter.full_version
        )
    } else if sysroot::root_of(prefix).is_some() {
        format!(
            "; remedy: add what Debian calls {} to the sysroot",
            remedy::python_headers(interpreter)
        )
    } else if prefix == Path::new("/usr") {
        format!(
            "; remedy: {}, or --python PREFIX",
            remedy::install(&[remedy::python_headers(interpreter)])
        )
    } else {
        "; remedy: build it with --enable-shared, or name another prefix with --python".to_owned()
    };
    text
}

fn list(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn first_that_suits(specifier: &Specifier) -> Result<Choice> {
    let programs = candidates();
    ensure!(
        !programs.is_empty(),
        "no Python on this machine: neither on PATH nor in the usual places; remedy: {}, or --python PREFIX",
        remedy::install(&["libpython3-dev".to_owned()])
    );
    let mut refused: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    for program in &programs {
        let reason = match probe::read(program) {
            Ok(interpreter) if seen.contains(&interpreter.prefix_and_version()) => continue,
            Ok(interpreter) => {
                seen.push(interpreter.prefix_and_version());
                match suits(&interpreter, specifier) {
                    Ok(()) => {
                        return Ok(Choice { notes: why(&interpreter, &refused), interpreter });
                    }
                    Err(reason) => reason,
                }
            }
            Err(error) => format!("{error:#}"),
        };
        refused.push(reason);
    }
    bail!(
        "no Python here can go into the launcher; name a prefix with --python. Looked at:\n  {}",
        refused.join("\n  ")
    )
}

/// Says which interpreter was taken, and what was against `python3`.
fn why(interpreter: &Interpreter, refused: &[String]) -> Vec<String> {
    let mut note =
        format!("Python {} of {}", interpreter.full_version, interpreter.prefix.display());
    note += match refused {
        [] => ", the first on PATH",
        _ => ", the first that suits",
    };
    if let Some(reason) = refused.first() {
        note += &format!(": {reason}");
    }
    vec![note]
}

impl Interpreter {
    fn prefix_and_version(&self) -> (PathBuf, String) {
        (self.prefix.clone(), self.full_version.clone())
    }
}

/// Python programs of this machine, in the order in which they are considered: `python3` on PATH, `python3.X` on PATH
/// from the newest, the usual prefixes, pyenv's and uv's.
pub fn candidates() -> Vec<PathBuf> {
    let names = MINORS_DOWN.map(|minor| format!("python3.{minor}"));
    let mut programs: Vec<PathBuf> = which::which("python3").into_iter().collect();
    programs.extend(names.iter().filter_map(|name| which::which(name).ok()));
    for folder in ["/usr/bin", "/usr/local/bin"] {
        programs.push(Path::new(folder).join("python3"));
        programs.extend(names.iter().map(|name| Path::new(folder).join(name)));
    }
    for folder in version_folders() {
        programs.extend(installed_below(&folder));
    }
    let mut found = Vec::new();
    for program in programs {
        if program.is_file() && !found.contains(&program) {
            found.push(program);
        }
    }
    found
}

/// The supported minor versions, newest first.
const MINORS_DOWN: [u8; 5] = [14, 13, 12, 11, 10];
const _: () =
    assert!(MINORS_DOWN[0] == *probe::MINORS.end() && MINORS_DOWN[4] == *probe::MINORS.start());

/// Folders that hold one prefix per version: pyenv's and uv's.
fn version_folders() -> Vec<PathBuf> {
    let variable =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = std::env::home_dir();
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let pyenv =
        variable("PYENV_ROOT").or_else(|| in_home(".pyenv")).map(|root| root.join("versions"));
    let data = variable("XDG_DATA_HOME").or_else(|| in_home(".local/share"));
    let uv = variable("UV_PYTHON_INSTALL_DIR").or_else(|| data.map(|data| data.join("uv/python")));
    pyenv.into_iter().chain(uv).collect()
}

/// The programs of the prefixes below a folder, newest first.
fn installed_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let numbers = |path: &Path| -> Vec<u32> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    let mut prefixes: Vec<_> =
        entries.flatten().map(|entry| (numbers(&entry.path()), entry.path())).collect();
    prefixes.sort();
    prefixes.into_iter().rev().map(|(_, prefix)| prefix.join("bin/python3")).collect()
}

/// A Python of this machine that can run pip: what tools are installed with, never what goes into a launcher.
/// `first` is tried before the others.
pub fn host_tool_python(first: &Interpreter) -> Result<PathBuf> {
    // Starting pip itself takes half a second.
    const HAS_PIP: &str = "import importlib.util as u, sys; sys.exit(u.find_spec('pip') is None)";
    let has_pip = |program: &PathBuf| {
        let output =
            Command::new(program).args(["-I", "-c", HAS_PIP]).stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let mut programs = vec![first.program.clone()];
    programs.extend(candidates());
    programs.into_iter().find(has_pip).with_context(|| {
        format!(
            "no Python on this machine has pip, which installs the tools; remedy: {}, or install uv",
            remedy::install(&["python3-pip".to_owned()])
        )
    })
}
