//! What a machine has written to a disk, in order: from that comes what the disk may hold after a power cut at
//! any moment.
//!
//! The log is that of qemu's driver `blklogwrites`, in the format of Linux's target `log-writes`
//! (Documentation/admin-guide/device-mapper/log-writes.rst). A disk has a cache: of what was written since the
//! last flush any part may be there, and any not.

use std::fs;
use std::path::Path;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// A write, or none: everything before it is on the disk.
pub struct Entry {
    /// The first byte on the disk.
    at: usize,
    data: Vec<u8>,
    /// It was made to last, with all before it.
    flush: bool,
}

/// All writes to a disk.
pub struct DiskLog {
    before: Vec<u8>,
    /// What was written.
    pub entries: Vec<Entry>,
}

impl DiskLog {
    /// The log of a machine that has ended, and what was on the disk before.
    pub fn read(log: &Path, before: Vec<u8>) -> DiskLog {
        let log = fs::read(log).expect("there is a log");
        let number = |at: usize| {
            let bytes = log[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(bytes)
        };
        let count = number(16);
        let sector = u32::from_le_bytes(log[24..28].try_into().expect("four bytes")) as usize;
        let mut entries = Vec::new();
        let mut at = sector;
        for _ in 0..count {
            let [start, sectors, flags] = [0, 8, 16].map(|field| number(at + field));
            at += sector;
            let length = sectors as usize * sector;
            let data =
                if flags & DISCARD == 0 { log[at..at + length].to_vec() } else { Vec::new() };
            at += data.len();
            entries.push(Entry { at: start as usize * sector, data, flush: flags & FLUSH != 0 });
        }
        assert_eq!((number(0), number(8)), (MAGIC, 1), "no such log");
        DiskLog { before, entries }
    }

    /// What the disk holds where the power is cut before the write of this number. `lost`: whether a piece of
    /// 512 bytes was still in the cache.
    pub fn cut(&self, moment: usize, mut lost: impl FnMut() -> bool) -> Vec<u8> {
        const PIECE: usize = 512;
        let mut disk = self.before.clone();
        let entries = &self.entries[..moment];
        let flushed = entries.iter().rposition(|entry| entry.flush).unwrap_or(0);
        for (number, entry) in entries.iter().enumerate() {
            for (piece, data) in entry.data.chunks(PIECE).enumerate() {
                if number < flushed || !lost() {
                    let at = entry.at + piece * PIECE;
                    disk[at..at + data.len()].copy_from_slice(data);
                }
            }
        }
        disk
    }
}
