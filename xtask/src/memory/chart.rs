//! The memory of a run over time, as SVG: sizes with their limits, and below them what else is counted.

use std::fmt::Write as _;

use super::report::{Point, Report, Sizes};
use super::runs::Run;
use super::words::{bytes, duration, escape};

const WIDTH: f64 = 1120.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 26.0;
const HEIGHT: f64 = 260.0;
/// One of the small charts.
const SMALL: f64 = 64.0;
const GAP: f64 = 26.0;
/// A limit that is further above is told in words: the lines would all lie at the bottom.
const FAR: f64 = 4.0;

/// A line: its name, and what of a moment it shows.
type Line = (&'static str, fn(&Sizes) -> Option<u64>);

const SIZES: [Line; 2] = [("rss", |sizes| sizes.rss), ("private", |sizes| sizes.private)];
const COUNTS: [Line; 3] = [
    ("open files", |sizes| sizes.fds),
    ("threads", |sizes| sizes.threads),
    ("tasks", |sizes| sizes.tasks),
];

/// Where times and values are drawn.
struct Scale {
    start: f64,
    end: f64,
    most: f64,
    top: f64,
    height: f64,
}

impl Scale {
    fn x(&self, at: f64) -> f64 {
        let span = (self.end - self.start).max(1e-9);
        LEFT + (at - self.start) / span * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - value / self.most.max(1.0))
    }
}

/// What the reports of a run say when: number, time, kind.
pub fn marks(run: &Run) -> Vec<(usize, &Report)> {
    run.reports.iter().enumerate().map(|(at, report)| (at + 1, report)).collect()
}

/// The charts of a run.
pub fn svg(run: &Run) -> String {
    let points = run.points();
    let times = || points.iter().map(|point| point.at);
    let start = times().fold(f64::INFINITY, f64::min).min(0.0);
    let end = times().fold(0.0, f64::max).max(1.0);
    let counted: Vec<&Line> = COUNTS
        .iter()
        .filter(|(_, of)| points.iter().any(|point| of(&point.sizes).is_some()))
        .collect();
    let total = TOP + HEIGHT + counted.len() as f64 * (SMALL + GAP) + 30.0;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {total}\" role=\"img\" aria-label=\"Memory over time; \
         the list below has the same events\">\n"
    );
    let scale = Scale { start, end, most: most(run, &points), top: TOP, height: HEIGHT };
    time_grid(&mut svg, &scale, total - 30.0);
    size_grid(&mut svg, &scale);
    let mut names = limits(&mut svg, run.last(), &scale);
    for line in SIZES.iter().rev() {
        names.extend(draw(&mut svg, line, &points, &scale));
    }
    write_names(&mut svg, names);
    for (index, line) in counted.iter().enumerate() {
        let top = TOP + HEIGHT + GAP + index as f64 * (SMALL + GAP);
        let values = points.iter().filter_map(|point| line.1(&point.sizes));
        let most = nice(values.max().unwrap_or(1) as f64 * 1.1, 1);
        small(&mut svg, line, &points, &Scale { start, end, most, top, height: SMALL });
    }
    for (number, report) in marks(run) {
        mark(&mut svg, number, report, &scale, total - 30.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The top of the scale: a little above all that is drawn.
fn most(run: &Run, points: &[Point]) -> f64 {
    let values = points.iter().flat_map(|point| SIZES.iter().map(|(_, of)| of(&point.sizes)));
    let largest = values.flatten().max().unwrap_or(1) as f64;
    let last = run.last();
    let ceiling = last.ceiling.as_ref().map(|ceiling| ceiling.bytes);
    let near = [last.soft, last.hard, ceiling].into_iter().flatten().map(|limit| limit as f64);
    let near = near.filter(|limit| *limit <= largest * FAR).fold(largest, f64::max);
    nice(near * 1.08, 4)
}

/// The next round number that can be parted so.
fn nice(value: f64, parts: u32) -> f64 {
    let part = value / f64::from(parts);
    // Sizes are round in powers of two, counts are small.
    let mut unit = if part >= 1024.0 { 1024.0_f64.powf(part.log(1024.0).floor()) } else { 1.0 };
    while unit * 2.0 < part {
        unit *= 2.0;
    }
    let step = [1.0, 1.25, 1.5, 1.75, 2.0].into_iter().map(|times| (unit * times).ceil());
    step.into_iter().find(|step| *step >= part).unwrap_or(unit * 2.0) * f64::from(parts)
}

fn size_grid(svg: &mut String, scale: &Scale) {
    for part in 0..=4 {
        let value = scale.most / 4.0 * f64::from(part);
        let y = scale.y(value);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            if part == 0 { "0".to_owned() } else { bytes(value).replace(".0 ", " ") }
        );
    }
}

fn time_grid(svg: &mut String, scale: &Scale, bottom: f64) {
    const STEPS: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0,
        14_400.0, 21_600.0, 43_200.0, 86_400.0,
    ];
    let span = scale.end - scale.start;
    let step = STEPS.into_iter().find(|step| span / step <= 9.0).unwrap_or((span / 8.0).ceil());
    let mut at = (scale.start / step).ceil() * step;
    while at <= scale.end {
        let x = scale.x(at);
        let label = if at == 0.0 { "start".to_owned() } else { duration(at) };
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom:.1}\"/>\
             <text class=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
            bottom + 18.0
        );
        at += step;
    }
}

