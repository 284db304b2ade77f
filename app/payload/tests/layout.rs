//! The bytes of the format. A change here is a change of the format: raise `FORMAT_VERSION` and tell it
//! in the history at the top of lib.rs.

mod support;

use std::fmt::Write;

/// The manifest in hexadecimal, a line per record.
fn manifest(bytes: &[u8]) -> String {
    let comment = std::str::from_utf8(&bytes[bytes.len() - 17..]).unwrap();
    let number = |hex| usize::from_str_radix(hex, 16).unwrap();
    let start = number(&comment[..8]);
    let mut rest = &bytes[start..start + number(&comment[9..])];
    let count = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
    let counts = [24, 28, 32, 36, 40, 44, 48, 52].map(count);
    let mut text = String::new();
    let mut line = |name: &str, length: usize| {
        let (record, tail) = rest.split_at(length);
        rest = tail;
        write!(text, "{name:8}").unwrap();
        for word in record.chunks(4) {
            let word: String = word.iter().map(|byte| format!("{byte:02x}")).collect();
            write!(text, " {word}").unwrap();
        }
        text.push('\n');
    };
    line("header", 24);
    line("counts", 36);
    let tables = [
        ("setting", 16),
        ("module", 32),
        ("file", 24),
        ("pruned", 16),
        ("library", 4),
        ("load", 32),
        ("part", 8),
        ("hash", 32),
    ];
    for ((name, size), count) in tables.into_iter().zip(counts) {
        (0..count).for_each(|_| line(name, size));
    }
    text + "strings  " + std::str::from_utf8(rest).unwrap()
}

#[test]
fn an_empty_manifest() {
    let bytes = support::write(&[], &pyrmware_payload::Manifest::default());
    let expected = "\
header   5059524d 57415245 04000000 3c000000 7db8a20e e8000000
counts   00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
strings  ";
    assert_eq!(manifest(&bytes), expected);
}

#[test]
fn hashes_where_it_is_signed() {
    let mut writer = pyrmware_payload::Writer::new();
    writer.add("a", b"abc".to_vec()).unwrap();
    writer.sign(Box::new(|root| format!("{} bytes", root.len())));
    let bytes = writer.finish(&pyrmware_payload::Manifest::default()).unwrap();
    let text = manifest(&bytes);
    // BLAKE3 of "abc", as its authors' test vectors and `b3sum` have it.
    let hash = "6437b3ac 38465133 ffb63b75 273a8db5 48c55846 5d79db03 fd359c6c d5bd9d85";
    assert!(text.contains(&format!("hash     {hash}\n")), "{text}");
    let (root, signature) = pyrmware_payload::Payload::open(&bytes).unwrap().signature().unwrap();
    assert_eq!(signature, format!("{} bytes", root.len()));
    let root = String::from_utf8_lossy(root);
    assert!(root.starts_with("- -\nbuild -\nBLAKE3 ") && root.ends_with(" .pyrmware-manifest\n"));
}

#[test]
fn one_of_everything() {
    let expected = "\
header   5059524d 57415245 04000000 77020000 70775e5c 58240000
counts   02000000 05000000 05000000 02000000 01000000 01000000 02000000 00000000 af000000
setting  00000000 03000000 03000000 05000000
setting  08000000 05000000 0d000000 04000000
module   00000000 03000000 11000000 0f000000 00000000 00010000 00000000 00000000
module   20000000 0b000000 2b000000 0e000000 ffffffff 01020000 00000000 00000000
module   39000000 09000000 42000000 0c000000 01000000 01000000 00000000 01000000
module   4e000000 08000000 56000000 0b000000 03000000 00000000 01000000 00000000
module   61000000 06000000 61000000 06000000 ffffffff 02010000 01000000 00000000
file     67000000 10000000 2e000000 07000000 956768de ffffffff
file     42000000 0c000000 00100000 0e000000 185f95f0 00000000
file     77000000 0d000000 60000000 00000000 00000000 ffffffff
file     84000000 0c000000 8a000000 04000000 64cd28bf ffffffff
file     90000000 0e000000 00200000 0c000000 70d58066 ffffffff
pruned   9e000000 07000000 a5000000 04000000
pruned   a9000000 06000000 a5000000 04000000
library  04000000
load     00000000 02000000 0746ccd7 01000000 02000000 03000000 04000000 05000000
part     00000000 04000000
part     06000000 03000000
strings  appsmallmagic3495app/__init__.pyapp._besideapp/_beside.soapp._fastapp/_fast.soapp.mainapp/main.pyspreadapp/__init__.pycapp/data/textapp/main.pyclibs/libz.so.1tkinterdropturtle";
    assert_eq!(manifest(&support::small()), expected);
}
