//! The build id: by it, what a launcher says and the symbols of its build find each other.

use pyrmware_payload::{Manifest, ModuleRecord, Writer};
use sha2::{Digest, Sha256};

use crate::dist::hex;

/// A digest of what goes into a payload, 32 hexadecimal digits: the same inputs give the same id.
pub fn id(writer: &Writer<'_>, manifest: &Manifest) -> String {
    let mut hash = Parts(Sha256::new());
    for (path, bytes) in writer.files() {
        hash.add("file", [path.as_bytes(), bytes]);
    }
    for (key, value) in &manifest.settings {
        hash.add("setting", [key.as_bytes(), value.as_bytes()]);
    }
    for (name, module) in &manifest.modules {
        let ModuleRecord { kind, package, sidecar, eager, filename, file, libraries } = module;
        let file = file.as_deref().unwrap_or_default();
        let flags = [*kind as u8, (*package).into(), (*sidecar).into(), (*eager).into()];
        hash.add("module", [name.as_bytes(), &flags, filename.as_bytes(), file.as_bytes()]);
        hash.add("libraries", libraries.iter().map(String::as_bytes));
    }
    for (name, reason) in &manifest.pruned {
        hash.add("pruned", [name.as_bytes(), reason.as_bytes()]);
    }
    hex(&hash.0.finalize()[..16])
}

/// A digest of parts that cannot run into each other.
struct Parts(Sha256);

impl Parts {
    fn add<'a>(&mut self, kind: &'a str, parts: impl IntoIterator<Item = &'a [u8]>) {
        for part in [kind.as_bytes()].into_iter().chain(parts) {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_inside_changes_it() {
        let of = |path: &str, bytes: &[u8], setting: &str, reason: &str| {
            let mut writer = Writer::new();
            writer.add(path, bytes.to_vec()).unwrap();
            let mut manifest = Manifest::default();
            manifest.settings.insert("app".to_owned(), setting.to_owned());
            manifest.pruned.insert("tkinter".to_owned(), reason.to_owned());
            id(&writer, &manifest)
        };
        let ids = [
            of("a", b"bc", "demo", "why"),
            of("ab", b"c", "demo", "why"),
            of("a", b"bd", "demo", "why"),
            of("a", b"bc", "other", "why"),
            of("a", b"bc", "demo", "because"),
        ];
        assert_eq!(ids[0], of("a", b"bc", "demo", "why"));
        assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
    }
}