/// What a line is called, at its end.
struct Name {
    y: f64,
    class: &'static str,
    text: String,
}

/// Names beside the chart, none over another.
fn write_names(svg: &mut String, mut names: Vec<Name>) {
    const LINE: f64 = 15.0;
    names.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut free = TOP;
    // The lowest must still be beside the chart.
    let room = |below: usize| TOP + HEIGHT - below as f64 * LINE;
    let count = names.len();
    for (index, Name { y, class, text }) in names.into_iter().enumerate() {
        let y = y.min(room(count - 1 - index)).max(free);
        free = y + LINE;
        let x = WIDTH - RIGHT + 8.0;
        let _ = writeln!(
            svg,
            "<text class=\"name {class}\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>",
            y + 4.0
        );
    }
}

fn limits(svg: &mut String, last: &Report, scale: &Scale) -> Vec<Name> {
    let ceiling = last.ceiling.as_ref().map(|ceiling| ceiling.bytes);
    let mut names = Vec::new();
    for (class, limit) in [("soft", last.soft), ("hard", last.hard), ("ceiling", ceiling)] {
        let Some(limit) = limit.map(|limit| limit as f64).filter(|limit| *limit <= scale.most)
        else {
            continue;
        };
        let y = scale.y(limit);
        let _ = writeln!(
            svg,
            "<line class=\"limit {class}\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - RIGHT
        );
        names.push(Name { y, class, text: format!("{class} {}", bytes(limit)) });
    }
    names
}

/// Limits that are too far above to be drawn, in words.
pub fn far_limits(run: &Run) -> String {
    let last = run.last();
    let most = most(run, &run.points());
    let ceiling = last.ceiling.as_ref().map(|ceiling| ceiling.bytes);
    let far = [("soft limit", last.soft), ("hard limit", last.hard), ("ceiling", ceiling)];
    let far = far.into_iter().filter_map(|(name, limit)| Some((name, limit? as f64)));
    let far = far.filter(|(_, limit)| *limit > most);
    far.map(|(name, limit)| format!("{name} {}", bytes(limit))).collect::<Vec<_>>().join(", ")
}

/// Points of a line that are known, where they are drawn.
fn places(line: &Line, points: &[Point], scale: &Scale) -> Vec<(f64, f64)> {
    let known = points.iter().filter_map(|point| Some((point.at, line.1(&point.sizes)?)));
    known.map(|(at, value)| (scale.x(at), scale.y(value as f64))).collect()
}

