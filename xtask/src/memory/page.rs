//! One page without network and without scripts.

use std::fmt::Write as _;

use super::graph::Graph;
use super::report::{Hook, Report, Snapshot};
use super::runs::Run;
use super::words::{bytes, duration, escape, number};
use super::{chart, draw, words};

const BASE: &str = include_str!("../dist/report/page.css");
const STYLE: &str = include_str!("page.css");
/// Rows of a table.
const ROWS: usize = 20;

/// The page of all runs, the youngest first.
pub fn page(runs: &[Run]) -> String {
    let Some(last) = runs.last().map(Run::last) else { return String::new() };
    let title = format!("{} {}: memory", escape(&last.app), escape(&last.version.0));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>{BASE}{STYLE}</style>\n<body>\n<header>\n<h1>{title}</h1>\n<p id=\"about\">{}</p>\n\
         </header>\n<main>\n",
        about(runs, last)
    );
    for (index, run) in runs.iter().enumerate().rev() {
        if runs.len() > 1 {
            let _ = writeln!(
                page,
                "<section class=\"run\"><h2 class=\"run\">{}</h2>",
                heading(run, index, runs)
            );
        } else {
            page.push_str("<section>\n");
        }
        page.push_str(&of_run(run));
        page.push_str("</section>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn about(runs: &[Run], last: &Report) -> String {
    let reports: usize = runs.iter().map(|run| run.reports.len()).sum();
    let ceiling = last.ceiling.as_ref().map(|ceiling| {
        let source = match ceiling.source.as_str() {
            "cgroup" => " of its control group",
            "machine" => " of the machine",
            _ => "",
        };
        format!("{}{source}", bytes(ceiling.bytes as f64))
    });
    let mut facts = Vec::new();
    facts.extend(last.device.as_ref().map(|device| format!("device {device}")));
    facts.extend(last.python.as_ref().map(|python| format!("Python {python}")));
    facts.extend(ceiling);
    facts.extend(last.last_exit.as_ref().map(|why| format!("the run before ended for: {why}")));
    facts.push(count(reports, "report"));
    if runs.len() > 1 {
        facts.push(count(runs.len(), "run"));
    }
    facts.extend(
        last.time.map(|time| format!("the last one of {} by the device's clock", date(time))),
    );
    escape(&facts.join(" · "))
}

fn heading(run: &Run, index: usize, runs: &[Run]) -> String {
    let last = run.last();
    let process = last.process.map_or_else(String::new, |process| format!(", process {process}"));
    let end = match last.reason.as_str() {
        "hard" => ", over its hard limit at the end",
        _ => "",
    };
    let up = duration(last.uptime);
    format!("Run {} of {}<small>{up}{process}{end}</small>", index + 1, runs.len())
}

fn of_run(run: &Run) -> String {
    let last = run.last();
    let mut page = tiles(last);
    let far = chart::far_limits(run);
    let far = if far.is_empty() { far } else { format!(" <small>above the chart: {far}</small>") };
    let _ = writeln!(
        page,
        "<h3>Memory over time{far}</h3>\n<div class=\"wide\">{}</div>",
        chart::svg(run)
    );
    page.push_str(&events(run));
    page.push_str(&verdicts(run));
    page.push_str(&dead(run));
    if let Some(snapshot) = run.snapshot() {
        page.push_str(&holders(snapshot));
        page.push_str(&grown(snapshot));
    }
    page.push_str(&tracked(run));
    page.push_str(&hooks(&run.hooks()));
    if last.cut {
        page.push_str("<p>The launcher has cut the longest lists of its report.</p>\n");
    }
    page
}

fn tiles(last: &Report) -> String {
    let size = |size: Option<u64>| size.map(|size| bytes(size as f64));
    let heap = last.heap.clone().unwrap_or_default();
    let counted = |count: Option<u64>| count.map(number);
    let tiles = [
        (size(last.sizes.private), "private"),
        (size(last.sizes.rss), "resident"),
        (size(last.hard), "hard limit"),
        (Some(duration(last.uptime)), "since the start"),
        (counted(heap.objects), "objects"),
        (counted(heap.blocks), "blocks"),
        (size(heap.garbage), "garbage, last collected"),
        (size(heap.malloc_used), "C allocator, used"),
        (size(heap.malloc_free), "C allocator, free"),
        (counted(last.sizes.fds), "open files"),
        (counted(last.sizes.threads), "threads"),
        (counted(last.sizes.tasks), "tasks"),
    ];
    let tile = |(value, label): (Option<String>, &str)| {
        value.map(|value| format!("<div class=\"tile\"><b>{value}</b><span>{label}</span></div>\n"))
    };
    let tiles: String = tiles.into_iter().filter_map(tile).collect();
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

/// The reports in words, with the numbers that the chart has.
fn events(run: &Run) -> String {
    let mut list = String::new();
    for (number, report) in chart::marks(run) {
        let text = if report.text.0.is_empty() { &report.reason } else { &report.text.0 };
        let _ = writeln!(
            list,
            "<li class=\"{}\"><i>{number}</i><b>{}</b> <span>{}</span></li>",
            chart::class(report),
            duration(report.uptime),
            escape(&text.replace('\n', "; "))
        );
    }
    format!("<ol class=\"events\">{list}</ol>\n")
}

fn verdicts(run: &Run) -> String {
    let verdicts = run.verdicts();
    if verdicts.is_empty() {
        return String::new();
    }
    let mut page = String::from("<h3>Where it is going</h3>\n<div class=\"cards\">\n");
    for verdict in verdicts {
        let class = if verdict.alarm { "card alarm" } else { "card" };
        let words = words::verdict(verdict);
        let words = if words.is_empty() { verdict.text.0.clone() } else { words };
        let kind = escape(&verdict.kind);
        let _ =
            writeln!(page, "<div class=\"{class}\"><b>{kind}</b><p>{}</p></div>", escape(&words));
    }
    page.push_str("</div>\n");
    page
}

fn dead(run: &Run) -> String {
    let rows = run.dead().into_iter().map(|dead| {
        let since = dead.seconds.map(|seconds| format!("{} ago", duration(seconds)));
        vec![
            Cell::Name(dead.kind),
            Cell::Number(number(dead.count)),
            Cell::Text(dead.why.0),
            Cell::Number(since.unwrap_or_default()),
            Cell::Path(dead.signature.0, dead.example.0),
        ]
    });
    let heads = ["type", "alive", "declared dead because", "declared", "held by"];
    table("Declared dead, and alive", &heads, rows.collect())
}

fn holders(snapshot: &Snapshot) -> String {
    let graph = Graph::of(&snapshot.holders.0);
    let mut page = String::new();
    if !graph.nodes.is_empty() {
        let (signatures, objects) = graph.others;
        let others = match signatures {
            0 => String::new(),
            _ => format!(
                " <small>and {} objects in {} that are not drawn</small>",
                number(objects),
                count(signatures, "way")
            ),
        };
        let _ = writeln!(
            page,
            "<h3>Who holds it{others}</h3>\n<div class=\"wide\">{}</div>",
            draw::svg(&graph)
        );
    }
    for (known, told) in [
        (
            snapshot.complete == Some(false),
            "There was too much to look at all: what is missing is far \
          from the roots.",
        ),
        (
            snapshot.paths == Some(false),
            "This Python's objects are not as they are known: they are \
          counted, and paths cannot be told.",
        ),
    ] {
        if known {
            let _ = writeln!(page, "<p>{told}</p>");
        }
    }
    if snapshot.unreached > 0 {
        let _ = writeln!(
            page,
            "<p>{} that live are reached from nowhere: cyclic garbage, or held by C code.</p>",
            count(snapshot.unreached as usize, "object")
        );
    }
    let rows = snapshot.holders.0.iter().map(|holder| {
        vec![
            Cell::Name(holder.kind.clone()),
            Cell::Number(number(holder.count)),
            Cell::Number(bytes(holder.bytes as f64)),
            Cell::Number(holder.per_hour.map(draw::per_hour).unwrap_or_default()),
            Cell::Path(holder.signature.clone(), holder.example.clone()),
        ]
    });
    page + &table("", &["type", "objects", "bytes", "growth", "held by"], rows.collect())
}

fn grown(snapshot: &Snapshot) -> String {
    let since = snapshot
        .since_seconds
        .map_or_else(String::new, |seconds| format!(" <small>in {}</small>", duration(seconds)));
    let (heading, kinds) = match snapshot.grown.0.is_empty() {
        true => ("Types with the most bytes".to_owned(), &snapshot.types.0),
        false => (format!("Types of which there are more{since}"), &snapshot.grown.0),
    };
    let most = kinds.iter().map(|kind| kind.count).max().unwrap_or(1).max(1);
    let sign = if snapshot.grown.0.is_empty() { "" } else { "+" };
    let rows = kinds.iter().map(|kind| {
        vec![
            Cell::Name(kind.name.clone()),
            Cell::Bar(kind.count as f64 / most as f64),
            Cell::Number(format!("{sign}{}", number(kind.count.unsigned_abs()))),
            Cell::Number(bytes(kind.bytes as f64)),
        ]
    });
    let types = table(&heading, &["type", "", "objects", "bytes"], rows.collect());
    let rows = snapshot.containers.0.iter().map(|container| {
        vec![
            Cell::Name(container.kind.clone()),
            Cell::Number(number(container.length)),
            Cell::Path(container.path.clone(), String::new()),
        ]
    });
    types + &table("Longest containers", &["type", "length", "held by"], rows.collect())
}

fn tracked(run: &Run) -> String {
    let rows = run.tracked().into_iter().map(|tracked| {
        let before = tracked.before.map(number).unwrap_or_default();
        vec![Cell::Name(tracked.kind), Cell::Number(number(tracked.count)), Cell::Number(before)]
    });
    table("Tracked classes", &["class", "objects", "in the first look"], rows.collect())
}

fn hooks(hooks: &[Hook]) -> String {
    let rows = hooks.iter().map(|hook| {
        let state = match (hook.useless, hook.failed) {
            (true, 0) => "useless: it gives next to nothing back".to_owned(),
            (false, 0) => String::new(),
            (_, failed) => format!("failed {}", count(failed as usize, "time")),
        };
        vec![
            Cell::Name(hook.name.clone()),
            Cell::Number(number(hook.calls)),
            Cell::Number(bytes(hook.bytes as f64)),
            Cell::Number(format!("{:.1} ms", hook.milliseconds)),
            if state.is_empty() { Cell::Text(state) } else { Cell::Flag(state) },
        ]
    });
    let heads = ["what gives memory back", "calls", "gave", "took", ""];
    table("Relief", &heads, rows.collect())
}

enum Cell {
    Name(String),
    Text(String),
    Number(String),
    Flag(String),
    /// What all share, and one path whole.
    Path(String, String),
    /// A part of the longest.
    Bar(f64),
}

/// Nothing where there are no rows. The heading is markup.
fn table(heading: &str, heads: &[&str], rows: Vec<Vec<Cell>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut page = String::new();
    if !heading.is_empty() {
        let _ = writeln!(page, "<h3>{heading}</h3>");
    }
    page.push_str("<div class=\"scroll\"><table><tr>");
    for head in heads {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr>\n");
    let more = rows.len().saturating_sub(ROWS);
    for row in rows.into_iter().take(ROWS) {
        let cells: String = row.into_iter().map(cell).collect();
        let _ = writeln!(page, "<tr>{cells}</tr>");
    }
    page.push_str("</table></div>\n");
    if more > 0 {
        let _ = writeln!(page, "<p>and {} more in the report</p>", number(more as u64));
    }
    page
}

fn cell(cell: Cell) -> String {
    match cell {
        Cell::Name(text) => format!("<td class=\"name\">{}</td>", escape(&text)),
        Cell::Text(text) => format!("<td class=\"prose\">{}</td>", escape(&text)),
        Cell::Number(text) => format!("<td class=\"number\">{}</td>", escape(&text)),
        Cell::Flag(text) => format!("<td><span class=\"flag\">{}</span></td>", escape(&text)),
        Cell::Path(text, example) => {
            let title = if example.is_empty() { &text } else { &example };
            format!("<td class=\"name path\" title=\"{}\">{}</td>", escape(title), escape(&text))
        }
        Cell::Bar(part) => {
            let width = (part.clamp(0.0, 1.0) * 100.0).max(1.0);
            format!("<td class=\"bar\"><div style=\"width: {width:.1}%\"></div></td>")
        }
    }
}

fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(count as u64))
}

/// `2026-03-01 12:05 UTC`, by the civil calendar.
fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Days since 1 March of the year 0, in eras of 400 years (of which all are the same).
    let days = days.min(4_000_000) + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, shift) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + shift;
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::runs;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_772_366_700, "2026-03-01 12:05 UTC"),
            (1_798_761_599, "2026-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
        assert!(date(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn the_page_asks_nobody_and_runs_nothing() {
        let page = page(&runs::part(vec![Report::default()]));
        for outside in ["http://", "https://", "src=", "@import", "url(", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
