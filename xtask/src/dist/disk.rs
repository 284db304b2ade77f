//! What helps where a disk is full.

use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::Error;

/// As the C library says it, which compilers and linkers pass on.
const FULL: &str = "No space left on device";

/// The error, with the remedy where it says that a disk is full.
pub fn explained(error: Error, target: &Path) -> Error {
    let says = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        kind == Some(ErrorKind::StorageFull) || cause.to_string().contains(FULL)
    };
    if !error.chain().any(says) {
        return error;
    }
    error.context(format!(
        "a disk is full; remedy: `cargo xtask clean` removes what the pipeline keeps in {}, and \
         `cargo clean` all that cargo has built there, too",
        target.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn whoever_says_that_a_disk_is_full_the_remedy_is_named() {
        let target = Path::new("/ws/target");
        let text = |error| format!("{:#}", explained(error, target));
        let remedy = "a disk is full; remedy: `cargo xtask clean` removes what the pipeline keeps in \
                      /ws/target, and `cargo clean` all that cargo has built there, too: ";
        let written = std::fs::write("/dev/full", "x").context("writing the payload").unwrap_err();
        let expected =
            format!("{remedy}writing the payload: No space left on device (os error 28)");
        assert_eq!(text(written), expected);
        let linker = || anyhow!("ld: final link failed: No space left on device");
        assert_eq!(text(linker()), format!("{remedy}{:#}", linker()));
        assert_eq!(text(anyhow!("something else")), "something else");
    }
}