fn draw(svg: &mut String, line: &Line, points: &[Point], scale: &Scale) -> Option<Name> {
    let places = places(line, points, scale);
    let (last_x, last_y) = places.last().copied()?;
    let class = line.0;
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    if let Some((first, _)) = places.first() {
        let bottom = scale.y(0.0);
        let _ = writeln!(
            svg,
            "<polygon class=\"area {class}\" points=\"{first:.1},{bottom:.1} {} {last_x:.1},{bottom:.1}\"/>",
            path.join(" ")
        );
    }
    let _ = writeln!(svg, "<polyline class=\"line {class}\" points=\"{}\"/>", path.join(" "));
    for point in points {
        if let Some(value) = line.1(&point.sizes) {
            let (x, y) = (scale.x(point.at), scale.y(value as f64));
            let _ = writeln!(
                svg,
                "<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"><title>{} after {}: \
                 {}</title></circle>",
                line.0,
                duration(point.at),
                bytes(value as f64)
            );
        }
    }
    let value = points.iter().rev().find_map(|point| line.1(&point.sizes))?;
    Some(Name { y: last_y, class, text: format!("{class} {}", bytes(value as f64)) })
}

fn small(svg: &mut String, line: &Line, points: &[Point], scale: &Scale) {
    let places = places(line, points, scale);
    let (Some((first, _)), Some((last, y))) = (places.first(), places.last()) else { return };
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (bottom, path) = (scale.y(0.0), path.join(" "));
    let value = points.iter().rev().find_map(|point| line.1(&point.sizes)).unwrap_or_default();
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>\
         <polygon class=\"area count\" points=\"{first:.1},{bottom:.1} {path} {last:.1},{bottom:.1}\"/>\
         <polyline class=\"line count\" points=\"{path}\"/>\
         <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{:.0}</text>\
         <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">0</text>\
         <text class=\"name count\" x=\"{:.1}\" y=\"{:.1}\">{} {value}</text>",
        WIDTH - RIGHT,
        LEFT - 8.0,
        scale.top + 8.0,
        scale.most,
        LEFT - 8.0,
        bottom + 4.0,
        last + 8.0,
        y + 4.0,
        line.0
    );
}

/// A report's number over the moment when it was written.
fn mark(svg: &mut String, number: usize, report: &Report, scale: &Scale, bottom: f64) {
    if !report.uptime.is_finite() {
        return;
    }
    let x = scale.x(report.uptime);
    let class = class(report);
    let _ = writeln!(
        svg,
        "<g class=\"mark {class}\"><title>{}</title><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" \
         y2=\"{bottom:.1}\"/><circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"9\"/><text class=\"middle\" x=\"{x:.1}\" \
         y=\"{:.1}\">{number}</text></g>",
        escape(&report.text.0),
        TOP - 13.0,
        TOP - 9.0
    );
}

/// How bad it is.
pub fn class(report: &Report) -> &'static str {
    match report.reason.as_str() {
        "hard" => "hard",
        "verdict" | "dead" => "alarm",
        "soft" => "soft",
        _ => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_beside_the_chart_and_not_over_each_other() {
        let name = |y: f64| Name { y, class: "soft", text: String::new() };
        let mut svg = String::new();
        write_names(&mut svg, [300.0, 100.0, 102.0, 299.0, TOP - 9.0].map(name).into());
        let places: Vec<f64> = svg
            .split(" y=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(places, [30.0, 104.0, 119.0, 275.0, 290.0]);
    }

    #[test]
    fn scales_end_at_round_numbers_above_what_is_drawn() {
        for (value, parts, most) in [
            (0.0, 4, 4.0),
            (7.0, 1, 7.0),
            (100.0, 1, 112.0),
            (60.0 * 1024.0 * 1024.0, 4, 64.0 * 1024.0 * 1024.0),
        ] {
            assert!((nice(value, parts) - most).abs() < 1e-6, "{value}: {}", nice(value, parts));
        }
        for value in 1..5000 {
            assert!(nice(f64::from(value) * 777.0, 4) >= f64::from(value) * 777.0, "{value}");
        }
    }

    #[test]
    fn a_report_that_knows_nothing_is_drawn_all_the_same() {
        let run = Run { reports: vec![Report { uptime: f64::NAN, ..Report::default() }] };
        let svg = svg(&run);
        assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
