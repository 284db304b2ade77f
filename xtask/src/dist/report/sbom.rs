//! Software bills of materials of what ships, after pruning. The same image gives the same files.

mod cyclonedx;
mod spdx;

use std::path::Path;

use anyhow::Result;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::parts::Parts;
use crate::dist::hex;
use crate::dist::link::Image;
use crate::dist::resolve::Plan;

/// What [`Plan::epoch`] is when nobody named a time.
const NO_TIME: u64 = 315_532_800;

/// Writes the bills into the stage: CycloneDX 1.6 and SPDX 2.3.
///
/// # Errors
/// A file cannot be written.
pub fn write(plan: &Plan, image: &Image, parts: &Parts, stage: &Path) -> Result<()> {
    let app = &plan.config.project.name;
    let both: [(&str, Value); 2] = [
        ("cdx", cyclonedx::bill(plan, image, parts)),
        ("spdx", spdx::document(plan, image, parts)),
    ];
    for (form, bill) in both {
        super::write(&stage.join(format!("{app}.{form}.json")), super::pretty(&bill)?)?;
    }
    Ok(())
}

/// A UUID of version 8 (RFC 9562: from a hash of our own) that belongs to this launcher.
fn uuid(sha256: &str) -> String {
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(format!("pyrmware bill of {sha256}"))[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Seconds since 1970 -> `2026-11-22T19:00:00Z`.
fn timestamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86400, seconds % 86400);
    // Days since 0000-03-01, so that a leap day is a year's last day.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, year) = match month {
        0..10 => (month + 3, era * 400 + year),
        _ => (month - 9, era * 400 + year + 1),
    };
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }

    #[test]
    fn the_serial_number_belongs_to_the_launcher() {
        let one = uuid("ab");
        assert_eq!(one, uuid("ab"));
        assert_ne!(one, uuid("cd"));
        assert_eq!((one.len(), &one[14..15]), (36, "8"));
        assert!("89ab".contains(&one[19..20]), "{one}");
    }
}
