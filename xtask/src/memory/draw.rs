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
/// What a way takes besides its name.
const GAP: f64 = 34.0;

/// The graph; empty where there is nothing to draw.
pub fn svg(graph: &Graph) -> String {
    if graph.nodes.is_empty() {
        return String::new();
    }
    let (lefts, width) = columns(graph);
    let height = graph.rows as f64 * ROW + 8.0;
    let mut svg = format!(
        "<svg class=\"graph\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"width: {width:.0}px\" \
         role=\"img\" aria-label=\"Who holds what; the table below has the same paths\">\n"
    );
    let most = graph.nodes.iter().map(|node| node.weight).max().unwrap_or(1).max(1);
    let middle = |node: &Node| node.row * ROW + ROW / 2.0;
    for node in &graph.nodes {
        let Some(parent) = node.parent.map(|parent| &graph.nodes[parent]) else { continue };
        let (from, to) = (lefts[parent.layer] + width_of(parent), lefts[node.layer]);
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
            None => plain_box(&mut svg, node, left, middle),
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn long(text: &str) -> f64 {
    fit(text).chars().count() as f64 * CHARACTER
}

fn width_of(node: &Node) -> f64 {
    let facts = node.leaf.as_ref().map_or(0.0, |leaf| facts(leaf).chars().count() as f64 * 6.4);
    long(&node.label).max(facts) + 2.0 * PAD
}

/// Left ends of the layers, and where the last one ends.
fn columns(graph: &Graph) -> (Vec<f64>, f64) {
    let mut lefts = vec![1.0; graph.layers];
    let mut end = 0.0_f64;
    for layer in 0..graph.layers {
        for node in graph.nodes.iter().filter(|node| node.layer == layer) {
            let right = lefts[layer] + width_of(node);
            end = end.max(right);
            // What it leads to is behind it, and behind the name of the way.
            for child in &node.children {
                let way = long(&graph.nodes[*child].edge) + GAP;
                lefts[layer + 1] = lefts[layer + 1].max(right + way);
            }
        }
    }
    (lefts, end + 2.0)
}

fn plain_box(svg: &mut String, node: &Node, left: f64, middle: f64) {
    let width = width_of(node);
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
    let (facts, width) = (facts(leaf), width_of(node));
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
        let (lefts, end) = columns(&graph);
        for node in &graph.nodes {
            let right = lefts[node.layer] + width_of(node);
            assert!(right <= end, "{node:?}");
            for child in node.children.iter().map(|child| &graph.nodes[*child]) {
                assert!(lefts[child.layer] >= right + long(&child.edge) + 30.0, "{child:?}");
            }
        }
        let svg = svg(&graph);
        assert_eq!(svg.matches("class=\"box leaf grows\"").count(), 3);
        assert!(svg.contains("×3, 0 bytes, +1 an hour"), "{svg}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(svg(&Graph::of(&[])), "");
    }
}
