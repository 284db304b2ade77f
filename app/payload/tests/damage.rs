//! Whatever happens to a payload, reading it gives a clean fault or what was written.

mod support;

use proptest::prelude::*;
use pyrmware_payload::{Fault, Payload};
use support::{FILES, manifest, small};

/// Reads everything. An error is fine, another content or a panic is not.
fn read_all(bytes: &[u8]) -> Result<(), Fault> {
    let payload = Payload::open(bytes)?;
    let expected = manifest();
    for (key, value) in &expected.settings {
        assert_eq!(payload.setting(key)?, value);
    }
    assert!(payload.modules().map(|module| module.name).eq(expected.modules.keys()));
    for (path, content) in FILES {
        let file = payload.file(path).expect("the manifest is whole");
        if let Some(load) = file.load {
            let mut parts = Vec::new();
            load.parts(|offset, part| parts.push((offset, part)))?;
            assert!(parts.iter().all(|(at, part)| content[*at..].starts_with(part)));
        }
        assert_eq!(file.bytes()?, content);
    }
    Ok(())
}

/// Calls every function of the reader; nothing is expected of the answers.
fn touch_all(bytes: &[u8]) {
    let Ok(payload) = Payload::open(bytes) else { return };
    for module in payload.modules() {
        let _ = (payload.module(module.name), payload.libraries(&module).count());
        let _ = payload.submodules(module.name).count();
        if let Some(file) = module.file {
            let _ = file.bytes();
        }
    }
    for file in payload.files() {
        let _ = (file.bytes(), payload.folder(file.path).map(Iterator::count));
        let _ = file.load.map(|load| load.parts(|_, _| {}));
        if let Some((folder, _)) = file.path.rsplit_once('/') {
            let _ = payload.folder(folder).map(Iterator::count);
        }
    }
    let _ = (payload.folder("").map(Iterator::count), payload.submodules("").count());
    let _ = (payload.setting("app").is_ok(), payload.pruned("tkinter"));
}

#[test]
fn truncated_anywhere() {
    let bytes = small();
    assert_eq!(read_all(&bytes), Ok(()));
    for length in 0..bytes.len() {
        let fault = read_all(&bytes[..length]).expect_err("a part is not the whole");
        assert!(matches!(fault, Fault::NotAPayload | Fault::Truncated), "{length}: {fault}");
    }
}

#[test]
fn the_start_is_missing() {
    let bytes = small();
    for length in 1..bytes.len() {
        assert!(read_all(&bytes[length..]).is_err(), "{length} bytes from the start");
    }
}

#[test]
fn every_byte_flipped() {
    let mut bytes = small();
    // Two large gaps of the alignment hold nothing: once through each is enough.
    for at in 0..bytes.len() {
        for mask in if bytes[at] == 0 { &[0xff_u8][..] } else { &[0x01, 0x20, 0x80, 0xff] } {
            bytes[at] ^= mask;
            let _ = read_all(&bytes);
            bytes[at] ^= mask;
        }
    }
    assert_eq!(read_all(&bytes), Ok(()));
}

#[test]
fn the_faults_are_told_apart() {
    let bytes = small();
    let text = |bytes: &[u8]| read_all(bytes).unwrap_err().to_string();
    let manifest = find(&bytes, b"PYRMWARE");
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    let not_recognised = "not a Pyrmware payload: its end was not recognised";
    assert_eq!(text(b""), not_recognised);
    assert_eq!(text(b"PK\x05\x06 some other zip, longer than the comment of ours"), not_recognised);
    assert_eq!(
        text(&flipped(manifest + 8)),
        "the payload has format version 5, this launcher reads version 4"
    );
    let damaged = "the payload is damaged: wrong checksum of the manifest";
    assert_eq!(text(&flipped(manifest + 50)), damaged);
    assert_eq!(
        text(&flipped(find(&bytes, b"\x7fELF library") + 9)),
        "the payload is damaged: wrong checksum of libs/libz.so.1"
    );
    // What is not read to load it is not checked then.
    let fast = find(&bytes, b"\x7fELF extension");
    let loaded = |at: usize| {
        let bytes = flipped(fast + at);
        let file = Payload::open(&bytes).unwrap().file("app/_fast.so").unwrap();
        file.load.unwrap().parts(|_, _| {})
    };
    let damaged = Err(Fault::Damaged { path: "app/_fast.so".to_owned() });
    assert_eq!([1, 5, 7].map(loaded), [damaged.clone(), Ok(()), damaged]);
    assert_eq!(text(&[b"x", &bytes[..]].concat()), not_recognised);
    // The end survived, something before it did not.
    assert_eq!(text(&bytes[bytes.len() - 200..]), "the payload is truncated");
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("it is in there")
}

/// Repairs the manifest's checksum, so that its tables are believed.
fn with_a_right_checksum(mut bytes: Vec<u8>, manifest: usize, length: usize) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes[manifest + 20..manifest + length]);
    bytes[manifest + 16..manifest + 20].copy_from_slice(&crc.to_le_bytes());
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_that_lie(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let bytes = small();
        let manifest = find(&bytes, b"PYRMWARE");
        let length = u32::from_le_bytes(bytes[manifest + 12..manifest + 16].try_into().unwrap()) as usize;
        let mut bytes = bytes;
        for (index, byte) in changes {
            bytes[manifest + 24 + index.index(length - 24)] = byte;
        }
        touch_all(&with_a_right_checksum(bytes, manifest, length));
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        touch_all(&bytes);
        let end = b"pyrmware manifest at 00000000 00000040";
        touch_all(&[&bytes[..], end].concat());
    }
}
