//! `pyrmware.update()`: the application brings an update itself.

use std::fs;
use std::path::Path;

use super::{UPDATES, Updates};
use crate::object::{Obj, Py, function, import, os_error, released, runtime_error};

/// Offers what the package `pyrmware` asks for.
///
/// # Errors
/// An exception is set.
pub fn install() -> Py<()> {
    if UPDATES.get().is_none() {
        return Ok(());
    }
    let native = import("_pyrmware")?;
    native.set_attr("update", &function!("update", update, &native)?)
}

/// Why an update was not taken.
enum Refused {
    Because(String),
    Io(std::io::Error),
}

fn update(args: &[Obj]) -> Py {
    let path = args.first().and_then(Obj::plain).unwrap_or_default();
    let Some(updates) = UPDATES.get() else { return Ok(Obj::none()) };
    match released(|| bring(updates, Path::new(path))) {
        Ok(version) => Obj::str(&version),
        Err(Refused::Because(why)) => Err(runtime_error(&format!("{path}: {why}"))),
        Err(Refused::Io(error)) => {
            let folder = updates.folder.0.join(super::NEXT);
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let path =
                if Path::new(path).exists() { folder.to_string_lossy() } else { path.into() };
            Err(os_error(errno, &Obj::str(&path)?))
        }
    }
}

/// Copies an update into the folder, where the next start finds it; gives its version.
fn bring(updates: &'static Updates, path: &Path) -> Result<String, Refused> {
    let (aside, content) = updates.folder.bring(path).map_err(Refused::Io)?;
    let taken = updates
        .newest(content.bytes())
        .map_err(Refused::Because)
        .and_then(|version| updates.folder.offer(&aside).map(|()| version).map_err(Refused::Io));
    if taken.is_err() {
        // What is not taken is of no use; why is what is told.
        let _ = fs::remove_file(&aside);
    }
    taken
}
