//! An encrypted module: what stands in the place of its `.pyc`.
//!
//! What is unmarshalled at once is sealed by itself, so that never more than one code object lies open:
//! the module's own code, the names of its lazy bindings, and each of their statements.
//!
//! | part | content |
//! |---|---|
//! | header, 16 bytes | `PYRMSEAL`, then as `u32` the lengths of the next two parts |
//! | code | the module's marshalled code object, sealed |
//! | index | its [`LazyTable`] without code, sealed; empty where there is none |
//! | statements | the table's code objects, each sealed; the table's offsets count from here |
//!
//! *Sealed* is a nonce (24 bytes), then what XChaCha20-Poly1305 makes of the plain bytes, its tag last.
//! The associated data is the build id, the module's path and the [`Part`]: nothing can be put into
//! another place, module or build.
//!
//! # Why the nonces may be computed
//! The same inputs must give the same bytes, so a nonce is the first 192 bits of BLAKE3, keyed with a
//! key of its own, over associated data and plain bytes (the SIV construction of Rogaway and
//! Shrimpton, "Deterministic Authenticated-Encryption", 2006). BLAKE3 with a key is a pseudo-random
//! function: two messages have the same nonce if they are the same message in the same place, where
//! nothing is learned but that, or with a probability of 2^-96 after 2^48 messages. Both keys are derived
//! from the user's by `derive_key` in contexts of their own.

#[cfg(feature = "sealed")]
use chacha20poly1305::XChaCha20Poly1305;
#[cfg(feature = "sealed")]
use chacha20poly1305::aead::{AeadInOut, KeyInit, Nonce, Tag};
#[cfg(feature = "sealed")]
use zeroize::Zeroizing;

use crate::LazyTable;
use crate::reader::u32_at;

const MAGIC: &[u8; 8] = b"PYRMSEAL";
const HEADER: usize = 16;
#[cfg(feature = "sealed")]
const NONCE: usize = 24;
#[cfg(feature = "sealed")]
const TAG: usize = 16;

/// An encrypted module's file, in place.
#[derive(Debug, Clone, Copy)]
pub struct SealedModule<'a> {
    /// Its code, sealed as [`Part::Code`].
    pub code: &'a [u8],
    /// The names of its lazy bindings, sealed as [`Part::Index`]; none where every binding is made by the code.
    pub index: Option<&'a [u8]>,
    statements: &'a [u8],
}

impl<'a> SealedModule<'a> {
    /// Takes a file apart; none for a `.pyc`. A length that lies leaves parts that do not open.
    pub fn of(file: &'a [u8]) -> Option<SealedModule<'a>> {
        let rest = file.strip_prefix(MAGIC)?.get(HEADER - MAGIC.len()..).unwrap_or_default();
        let (code, rest) = rest.split_at((u32_at(file, 8) as usize).min(rest.len()));
        let (index, statements) = rest.split_at((u32_at(file, 12) as usize).min(rest.len()));
        let index = (!index.is_empty()).then_some(index);
        Some(SealedModule { code, index, statements })
    }

    /// The table of an index that was opened; the code of its bindings is sealed as [`Part::Statement`].
    pub fn table(&self, index: &'a [u8]) -> LazyTable<'a> {
        LazyTable::apart(index, self.statements)
    }
}

/// What of a module is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its own code.
    Code,
    /// The names of its lazy bindings.
    Index,
    /// A statement that is put off.
    Statement {
        /// [`Binding::at`](crate::Binding::at).
        at: u32,
    },
}

impl Part {
    #[cfg(feature = "sealed")]
    fn number(self) -> u32 {
        match self {
            Part::Code => 0,
            Part::Index => u32::MAX,
            Part::Statement { at } => at.saturating_add(1),
        }
    }
}

/// Where something sealed belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The build id.
    pub build: &'a str,
    /// The module's path in the payload.
    pub path: &'a str,
}

#[cfg(feature = "sealed")]
impl Place<'_> {
    /// The associated data; neither part has a NUL.
    fn data(&self, part: Part) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.build.len() + self.path.len() + 6);
        data.extend_from_slice(self.build.as_bytes());
        data.push(0);
        data.extend_from_slice(self.path.as_bytes());
        data.push(0);
        data.extend_from_slice(&part.number().to_le_bytes());
        data
    }
}

