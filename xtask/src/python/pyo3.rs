//! pyo3's own configuration file (`PYO3_CONFIG_FILE`): `key=value` lines.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// What names the interpreter: its program, or the prefix that holds its library folder.
pub(super) fn prefix(file: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}, which PYO3_CONFIG_FILE names", file.display()))?;
    read(&text).with_context(|| {
        format!("{} (PYO3_CONFIG_FILE) does not say where CPython is", file.display())
    })
}

fn read(text: &str) -> Result<PathBuf> {
    let value = |key: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
    };
    let implementation = value("implementation").unwrap_or("CPython");
    ensure!(
        implementation == "CPython",
        "its implementation is {implementation}; a launcher embeds CPython"
    );
    if let Some(program) = value("executable") {
        return Ok(PathBuf::from(program));
    }
    let library =
        value("lib_dir").context("it has neither `executable` nor `lib_dir`; add one of them")?;
    // `PREFIX/lib`, `PREFIX/lib/x86_64-linux-gnu`, or `PREFIX/lib/python3.11/config-3.11-…`.
    let folder = Path::new(library);
    let prefix = folder.ancestors().find(|folder| folder.join("bin").is_dir());
    let prefix = prefix.filter(|_| folder.is_dir()).with_context(|| {
        format!("its lib_dir {library} is not below a CPython prefix; add `executable`")
    })?;
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_wins_over_lib_dir() {
        let text = "implementation=CPython\nversion=3.11\nshared=true\nlib_dir=/nowhere\nexecutable=/usr/bin/python3.11\n";
        assert_eq!(read(text).unwrap(), Path::new("/usr/bin/python3.11"));
    }

    #[test]
    fn lib_dir_leads_to_the_prefix() {
        let prefix = tempfile::tempdir().unwrap();
        for folder in ["bin", "lib/python3.11/config-3.11"] {
            std::fs::create_dir_all(prefix.path().join(folder)).unwrap();
        }
        let library = prefix.path().join("lib/python3.11/config-3.11");
        let text = format!("implementation=CPython\nlib_dir={}\n", library.display());
        assert_eq!(read(&text).unwrap(), prefix.path());
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = |text| format!("{:#}", read(text).unwrap_err());
        assert_eq!(
            error("version=3.11"),
            "it has neither `executable` nor `lib_dir`; add one of them"
        );
        assert_eq!(
            error("lib_dir=/nonexistent/lib"),
            "its lib_dir /nonexistent/lib is not below a CPython prefix; add `executable`"
        );
        assert_eq!(
            error("implementation=PyPy\nexecutable=/usr/bin/pypy3"),
            "its implementation is PyPy; a launcher embeds CPython"
        );
    }
}
