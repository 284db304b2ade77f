//! Encrypted modules and signed payloads: what was written is read, and nothing else is.

mod support;

use proptest::prelude::*;
use pyrmware_payload::{
    Deferred, Fault, Key, LazyTable, PYC_HEADER, Part, Payload, Place, SealedModule, Writer,
    append_table,
};
use support::{FILES, manifest};

const PLACE: Place<'static> = Place { build: "0123456789abcdef", path: "app/main.pyc" };

fn key(byte: u8) -> Key {
    Key::new(&[byte; Key::LENGTH])
}

fn pyc(code: &[u8], deferred: &[Deferred]) -> Vec<u8> {
    let mut pyc = [&[0; PYC_HEADER][..], code].concat();
    if !deferred.is_empty() {
        append_table(&mut pyc, deferred);
    }
    pyc
}

fn deferred(names: &[&str], line: u32, code: &[u8]) -> Deferred {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Deferred { names, line, code: code.to_vec() }
}

/// Code, and the bindings as (name, line, code); none where anything does not open.
type Opened = (Vec<u8>, Vec<(String, u32, Vec<u8>)>);

fn open(key: &Key, place: &Place<'_>, file: &[u8]) -> Option<Opened> {
    let module = SealedModule::of(file)?;
    let code = key.open(place, Part::Code, module.code)?.to_vec();
    let mut bindings = Vec::new();
    if let Some(index) = module.index {
        let index = key.open(place, Part::Index, index)?;
        for binding in module.table(&index).iter() {
            let code = key.open(place, Part::Statement { at: binding.at }, binding.code)?;
            bindings.push((binding.name.to_owned(), binding.line, code.to_vec()));
        }
    }
    Some((code, bindings))
}

#[test]
fn opens_with_its_key_in_its_place_only() {
    let pyc = pyc(b"the code", &[deferred(&["b", "a"], 3, b"import"), deferred(&["c"], 3, b"def")]);
    let sealed = key(1).seal_module(&PLACE, &pyc);
    let (code, bindings) = open(&key(1), &PLACE, &sealed).unwrap();
    assert_eq!(code, b"the code");
    let import = |name: &str| (name.to_owned(), 3, b"import".to_vec());
    assert_eq!(bindings, [import("a"), import("b"), ("c".to_owned(), 3, b"def".to_vec())]);
    assert!(open(&key(2), &PLACE, &sealed).is_none());
    assert!(open(&key(1), &Place { build: "other", ..PLACE }, &sealed).is_none());
    assert!(open(&key(1), &Place { path: "app/mainc.py", ..PLACE }, &sealed).is_none());
    let module = SealedModule::of(&sealed).unwrap();
    assert!(key(1).open(&PLACE, Part::Index, module.code).is_none());
    // Two statements of one line do not stand for each other.
    let index = key(1).open(&PLACE, Part::Index, module.index.unwrap()).unwrap();
    let (a, c) = (module.table(&index).get("a").unwrap(), module.table(&index).get("c").unwrap());
    assert!(key(1).open(&PLACE, Part::Statement { at: c.at }, a.code).is_none());
}

#[test]
fn nothing_shows() {
    let texts = [&b"secret code"[..], b"secret import", b"SecretName"];
    let pyc = pyc(texts[0], &[deferred(&["SecretName"], 1, texts[1])]);
    let sealed = key(1).seal_module(&PLACE, &pyc);
    for text in texts {
        let shows = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(shows(&pyc) && !shows(&sealed), "{}", String::from_utf8_lossy(text));
    }
    assert!(SealedModule::of(&pyc).is_none());
    assert_eq!(sealed, key(1).seal_module(&PLACE, &pyc), "the same inputs, the same bytes");
}

