//! How libpython gets into the launcher.

use anyhow::{Result, bail};

use super::{Cross, LinkPlan};
use crate::config::Link;
use crate::python::{Interpreter, missing_libraries, remedy};

/// Decides how libpython is linked, with what is worth saying about it. Static wins where nobody asked and it works.
pub fn link_plan(
    interpreter: &Interpreter,
    asked: Option<Link>,
    cross: Option<&Cross>,
) -> Result<(LinkPlan, Option<String>)> {
    let libraries = &interpreter.libraries;
    let shared = libraries.shared.clone().map(LinkPlan::Shared);
    let archive = libraries.static_pic.as_ref().or(libraries.static_fixed.as_ref());
    let missing = match (cross, archive) {
        (_, None) => Vec::new(),
        (None, Some(archive)) => missing_libraries(&libraries.link, archive),
        (Some(cross), Some(_)) => {
            libraries.link.iter().filter(|name| !cross.has_library(name)).cloned().collect()
        }
    };
    let plan = match (&libraries.static_pic, &libraries.static_fixed) {
        (Some(archive), _) => Some(LinkPlan::StaticPic(archive.clone())),
        (None, Some(archive)) => Some(LinkPlan::StaticFixed(archive.clone())),
        (None, None) => None,
    };
    match (asked, plan, shared) {
        (Some(Link::System), ..) => match &libraries.shared {
            Some(library) => Ok((LinkPlan::System(library.clone()), None)),
            None => bail!(
                "{} has no libpython{}.so, with which `link = \"system\"` links to ask for the device's own; install it \
                 there or name another prefix with `python`",
                interpreter.prefix.display(),
                interpreter.short_version()
            ),
        },
        (Some(Link::Shared), _, Some(shared)) => Ok((shared, None)),
        (Some(Link::Shared), _, None) => bail!(
            "{} has no libpython{}.so, which `link = \"shared\"` asks for; remove the key or name another prefix with --python",
            interpreter.prefix.display(),
            interpreter.short_version()
        ),
        (_, Some(plan), _) if missing.is_empty() => Ok((plan, None)),
        (None, Some(_), Some(shared)) => {
            let note = format!(
                "libpython is linked shared: {}",
                cannot_link(interpreter, &missing, cross)
            );
            Ok((shared, Some(note)))
        }
        (_, Some(_), _) => {
            bail!("cannot link libpython static: {}", cannot_link(interpreter, &missing, cross))
        }
        (None, None, Some(shared)) => {
            let note = libraries
                .unusable
                .first()
                .map(|reason| format!("libpython is linked shared: {reason}"));
            Ok((shared, note))
        }
        (Some(Link::Static), None, _) => bail!(
            "{} has no static libpython{}, which `link = \"static\"` asks for{}; {}",
            interpreter.prefix.display(),
            interpreter.short_version(),
            libraries.unusable.first().map(|reason| format!(" ({reason})")).unwrap_or_default(),
            "remove the key or name another prefix with --python"
        ),
        (None, None, None) => bail!("{} has no libpython", interpreter.prefix.display()),
    }
}

/// Which libraries the static libpython needs in vain, and what brings them.
fn cannot_link(interpreter: &Interpreter, missing: &[String], cross: Option<&Cross>) -> String {
    let packages: Vec<String> = missing.iter().map(|name| remedy::library_package(name)).collect();
    let remedy = match cross {
        Some(_) => format!("add what Debian calls {} to the sysroot", packages.join(" ")),
        None => remedy::install(&packages),
    };
    format!(
        "the static libpython of {} needs {}, which the linker does not find; remedy: {remedy}",
        interpreter.prefix.display(),
        missing.iter().map(|name| format!("-l{name}")).collect::<Vec<_>>().join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::collect::fixture::Fixture;

    #[test]
    fn the_device_s_own_takes_a_shared_libpython_to_link_with() {
        let mut interpreter = Fixture::new("demo", &[("app/demo.py", "")]).plan.interpreter;
        interpreter.libraries.shared = None;
        let link = |interpreter: &Interpreter| link_plan(interpreter, Some(Link::System), None);
        let error = link(&interpreter).unwrap_err().to_string();
        assert!(
            error.ends_with(
                ".so, with which `link = \"system\"` links to ask for the device's own; install it there or name \
                 another prefix with `python`"
            ),
            "{error}"
        );
        interpreter.libraries.shared = Some("/usr/lib/libpython3.11.so.1.0".into());
        let (plan, note) = link(&interpreter).unwrap();
        assert!(plan.is_system() && !plan.is_static() && note.is_none());
    }
}
