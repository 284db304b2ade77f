//! The holder graph as SVG.

use std::fmt::Write as _;

use super::graph::{Graph, Leaf, Node, fit};
use super::words::{bytes, escape, number};

const ROW: f64 = 56.0;
const BOX: f64 = 30.0;
const LEAF: f64 = 44.0;
/// A character of the font in which names are written.
const CHARACTER: f64 = 7.3;
const PAD: f64 = 10.0;

/// The graph; empty where there is nothing to draw.
pub fn svg(graph: &Graph) -> String {
    if graph.nodes.is_empty() {
        return String::new();
    }
    let (lefts, widths, width) = columns(graph);
    let height = graph.rows as f64 * ROW + 8.0;
    let mut svg = format!(
        "<svg class=\"graph\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"width: {width:.0}px\" \
         role=\"img\" aria-label=\"Who holds what; the table below has the same paths\">\n"
    );
    let most = graph.nodes.iter().map(|node| node.weight).max().unwrap_or(1).max(1);
    let middle = |node: &Node| node.row * ROW + ROW / 2.0;
    for node in &graph.nodes {
        let Some(parent) = node.parent.map(|parent| &graph.nodes[parent]) else { continue };
        let (from, to) = (lefts[parent.layer] + widths[parent.layer], lefts[node.layer]);
        let (up, down) = (middle(parent), middle(node));
        let bend = (to - from).min(44.0) / 2.0;
        let thick = 1.5 + 4.0 * (node.weight as f64 / most as f64).sqrt();
        let _ = writeln!(
            svg,
            "<path class=\"way\" style=\"stroke-width: {thick:.1}\" d=\"M{from:.1} {up:.1} C{:.1} {up:.1} \
             {:.1} {down:.1} {:.1} {down:.1} L{to:.1} {down:.1}\"/>",
            from + bend,
            from + bend,
            from + 2.0 * bend
        );
    }
    for node in &graph.nodes {
        let (left, middle) = (lefts[node.layer], middle(node));
        if !node.edge.is_empty() {
            let _ = writeln!(
                svg,
                "<text class=\"edge\" x=\"{:.1}\" y=\"{:.1}\">{}<title>{}</title></text>",
                left - 8.0,
                middle - 7.0,
                escape(&fit(&node.edge)),
                escape(&node.edge)
            );
        }
        match &node.leaf {
            Some(leaf) => leaf_box(&mut svg, node, leaf, left, middle),
            None => plain_box(&mut svg, node, left, widths[node.layer], middle),
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Left ends and widths of the layers, and where the last one ends.
fn columns(graph: &Graph) -> (Vec<f64>, Vec<f64>, f64) {
    let long = |text: &str| fit(text).chars().count() as f64 * CHARACTER;
    let in_layer = |layer: usize| graph.nodes.iter().filter(move |node| node.layer == layer);
    let (mut lefts, mut widths, mut at) = (Vec::new(), Vec::new(), 1.0);
    for layer in 0..graph.layers {
        let way = in_layer(layer).map(|node| long(&node.edge)).fold(0.0, f64::max);
        if layer > 0 {
            at += way + 40.0;
        }
        let width = in_layer(layer).map(|node| match &node.leaf {
            Some(leaf) => long(&node.label).max(facts(leaf).chars().count() as f64 * 6.4),
            None => long(&node.label),
        });
        let width = width.fold(0.0, f64::max) + 2.0 * PAD;
        lefts.push(at);
        widths.push(width);
        at += width;
    }
    (lefts, widths, at + 2.0)
}

fn plain_box(svg: &mut String, node: &Node, left: f64, width: f64, middle: f64) {
    let class = if node.parent.is_none() { "box root" } else { "box" };
    let _ = writeln!(
        svg,
        "<g class=\"{class}\"><title>{}</title><rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
         height=\"{BOX}\" rx=\"6\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        escape(&node.label),
        middle - BOX / 2.0,
        left + PAD,
        middle + 4.5,
        escape(&fit(&node.label))
    );
}

fn leaf_box(svg: &mut String, node: &Node, leaf: &Leaf, left: f64, middle: f64) {
    let facts = facts(leaf);
    let long = |text: &str, character: f64| text.chars().count() as f64 * character;
    let width = long(&fit(&node.label), CHARACTER).max(long(&facts, 6.4)) + 2.0 * PAD;
    let class = if leaf.per_hour.is_some_and(|rate| rate > 0.0) { "leaf grows" } else { "leaf" };
    let _ = writeln!(
        svg,
        "<g class=\"box {class}\"><title>{}\n{}</title><rect x=\"{left:.1}\" y=\"{:.1}\" \
         width=\"{width:.1}\" height=\"{LEAF}\" rx=\"6\"/><text class=\"strong\" x=\"{:.1}\" \
         y=\"{:.1}\">{}</text><text class=\"facts\" x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
        escape(&leaf.kind),
        escape(&leaf.signature),
        middle - LEAF / 2.0,
        left + PAD,
        middle - 3.0,
        escape(&fit(&node.label)),
        left + PAD,
        middle + 13.0,
        escape(&facts)
    );
}

/// `×60, 2.3 KiB, +20 an hour`.
fn facts(leaf: &Leaf) -> String {
    let mut facts = format!("×{}, {}", number(leaf.count), bytes(leaf.bytes as f64));
    if let Some(rate) = leaf.per_hour {
        facts += &format!(", {}", per_hour(rate));
    }
    facts
}

/// `+20 an hour`.
pub fn per_hour(rate: f64) -> String {
    let sign = if rate < 0.0 { "−" } else { "+" };
    format!("{sign}{} an hour", number(rate.abs().round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::report::Holder;

    #[test]
    fn nothing_overlaps_and_nothing_is_outside() {
        let holder = |signature: &str| Holder {
            kind: "app.Session".into(),
            signature: signature.into(),
            count: 3,
            per_hour: Some(1.0),
            ..Holder::default()
        };
        let graph = Graph::of(&[
            holder("app.bus<Bus>.observers[]<method>.__self__<Client>.session"),
            holder(
                "app.a_name_that_is_rather_long_for_a_box{str}<AClassOfARatherLongName>.session",
            ),
            holder("task client().session"),
        ]);
        let (lefts, widths, end) = columns(&graph);
        for layer in 1..graph.layers {
            assert!(lefts[layer] >= lefts[layer - 1] + widths[layer - 1] + 40.0);
        }
        assert!(end >= lefts[graph.layers - 1] + widths[graph.layers - 1]);
        let svg = svg(&graph);
        assert_eq!(svg.matches("class=\"box leaf grows\"").count(), 3);
        assert!(svg.contains("×3, 0 bytes, +1 an hour"), "{svg}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(svg(&Graph::of(&[])), "");
    }
}
