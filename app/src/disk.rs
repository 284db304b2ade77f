//! Files that are whole whatever happens: a kill, a power cut, a full disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file aside, has the disk take it, and renames it. Makes the folder where there is none. What lies
/// aside is `.NAME-PROCESS`.
///
/// # Errors
/// The folder cannot be made, is full, or cannot be written to; what was there under this name is there still.
pub fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let aside = folder.join(format!(".{name}-{}", std::process::id()));
    let written = File::create(&aside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&aside, folder.join(name)));
    if written.is_err() {
        // What is half there is of no use; that it could not be written is what is told.
        let _ = fs::remove_file(&aside);
    }
    written?;
    File::open(folder)?.sync_all()
}
