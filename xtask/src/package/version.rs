//! PEP 440's versions as package managers sort them.

use anyhow::{Context, Result, bail};

use crate::config::Format;
use crate::python::version::Version;

/// The version as a format writes it, without its epoch, which [`epoch`] gives.
///
/// # Errors
/// It is no version, or the format has no way to write it.
pub fn mapped(text: &str, format: Format) -> Result<String> {
    let version: Version =
        text.parse().context("the version in [project] cannot be a package's")?;
    match format {
        Format::Apk => alpine(&version),
        Format::Rpm => Ok(marked(&version, '^')),
        Format::Tar | Format::Deb | Format::Ipk => Ok(marked(&version, '+')),
    }
}

/// 1 of "1!2.0", else 0.
///
/// # Errors
/// It is no version.
pub fn epoch(text: &str) -> Result<u64> {
    let version: Version =
        text.parse().context("the version in [project] cannot be a package's")?;
    Ok(version.epoch)
}

fn release(version: &Version) -> String {
    version.release.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// `~` is before nothing at all, for dpkg, opkg and rpm; what follows `later` is after nothing, and before
/// `.1`. A local version is before a post-release, as "local" is before "post".
fn marked(version: &Version, later: char) -> String {
    let mut text = release(version);
    if let Some((kind, number)) = version.pre {
        text += &format!("~{}{number}", ["a", "b", "rc"][usize::from(kind.min(2))]);
    }
    if let Some(number) = version.post {
        text += &format!("{later}post{number}");
    }
    if let Some(number) = version.dev {
        // Before any other pre-release.
        text += &format!("~~dev{number}");
    }
    if !version.local.is_empty() {
        text += &format!("{later}local.{}", version.local.join("."));
    }
    text
}

/// Suffixes are words that apk knows, each with its place: `_alpha` < `_beta` < `_pre` < `_rc` < none < `_p`.
fn alpine(version: &Version) -> Result<String> {
    if version.epoch != 0 {
        bail!("apk has no epochs, as the version in [project] has; remedy: a version without one");
    }
    if !version.local.is_empty() {
        bail!(
            "apk has no local versions, as the one in [project]; remedy: leave out what is after the +"
        );
    }
    let mut text = release(version);
    match (version.pre, version.post, version.dev) {
        (Some((kind, number)), ..) => {
            text += &format!("_{}{number}", ["alpha", "beta", "rc"][usize::from(kind.min(2))]);
        }
        // Before the first alpha.
        (None, None, Some(_)) => text += "_alpha0",
        _ => {}
    }
    if let Some(number) = version.post {
        text += &format!("_p{number}");
    }
    if let Some(number) = version.dev {
        text += &format!("_pre{number}");
    }
    // The release of the package, without which apk takes none.
    Ok(text + "-r0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In PEP 440's order.
    const VERSIONS: [&str; 12] = [
        "1.0.dev2",
        "1.0a1.dev1",
        "1.0a1",
        "1.0b2",
        "1.0rc1",
        "1.0",
        "1.0+abc",
        "1.0.post1.dev1",
        "1.0.post1",
        "1.0.post1+abc",
        "1.0.1",
        "1.1",
    ];

    #[test]
    fn every_format_has_its_words() {
        let of = |format| VERSIONS.map(|version| mapped(version, format).unwrap_or_default());
        assert_eq!(
            of(Format::Deb),
            [
                "1.0~~dev2",
                "1.0~a1~~dev1",
                "1.0~a1",
                "1.0~b2",
                "1.0~rc1",
                "1.0",
                "1.0+local.abc",
                "1.0+post1~~dev1",
                "1.0+post1",
                "1.0+post1+local.abc",
                "1.0.1",
                "1.1",
            ]
        );
        assert_eq!(of(Format::Ipk), of(Format::Deb));
        assert_eq!(of(Format::Rpm), of(Format::Deb).map(|text| text.replace('+', "^")));
        assert_eq!(
            of(Format::Apk),
            [
                "1.0_alpha0_pre2-r0",
                "1.0_alpha1_pre1-r0",
                "1.0_alpha1-r0",
                "1.0_beta2-r0",
                "1.0_rc1-r0",
                "1.0-r0",
                "",
                "1.0_p1_pre1-r0",
                "1.0_p1-r0",
                "",
                "1.0.1-r0",
                "1.1-r0",
            ]
        );
    }

    #[test]
    fn dpkg_and_rpm_sort_them_as_pep_440_does() {
        let program = |name: &str| std::process::Command::new(name);
        for pair in VERSIONS.windows(2) {
            let deb = [0, 1].map(|at| mapped(pair[at], Format::Deb).unwrap());
            if let Ok(status) =
                program("dpkg").args(["--compare-versions", &deb[0], "lt", &deb[1]]).status()
            {
                assert!(status.success(), "{deb:?}");
            }
            let rpm = [0, 1].map(|at| mapped(pair[at], Format::Rpm).unwrap());
            let compare = format!("%{{lua: print(rpm.vercmp('{}', '{}'))}}", rpm[0], rpm[1]);
            if let Ok(output) = program("rpm").args(["--eval", &compare]).output() {
                assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "-1", "{rpm:?}");
            }
        }
    }

    #[test]
    fn what_a_format_cannot_say_is_an_error_with_a_remedy() {
        assert_eq!(epoch("2!1.0").unwrap(), 2);
        assert_eq!(mapped("2!1.0", Format::Deb).unwrap(), "1.0");
        let error = mapped("2!1.0", Format::Apk).unwrap_err().to_string();
        assert!(error.starts_with("apk has no epochs"), "{error}");
        let error = mapped("1.0+abc", Format::Apk).unwrap_err().to_string();
        assert!(error.starts_with("apk has no local versions"), "{error}");
        let error = mapped("1.x", Format::Deb).unwrap_err();
        assert!(format!("{error:#}").contains("`1.x` is no version"), "{error:#}");
    }
}