/// The key of encrypted modules.
#[cfg(feature = "sealed")]
pub struct Key {
    cipher: XChaCha20Poly1305,
    #[cfg(feature = "writer")]
    nonce: Zeroizing<[u8; 32]>,
    id: String,
}

#[cfg(feature = "sealed")]
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(feature = "sealed")]
impl Key {
    /// Length of a key in bytes.
    pub const LENGTH: usize = 32;

    /// Derives what is needed from the user's key.
    pub fn new(secret: &[u8; Key::LENGTH]) -> Key {
        let derived = |what: &str| Zeroizing::new(blake3::derive_key(what, secret));
        let cipher = derived("Pyrmware 2026-11 encrypted module: cipher");
        let id = derived("Pyrmware 2026-11 encrypted module: key id");
        Key {
            cipher: XChaCha20Poly1305::new((&*cipher).into()),
            #[cfg(feature = "writer")]
            nonce: derived("Pyrmware 2026-11 encrypted module: nonce"),
            id: id[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Reads a key as people keep it: 32 bytes, or 64 hexadecimal digits with or without an end of line.
    pub fn parse(text: &[u8]) -> Option<Key> {
        if let Ok(raw) = <&[u8; Key::LENGTH]>::try_from(text) {
            return Some(Key::new(raw));
        }
        let digits = text.trim_ascii();
        let mut raw = Zeroizing::new([0; Key::LENGTH]);
        if digits.len() != 2 * Key::LENGTH {
            return None;
        }
        for (byte, pair) in raw.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Some(Key::new(&raw))
    }

    /// Tells keys from each other, 16 hexadecimal digits: it does not help to find the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens what [`Key::seal`] has made; the bytes are wiped when they are dropped. None: another key,
    /// another place, or not as it was written.
    pub fn open(&self, place: &Place<'_>, part: Part, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let nonce: &Nonce<XChaCha20Poly1305> = nonce.try_into().ok()?;
        let tag: &Tag<XChaCha20Poly1305> = tag.try_into().ok()?;
        let mut plain = Zeroizing::new(text.to_vec());
        let data = place.data(part);
        self.cipher.decrypt_inout_detached(nonce, &data, plain.as_mut_slice().into(), tag).ok()?;
        Some(plain)
    }

    /// Seals what is unmarshalled at once.
    #[cfg(feature = "writer")]
    fn seal(&self, place: &Place<'_>, part: Part, plain: &[u8]) -> Vec<u8> {
        let data = place.data(part);
        let mut hash = blake3::Hasher::new_keyed(&self.nonce);
        hash.update(&(data.len() as u64).to_le_bytes()).update(&data).update(plain);
        let mut nonce = Nonce::<XChaCha20Poly1305>::default();
        nonce.copy_from_slice(&hash.finalize().as_bytes()[..NONCE]);
        let mut sealed = [&nonce[..], plain].concat();
        let text = (&mut sealed[NONCE..]).into();
        let tag = self.cipher.encrypt_inout_detached(&nonce, &data, text);
        sealed.extend_from_slice(&tag.expect("a payload's file has less than 256 GiB"));
        sealed
    }

    /// What stands in the place of this complete `.pyc`.
    ///
    /// # Panics
    /// If the file would have more than 4 GiB.
    #[cfg(feature = "writer")]
    pub fn seal_module(&self, place: &Place<'_>, pyc: &[u8]) -> Vec<u8> {
        let number = |n: usize| u32::try_from(n).expect("a file has less than 4 GiB").to_le_bytes();
        let (mut index, mut statements) = (Vec::new(), Vec::new());
        let table = LazyTable::of_pyc(pyc);
        let code = match &table {
            Some(table) => &pyc[crate::PYC_HEADER..pyc.len() - table.bytes()],
            None => pyc.get(crate::PYC_HEADER..).unwrap_or_default(),
        };
        let code = self.seal(place, Part::Code, code);
        if let Some(table) = table {
            let plain = table.split(|at, code| {
                let sealed = self.seal(place, Part::Statement { at }, code);
                statements.extend_from_slice(&sealed);
                sealed.len()
            });
            index = self.seal(place, Part::Index, &plain);
        }
        let lengths = [number(code.len()), number(index.len())].concat();
        [&MAGIC[..], &lengths, &code, &index, &statements].concat()
    }
}
