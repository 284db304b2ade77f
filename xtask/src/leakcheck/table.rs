//! What grows, for people.

use std::fmt::Write as _;

use super::Outcome;
use super::blame::Growth;
use crate::ui;

/// Lines; the rest is in the JSON.
const SHOWN: usize = 25;

/// A table of what grows, or one line that nothing does.
pub fn outcome(outcome: &Outcome) -> String {
    let Outcome { app, version, cycles, warmup, growth, .. } = outcome;
    let counted = format!("{cycles} cycles after {warmup} to warm up");
    if growth.is_empty() {
        return format!("{app} {version}: nothing grows in {counted}");
    }
    let mut text = format!("{app} {version}: in each of {counted} there is more of\n\n");
    let widest = growth.iter().take(SHOWN).map(|growth| growth.what.chars().count()).max();
    let width = widest.unwrap_or_default().clamp(4, 48);
    let _ = write!(text, "{:<width$} {:>10} {:>12}  held by", "type", "per cycle", "bytes");
    for growth in growth.iter().take(SHOWN) {
        let bytes = growth.bytes_per_cycle.map(|bytes| ui::bytes(bytes.max(0.0) as u64));
        let _ = write!(
            text,
            "\n{:<width$} {:>10} {:>12}  {}",
            growth.what,
            pieces(growth.per_cycle),
            bytes.unwrap_or_default(),
            held(growth)
        );
    }
    if let more @ 1.. = growth.len().saturating_sub(SHOWN) {
        let _ = write!(text, "\nand {more} more; --message-format json has all");
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn pieces(rate: f64) -> String {
    if (rate - rate.round()).abs() < 0.05 { format!("+{rate:.0}") } else { format!("+{rate:.1}") }
}

fn held(growth: &Growth) -> String {
    let mut text = growth.signature.clone().unwrap_or_default();
    match growth.with {
        0 => {}
        1 => text += " (with objects of another type)",
        with => {
            let _ = write!(text, " (with objects of {with} other types)");
        }
    }
    if let Some(reason) = &growth.allowed {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}[allowed: {reason}]");
    }
    text
}
