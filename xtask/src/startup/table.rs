//! A start for people.

use std::collections::BTreeMap;

use super::Outcome;
use crate::dist::startup::{Course, Span};
use crate::ui;

/// How many modules and packages are shown without `-v`.
const SHOWN: usize = 15;

/// Everything.
pub fn outcome(outcome: &Outcome, verbose: bool) -> String {
    let shown = if verbose { usize::MAX } else { SHOWN };
    let mut lines = phases(outcome);
    lines.push(String::new());
    lines.extend(slowest(&outcome.course, shown));
    lines.push(String::new());
    lines.extend(packages(outcome, shown));
    lines.push(String::new());
    lines.extend(later(outcome, shown));
    lines.join("\n")
}

fn ms(microseconds: u64) -> String {
    format!("{:.1}", microseconds as f64 / 1000.0)
}

fn phases(outcome: &Outcome) -> Vec<String> {
    let Outcome { app, version, course, runs, .. } = outcome;
    let mut lines = vec![format!("the start of {app} {version}"), String::new()];
    lines.push(format!("{:>10} {:>10}", "ms", "at ms"));
    let mut before = 0;
    for phase in &course.phases {
        let took = phase.end.saturating_sub(before);
        lines.push(format!("{:>10} {:>10}  {}", ms(took), ms(phase.end), phase.name));
        before = phase.end;
    }
    let (least, most) = (runs.iter().min(), runs.iter().max());
    let range = match (least, most) {
        (Some(least), Some(most)) if runs.len() > 1 => {
            format!(", the median of {} runs between {} and {}", runs.len(), ms(*least), ms(*most))
        }
        _ => String::new(),
    };
    lines.push(format!("{:>10} {:>10}  first line of main{range}", "", ms(course.ready)));
    if let Some(budget) = outcome.budget {
        let verdict = match course.ready.checked_sub(budget) {
            Some(over @ 1..) => format!("{} over", ms(over)),
            _ => format!("{} to spare", ms(budget - course.ready.min(budget))),
        };
        lines.push(format!("{:>10} {:>10}  budget: {verdict}", "", ms(budget)));
    }
    let took = course.end.saturating_sub(course.ready);
    lines.push(format!("{:>10} {:>10}  the application", ms(took), ms(course.end)));
    lines
}

/// A module's spans together: its own time, its time with all inside, and the first span.
fn by_module(course: &Course) -> Vec<(u64, u64, &Span)> {
    let mut modules: BTreeMap<&str, (u64, u64, &Span)> = BTreeMap::new();
    for span in &course.spans {
        let entry = modules.entry(&span.module).or_insert((0, 0, span));
        entry.0 += span.own;
        entry.1 += span.end - span.start;
    }
    let mut modules: Vec<_> = modules.into_values().collect();
    modules.sort_by_key(|(own, _, span)| (std::cmp::Reverse(*own), &span.module));
    modules
}

fn slowest(course: &Course, shown: usize) -> Vec<String> {
    let modules = by_module(course);
    let mut lines =
        vec![format!("{:>10} {:>10}  slowest of {} modules", "own ms", "with all", modules.len())];
    lines.extend(modules.into_iter().take(shown).map(|(own, all, span)| {
        let asked = match span.by.as_str() {
            "" => "for the launcher".to_owned(),
            by => format!("for {by}:{} in {}", span.line, span.function),
        };
        format!("{:>10} {:>10}  {} {asked}", ms(own), ms(all), span.module)
    }));
    lines
}

fn packages(outcome: &Outcome, shown: usize) -> Vec<String> {
    let mut packages: Vec<(&String, &u64)> = outcome.packages.iter().collect();
    packages.sort_by_key(|(name, own)| (std::cmp::Reverse(**own), *name));
    let mut lines = vec![format!("{:>10} {:>10}  by package", "own ms", "")];
    let shown = packages.into_iter().take(shown);
    lines.extend(shown.map(|(name, own)| format!("{:>10} {:>10}  {name}", ms(*own), "")));
    lines
}

/// What was loaded after the start, and what was not at all.
fn later(outcome: &Outcome, shown: usize) -> Vec<String> {
    let course = &outcome.course;
    let mut lines = Vec::new();
    let outer: Vec<&Span> = course.later().filter(|span| span.depth == 0).collect();
    if !outer.is_empty() {
        let took = outer.iter().map(|span| span.end - span.start).sum();
        let count = course.later().count();
        lines.push(format!("{count} modules were loaded later, in {} ms, for", ms(took)));
        lines.extend(outer.iter().take(shown).map(|span| {
            let Span { by, line, function, module, .. } = span;
            format!(
                "{:>10} {:>10}  {module} for {by}:{line} in {function}",
                "",
                ms(span.end - span.start)
            )
        }));
        if outer.len() > shown {
            lines.push(format!("{:>21}  and {} more; -v names them", "", outer.len() - shown));
        }
    }
    let unused = &outcome.unused;
    lines.push(format!(
        "{} of {} modules in the launcher were not loaded, {}",
        unused.modules.len(),
        unused.of,
        ui::bytes(unused.bytes)
    ));
    lines
}
