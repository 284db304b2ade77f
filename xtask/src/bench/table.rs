//! Tables for people: Markdown, on stdout and in README.md.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::startup::Row;

/// The table of `bench startup`.
pub(super) fn startup(rows: &[Row], python: &str, runs: usize) -> String {
    let mut text = String::from(
        "| application | | wall time, ms | instructions, millions | peak memory, MiB |\n|---|---|---:|---:|---:|\n",
    );
    for row in rows {
        let millions = |count: Option<u64>| match count {
            Some(count) => format!("{:.0}", count as f64 / 1e6),
            None => "–".into(),
        };
        let lines =
            [(row.name.as_str(), "`python3 -I`", &row.stock), ("", "launcher", &row.launcher)];
        for (name, who, it) in lines {
            text += &format!(
                "| {name} | {who} | {:.1} | {} | {:.1} |\n",
                it.milliseconds,
                millions(it.instructions),
                it.peak_mib
            );
        }
        let ratio = |one: f64, other: f64| format!("{:.2}", one / other);
        let instructions = match (row.launcher.instructions, row.stock.instructions) {
            (Some(one), Some(other)) => ratio(one as f64, other as f64),
            _ => "–".into(),
        };
        text += &format!(
            "| | *ratio* | *{}* | *{instructions}* | *{}* |\n",
            ratio(row.launcher.milliseconds, row.stock.milliseconds),
            ratio(row.launcher.peak_mib, row.stock.peak_mib),
        );
    }
    text += &format!(
        "\nPython {python}; from start to the end of the self-test; medians of {runs} interleaved runs, stock Python with warm bytecode; instructions by callgrind, child processes not counted.\n"
    );
    text
}

/// Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
///
/// # Errors
/// A file without the marks, or one that cannot be written.
pub(super) fn put(file: &Path, name: &str, table: &str) -> Result<()> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (open, close) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let (Some(start), Some(end)) = (text.find(&open), text.find(&close)) else {
        bail!("{} has no place for the table: {} … {close}", file.display(), open.trim_end());
    };
    let text = format!("{}{table}{}", &text[..start + open.len()], &text[end..]);
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
