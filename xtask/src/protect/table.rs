//! The comparison as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::attack::Part;
use super::compare::Row;
use super::form::Form;

/// The table, what it means, and why a form is not in it.
pub(super) fn text(
    forms: &[Form],
    rows: &BTreeMap<Form, Row>,
    what: &str,
    start: &[String],
    runs: usize,
) -> String {
    let base = forms.first().and_then(|form| rows.get(form));
    let mut text = String::from(
        "| form | code, KiB | launcher, MiB | build, s | start, ms | instructions, M | self-test, ms | \
         memory, MiB | functions | docstrings | names | strings |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut notes = String::new();
    let seen = rows.values().filter_map(|row| row.sees.as_ref());
    let lines = match seen.map(|sees| sees.lines.0).max() {
        None | Some(0) => "none".to_owned(),
        Some(most) => format!("up to {most}"),
    };
    for form in forms {
        let Some(row) = rows.get(form) else { continue };
        let _ = write!(text, "| {form} |");
        if let Some(why) = &row.fails {
            text += &" – |".repeat(11);
            let _ = write!(notes, "\n{form} fails: {why}\n");
            text += "\n";
            continue;
        }
        let sees = row.sees.as_ref();
        let kib = sees.map(|sees| sees.bytes as f64 / 1024.0);
        cell(&mut text, kib, None);
        cell(&mut text, Some(row.launcher as f64 / 1048576.0), None);
        cell(&mut text, Some(row.build), None);
        let with = |of: fn(&Row) -> Option<f64>| base.and_then(of);
        cell(&mut text, row.start, with(|row| row.start));
        cell(&mut text, row.instructions, with(|row| row.instructions));
        cell(&mut text, row.selftest, with(|row| row.selftest));
        let memory = |row: &Row| row.private_kib.map(|kib| kib / 1024.0);
        cell(&mut text, memory(row), with(memory));
        let parts = |of: fn(&super::Sight) -> Part| sees.map(of);
        let found = [
            parts(|sees| sees.functions),
            parts(|sees| sees.docstrings),
            parts(|sees| sees.names),
            parts(|sees| sees.strings),
        ];
        for part in found {
            let _ = match part {
                Some(Part(found, all)) => write!(text, " {found}/{all} |"),
                None => write!(text, " – |"),
            };
        }
        text += "\n";
    }
    let start = match start {
        [] => String::new(),
        words => format!(" Start: `{}`.", words.join(" ")),
    };
    let _ = write!(
        text,
        "\n{what}, its own modules in each form, dependencies as bytecode.{start} Times are medians of \
         {runs} interleaved runs, with the change against the first row; memory is private, at its peak in \
         the self-test. *build*: the stages protect and pack, nothing kept from before. On the right, what \
         is found in the file without a key, of what the sources have: functions whose bytecode `marshal` \
         reads, first lines of docstrings, names of functions and classes, strings. Lines of source: {lines}.\n"
    );
    text + &notes
}

/// A number, and its change against the first row where there is one.
fn cell(text: &mut String, value: Option<f64>, base: Option<f64>) {
    let _ = match (value, base) {
        (Some(value), Some(base)) if value != base && base > 0.0 => {
            write!(text, " {value:.1} ({:+.1} %) |", (value / base - 1.0) * 100.0)
        }
        (Some(value), _) => write!(text, " {value:.1} |"),
        (None, _) => write!(text, " – |"),
    };
}