#[test]
fn keys_as_people_write_them() {
    let raw: Vec<u8> = (0..32).collect();
    let digits: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
    let id = Key::parse(&raw).unwrap().id().to_owned();
    assert_eq!(Key::parse(format!("{digits}\r\n").as_bytes()).unwrap().id(), id);
    assert_ne!(Key::parse(&[7; 32]).unwrap().id(), id);
    assert!(id.len() == 16 && !format!("{:?}", key(1)).contains("cipher"));
    for bad in [&raw[..31], b"", &digits.as_bytes()[..62], &[b'g'; 64]] {
        assert!(Key::parse(bad).is_none());
    }
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(
        code in proptest::collection::vec(any::<u8>(), 0..300),
        statements in proptest::collection::vec(("[a-z]{1,6}", 0u32..50, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let all: Vec<Deferred> = statements
            .iter()
            .enumerate()
            .map(|(number, (name, line, code))| deferred(&[&format!("{name}{number}")], *line, code))
            .collect();
        let plain = pyc(&code, &all);
        let (opened, bindings) = open(&key(1), &PLACE, &key(1).seal_module(&PLACE, &plain)).unwrap();
        prop_assert_eq!(opened, code);
        let expected: Vec<_> = LazyTable::of_pyc(&plain)
            .into_iter()
            .flat_map(|table| table.iter())
            .map(|binding| (binding.name.to_owned(), binding.line, binding.code.to_vec()))
            .collect();
        prop_assert_eq!(bindings, expected);
    }

    #[test]
    fn one_changed_byte_is_found(at in any::<prop::sample::Index>(), change in 1u8..) {
        let plain = pyc(b"the code", &[deferred(&["a"], 3, b"import"), deferred(&["b"], 4, b"def")]);
        let mut sealed = key(1).seal_module(&PLACE, &plain);
        let at = at.index(sealed.len());
        sealed[at] ^= change;
        prop_assert!(open(&key(1), &PLACE, &sealed).is_none());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = [b"PYRMSEAL", &bytes[..]].concat();
        prop_assert!(open(&key(1), &PLACE, &file).is_none());
        // An index that is not what was written, too.
        if let Some(module) = SealedModule::of(&file) {
            let _ = (module.table(&bytes).iter().count(), module.table(&bytes).get("a"));
        }
        let _ = SealedModule::of(&bytes);
        let _ = Key::parse(&bytes);
    }
}

/// The small payload, signed, and the public key.
fn signed() -> (Vec<u8>, String) {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let public = pair.pk.to_base64();
    let mut writer = Writer::new();
    for (path, bytes) in FILES {
        writer.add(path, bytes.to_vec()).unwrap();
    }
    writer.sign(Box::new(move |root| {
        minisign::sign(Some(&pair.pk), &pair.sk, root, Some("small"), None).unwrap().into_string()
    }));
    (writer.finish(&manifest()).unwrap(), public)
}

#[test]
fn a_signature_stands_for_every_file() {
    let (bytes, public) = signed();
    let payload = Payload::open(&bytes).unwrap();
    assert_eq!(payload.verify(&public), Ok(()));
    assert_eq!(payload.verify_files(), Ok(()));
    let other = minisign::KeyPair::generate_unencrypted_keypair().unwrap().pk.to_base64();
    assert!(matches!(payload.verify(&other), Err(Fault::Forged { .. })));
    assert!(matches!(payload.verify("no key"), Err(Fault::Forged { .. })));
    let plain = support::small();
    let plain = Payload::open(&plain).unwrap();
    assert_eq!(plain.verify(&public), Err(Fault::NotSigned));
    assert_eq!(plain.verify_files(), Err(Fault::NotSigned));
}

/// Whoever changes a file and mends all checksums is found by its hash; whoever mends the hash, too, by the
/// root; whoever writes a new root, by the signature.
#[test]
fn mending_checksums_does_not_help() {
    let (bytes, public) = signed();
    let (forged, _) = signed();
    let start = Payload::open(&bytes).unwrap().signature().unwrap().0.as_ptr() as usize
        - bytes.as_ptr() as usize;
    // Another signer's root and signature in the place of ours.
    let other = [&bytes[..start], &forged[start..]].concat();
    let verdict = Payload::open(&other).and_then(|payload| payload.verify(&public));
    assert!(matches!(verdict, Err(Fault::Forged { .. })), "{verdict:?}");
}

#[test]
fn one_changed_byte_anywhere_is_found_or_is_not_read() {
    let (bytes, public) = signed();
    let whole = Payload::open(&bytes).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        let verdict = Payload::open(&changed)
            .and_then(|payload| payload.verify(&public).and_then(|()| payload.verify_files()));
        if verdict.is_ok() {
            let payload = Payload::open(&changed).unwrap();
            assert_eq!(payload.manifest(), whole.manifest(), "{at}");
            for (file, before) in payload.files().zip(whole.files()) {
                assert_eq!(file.bytes().unwrap(), before.bytes().unwrap(), "{at}");
            }
        }
    }
}
