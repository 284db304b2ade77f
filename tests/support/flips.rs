//! A launcher in which one byte at a time is another.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use pyrmware_payload::Payload;

use super::{Alone, Ended, Image};

/// Numbers by chance, the same in every run: SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    /// Any number below the limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// A launcher of one's own, and what is where in it.
pub struct Victim {
    /// The launcher.
    pub alone: Alone,
    /// Its bytes, as they were.
    pub bytes: Vec<u8>,
    /// Where in them the payload is.
    pub place: Range<usize>,
}

/// What becomes of the manifest's checksums, which anybody can compute.
#[derive(Clone, Copy, PartialEq)]
pub enum Checksums {
    /// They stay: an accident.
    Stay,
    /// Those of the file and of the manifest are put right.
    Follow,
}

impl Victim {
    /// A copy of an image's launcher.
    pub fn of(image: &Image) -> Victim {
        let alone = image.alone();
        let bytes = fs::read(&alone.launcher).expect("the launcher can be read");
        let place = image.payload(&bytes);
        Victim { alone, bytes, place }
    }

    /// The payload.
    pub fn payload(&self) -> Payload<'_> {
        Payload::open(&self.bytes[self.place.clone()]).expect("it is whole")
    }

    /// Where in the launcher a part of the payload is.
    pub fn within(&self, part: &[u8]) -> Range<usize> {
        let at = part.as_ptr() as usize - self.bytes.as_ptr() as usize;
        at..at + part.len()
    }

    /// The result of `run` while that bit is another.
    pub fn flipped(
        &self,
        (at, bit): (usize, usize),
        checksums: Checksums,
        run: impl FnOnce(&Alone) -> Ended,
    ) -> Ended {
        let mut changes = vec![(at, vec![self.bytes[at] ^ (1 << bit)])];
        if checksums == Checksums::Follow {
            changes.extend(self.followed(at, changes[0].1[0]));
        }
        self.write(changes.iter().map(|(at, bytes)| (*at, bytes.as_slice())));
        let ended = run(&self.alone);
        self.write(changes.iter().map(|(at, new)| (*at, &self.bytes[*at..*at + new.len()])));
        ended
    }

    fn write<'a>(&self, changes: impl Iterator<Item = (usize, &'a [u8])>) {
        let file = OpenOptions::new().write(true).open(&self.alone.launcher);
        let file = file.expect("nothing runs of it any more");
        changes.for_each(|(at, bytes)| file.write_all_at(bytes, at as u64).expect("it is written"));
    }

    fn followed(&self, at: usize, new: u8) -> [(usize, Vec<u8>); 2] {
        let payload = self.payload();
        let mut files = payload.files().map(|file| (self.within(file.unchecked()), file.crc));
        let (file, crc) = files.find(|(file, _)| file.contains(&at)).expect("it is in a file");
        let mut content = self.bytes[file.clone()].to_vec();
        content[at - file.start] = new;
        let mut manifest = payload.manifest().to_vec();
        let places: Vec<_> = memchr::memmem::find_iter(&manifest, &crc.to_le_bytes()).collect();
        let [place] = places[..] else { panic!("{crc:#x} is at {places:?}") };
        manifest[place..place + 4].copy_from_slice(&crc32fast::hash(&content).to_le_bytes());
        let start = self.within(payload.manifest()).start;
        let whole = crc32fast::hash(&manifest[20..]);
        [
            (start + place, manifest[place..place + 4].to_vec()),
            (start + 16, whole.to_le_bytes().to_vec()),
        ]
    }
}
