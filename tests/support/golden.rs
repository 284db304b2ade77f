//! Texts that are compared with files in `tests/golden`; `BLESS=1` writes them anew.

use std::fs;

use super::ROOT;

/// Compares a text with `tests/golden/NAME`.
#[track_caller]
pub fn check(name: &str, text: &str) {
    let path = ROOT.join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        fs::write(&path, text).expect("a golden file is written");
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        wanted == text,
        "tests/golden/{name} differs; BLESS=1 writes it anew\n--- wanted\n{wanted}\n--- found\n{text}"
    );
}
