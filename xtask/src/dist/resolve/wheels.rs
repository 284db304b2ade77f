//! Which wheels another machine takes, as the installers are told; and how sources are built for it.

use std::ffi::OsString;

use super::Cross;
use crate::dist::collect::device;
use crate::python::Interpreter;

/// The releases of glibc that uv knows as platforms.
const UV: [u32; 12] = [17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40];
/// The first release of glibc for which wheels are named after it.
const OLDEST: u32 = 17;

/// Which wheels uv takes; none: it does not know the machine.
pub fn for_uv(cross: &Cross, interpreter: &Interpreter) -> Option<Vec<OsString>> {
    let (machine, glibc) = (cross.target.uv?, glibc(cross));
    let newest = UV.into_iter().rfind(|minor| *minor <= glibc)?;
    let platform = format!("{machine}-manylinux_2_{newest}");
    let words = ["--python-platform", &platform, "--python-version", &interpreter.full_version];
    Some(words.into_iter().map(OsString::from).collect())
}

/// Which wheels pip takes. It is told every tag: of those that are not named it would take none.
pub fn for_pip(cross: &Cross, interpreter: &Interpreter) -> Vec<OsString> {
    let (major, minor) = interpreter.version;
    let mut words: Vec<String> = Vec::new();
    for platform in platforms(cross.target.machine, glibc(cross)) {
        words.extend(["--platform".to_owned(), platform]);
    }
    for abi in [format!("cp{major}{minor}"), "abi3".to_owned(), "none".to_owned()] {
        words.extend(["--abi".to_owned(), abi]);
    }
    words.extend(["--implementation".to_owned(), "cp".to_owned()]);
    words.extend(["--python-version".to_owned(), interpreter.full_version.clone()]);
    words.into_iter().map(OsString::from).collect()
}

/// The newest first, as pip prefers what is named first.
fn platforms(machine: &str, glibc: u32) -> Vec<String> {
    let numbered = (OLDEST..=glibc).rev().map(|minor| format!("manylinux_2_{minor}_{machine}"));
    numbered.chain([format!("manylinux2014_{machine}"), format!("linux_{machine}")]).collect()
}

/// The second number of the sysroot's glibc.
fn glibc(cross: &Cross) -> u32 {
    device::glibc(&cross.folders, cross.target.triple).map_or(OLDEST, |(_, minor)| minor)
}

/// What decides which wheels are taken.
pub fn tags(cross: &Cross) -> String {
    format!("glibc 2.{}", glibc(cross))
}

/// What setuptools takes for granted of this machine, of the other one. It is enough for modules in C; others
/// would be built for this machine, which is found out as soon as their files are read.
pub fn environment(cross: &Cross, interpreter: &Interpreter) -> Vec<(&'static str, OsString)> {
    let (gcc, words) = cross.compiler();
    let compiler = format!("{gcc} {}", words.join(" "));
    let include = interpreter.include.display();
    vec![
        ("CC", compiler.clone().into()),
        ("CXX", compiler.replacen("-gcc", "-g++", 1).into()),
        ("LDSHARED", format!("{compiler} -shared").into()),
        // Before the headers of the Python that runs setuptools.
        ("CPPFLAGS", format!("-I{include}").into()),
        ("CFLAGS", format!("-I{include}").into()),
        ("_PYTHON_HOST_PLATFORM", format!("linux-{}", cross.target.machine).into()),
        ("SETUPTOOLS_EXT_SUFFIX", interpreter.ext_suffix.clone().into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_up_to_the_device_s_glibc_is_named() {
        let platforms = platforms("armv7l", 19);
        assert_eq!(
            platforms,
            [
                "manylinux_2_19_armv7l",
                "manylinux_2_18_armv7l",
                "manylinux_2_17_armv7l",
                "manylinux2014_armv7l",
                "linux_armv7l"
            ]
        );
    }
}
