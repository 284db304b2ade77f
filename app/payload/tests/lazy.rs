//! The table of lazy bindings: what is written is found, and no bytes make the reader panic.

use std::collections::BTreeSet;

use proptest::prelude::*;
use pyrmware_payload::{Deferred, LazyTable, PYC_HEADER, append_table};

fn pyc(code: &[u8]) -> Vec<u8> {
    [&[0; PYC_HEADER][..], code].concat()
}

#[test]
fn a_plain_pyc_has_no_table() {
    assert!(LazyTable::of_pyc(&pyc(b"code")).is_none());
    assert!(LazyTable::of_pyc(b"").is_none());
}

#[test]
fn several_names_share_one_statement() {
    let mut bytes = pyc(b"code");
    let names = ["b", "a"].map(str::to_owned).to_vec();
    append_table(&mut bytes, &[Deferred { names, line: 3, code: b"import".to_vec() }]);
    let table = LazyTable::of_pyc(&bytes).unwrap();
    let found: Vec<_> = table.iter().map(|b| (b.name, b.line, b.code)).collect();
    assert_eq!(found, [("a", 3, &b"import"[..]), ("b", 3, b"import")]);
    assert!(table.get("c").is_none() && !table.is_empty());
    assert!(bytes.starts_with(&[0; 8]) && bytes[PYC_HEADER..].starts_with(b"code"));
}

proptest! {
    #[test]
    fn what_is_written_is_found(
        names in proptest::collection::btree_set("[a-zA-Z_é][a-z0-9_]{0,6}", 0..30),
        code in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let deferred: Vec<Deferred> = names
            .iter()
            .enumerate()
            .map(|(line, name)| Deferred {
                names: vec![name.clone()],
                line: line as u32,
                code: [name.as_bytes(), &code].concat(),
            })
            .collect();
        let mut bytes = pyc(&code);
        append_table(&mut bytes, &deferred);
        let table = LazyTable::of_pyc(&bytes).unwrap();
        prop_assert_eq!(table.len(), names.len());
        let found: BTreeSet<String> = table.iter().map(|binding| binding.name.to_owned()).collect();
        prop_assert_eq!(&found, &names);
        for statement in &deferred {
            let binding = table.get(&statement.names[0]).unwrap();
            prop_assert_eq!((binding.line, binding.code), (statement.line, &statement.code[..]));
        }
    }

    #[test]
    fn noise(bytes in proptest::collection::vec(any::<u8>(), 0..200), offset in 0u32..220) {
        let mut bytes = bytes;
        if bytes.len() >= 12 {
            bytes[8..12].copy_from_slice(&offset.to_le_bytes());
        }
        if let Some(table) = LazyTable::of_pyc(&bytes) {
            prop_assert!(table.iter().count() <= table.len());
            let _ = table.get("name");
        }
    }
}
