//! Paths of the machine that builds: taken out of what others compiled, an error in what is ours.
//!
//! A static or shared libpython carries the prefix that it was configured for, its extension modules
//! a run path to it. Nothing uses them here (the launcher sets every path itself), but they would tell
//! who built the image where, and make two machines' images differ.

use std::path::{Path, PathBuf};

use memchr::memmem;

/// What takes a prefix's place.
const NEUTRAL: &[u8] = b"/usr";

/// Overwrites every occurrence of `prefix` as a path, in bytes and in wide characters, and gives their
/// number. The length stays: `/home/me/py/lib` becomes `/usr////////lib`, which is still a path. Where
/// the string ends with the prefix its last component stays, too, because linkers let strings share
/// their ends: the `3.11.7` of `/opt/3.11.7` may be all that there is of the version's text.
pub fn overwrite(bytes: &mut [u8], prefix: &Path) -> usize {
    let Some(old) = text(prefix) else { return 0 };
    let last = old.rfind('/').map_or(0, |at| at + 1);
    let (inside, at_end) = (neutral(old, old.len()), neutral(old, last));
    let narrow: Vec<usize> = occurrences(bytes, old).collect();
    for &at in &narrow {
        let goes_on = bytes.get(at + old.len()) == Some(&b'/');
        bytes[at..at + old.len()].copy_from_slice(if goes_on { &inside } else { &at_end });
    }
    let length = 4 * old.len();
    let found: Vec<usize> = memmem::find_iter(bytes, &wide(old.as_bytes())).collect();
    for &at in &found {
        let goes_on = bytes.get(at + length) == Some(&b'/');
        bytes[at..at + length].copy_from_slice(&wide(if goes_on { &inside } else { &at_end }));
    }
    narrow.len() + found.len()
}

/// As long as `old`, and the same from `keep` on.
fn neutral(old: &str, keep: usize) -> Vec<u8> {
    let mut new = vec![b'/'; keep];
    if keep >= NEUTRAL.len() {
        new[..NEUTRAL.len()].copy_from_slice(NEUTRAL);
    }
    new.extend_from_slice(&old.as_bytes()[keep..]);
    new
}

/// A path that must not be in an image.
#[derive(Debug, Clone)]
pub struct Forbidden {
    /// What it is, for the message: "cargo's home".
    pub what: &'static str,
    /// The path.
    pub path: PathBuf,
}

/// An occurrence of a forbidden path.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    /// What it is.
    pub what: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The text around it.
    pub around: String,
}

/// [`overwrite`] for each of several folders.
pub fn overwrite_all(bytes: &mut [u8], folders: &[Forbidden]) {
    for folder in folders {
        overwrite(bytes, &folder.path);
    }
}

/// The first occurrence of each forbidden path.
pub fn leaks(bytes: &[u8], forbidden: &[Forbidden]) -> Vec<Leak> {
    let leak = |entry: &Forbidden| {
        let path = text(&entry.path)?;
        let narrow = occurrences(bytes, path).next().map(|at| around(bytes, at, path.len()));
        let wide = || memmem::find(bytes, &wide(path.as_bytes())).map(|_| path.to_owned());
        let around = narrow.or_else(wide)?;
        Some(Leak { what: entry.what, path: entry.path.clone(), around })
    };
    forbidden.iter().filter_map(leak).collect()
}

/// A path that says something about the machine: not the root, not a system folder.
fn text(path: &Path) -> Option<&str> {
    let text = path.to_str()?.trim_end_matches('/');
    (text.len() > 1 && path.is_absolute() && !matches!(text, "/usr" | "/usr/local")).then_some(text)
}

/// Where `path` stands as a path of its own or as the start of one, not inside a longer name.
fn occurrences<'a>(bytes: &'a [u8], path: &'a str) -> impl Iterator<Item = usize> + 'a {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    memmem::find_iter(bytes, path).filter(move |&at| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(at + path.len());
        !before.is_some_and(name) && !after.is_some_and(name)
    })
}

fn wide(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| u32::from(*byte).to_le_bytes()).collect()
}

/// The printable text around an occurrence.
fn around(bytes: &[u8], at: usize, length: usize) -> String {
    const MOST: usize = 60;
    let printable = |byte: &&u8| (b' '..0x7f).contains(*byte);
    let start = at - bytes[..at].iter().rev().take(MOST).take_while(printable).count();
    let end = at + bytes[at..].iter().take(length + MOST).take_while(printable).count();
    String::from_utf8_lossy(&bytes[start..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_overwritten_in_place() {
        let mut bytes = b"\0/home/me/py/lib/python3.11\0/home/me/python\0x:/home/me/py\0".to_vec();
        assert_eq!(overwrite(&mut bytes, Path::new("/home/me/py/")), 2);
        // Only the second may share its end with another string.
        assert_eq!(bytes, b"\0/usr////////lib/python3.11\0/home/me/python\0x:/usr/////py\0");
    }

    #[test]
    fn wide_characters_are_overwritten_too() {
        let mut bytes = wide(b"/opt/py3/lib\0/opt/py3\0");
        assert_eq!(overwrite(&mut bytes, Path::new("/opt/py3")), 2);
        assert_eq!(bytes, wide(b"/usr/////lib\0/usr/py3\0"));
    }

    #[test]
    fn a_short_prefix_has_room_for_slashes_only() {
        let mut bytes = b"/py/lib".to_vec();
        assert_eq!(overwrite(&mut bytes, Path::new("/py")), 1);
        assert_eq!(bytes, b"////lib");
    }

    #[test]
    fn the_system_s_own_prefix_stays() {
        let mut bytes = b"/usr/lib".to_vec();
        assert_eq!(overwrite(&mut bytes, Path::new("/usr")), 0);
    }

    #[test]
    fn a_leak_is_found_with_the_text_around_it() {
        let forbidden =
            [Forbidden { what: "cargo's home", path: PathBuf::from("/home/me/.cargo") }];
        assert_eq!(leaks(b"/home/me/.cargo2 /srv/home/me/.cargo", &forbidden), []);
        let found = leaks(b"\0see file:///home/me/.cargo/registry\x01", &forbidden);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].around, "see file:///home/me/.cargo/registry");
        assert_eq!(leaks(&wide(b"/home/me/.cargo"), &forbidden).len(), 1);
    }
}
