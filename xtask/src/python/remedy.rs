//! How a missing package is installed on the machine that builds.

use std::path::Path;

use super::Interpreter;

/// The command that installs packages, which are named as Debian does: ``"`apt-get install zlib1g-dev`"``.
pub fn install(packages: &[String]) -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_on(&release, packages)
}

fn install_on(release: &str, packages: &[String]) -> String {
    let value = |key: &str| {
        let mut pairs = release.lines().filter_map(|line| line.split_once('='));
        pairs
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.trim_matches('"'))
            .unwrap_or_default()
    };
    let ids = format!("{} {}", value("ID"), value("ID_LIKE"));
    let is = |names: &[&str]| ids.split_whitespace().any(|id| names.contains(&id));
    let packages = packages.join(" ");
    if is(&["debian", "ubuntu"]) {
        return format!("`apt-get install {packages}`");
    }
    let command = if is(&["fedora", "rhel", "centos"]) {
        "dnf install"
    } else if is(&["arch"]) {
        "pacman -S"
    } else if is(&["alpine"]) {
        "apk add"
    } else {
        return format!("install what Debian calls {packages}");
    };
    format!("`{command}` what Debian calls {packages}")
}

/// Debian's package of the headers and libraries of an interpreter.
pub fn python_headers(interpreter: &Interpreter) -> String {
    format!("libpython{}-dev", interpreter.short_version())
}

/// What brings the headers of an interpreter that lacks them.
pub fn headers(interpreter: &Interpreter) -> String {
    match interpreter.prefix == Path::new("/usr") {
        true => install(&[python_headers(interpreter)]),
        false => "install that Python anew, with its headers".to_owned(),
    }
}

/// Debian's package that brings `lib<name>.so` for the linker.
pub fn library_package(name: &str) -> String {
    match name {
        "expat" => "libexpat1-dev",
        "z" => "zlib1g-dev",
        "crypt" => "libcrypt-dev",
        "ssl" | "crypto" => "libssl-dev",
        "lzma" => "liblzma-dev",
        "uuid" => "uuid-dev",
        "ncurses" | "ncursesw" | "tinfo" | "panel" | "panelw" => "libncurses-dev",
        "c" | "dl" | "m" | "pthread" | "rt" | "util" => "libc6-dev",
        other => return format!("lib{other}-dev"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_distribution_s() {
        let packages = ["zlib1g-dev".to_owned(), library_package("expat")];
        for (release, command) in [
            ("ID=debian\n", "`apt-get install zlib1g-dev libexpat1-dev`"),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                "`apt-get install zlib1g-dev libexpat1-dev`",
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                "`dnf install` what Debian calls zlib1g-dev libexpat1-dev",
            ),
            ("ID=arch\n", "`pacman -S` what Debian calls zlib1g-dev libexpat1-dev"),
            ("", "install what Debian calls zlib1g-dev libexpat1-dev"),
        ] {
            assert_eq!(install_on(release, &packages), command);
        }
    }
}
