//! The holder graph: signatures with what they share told once, laid out in layers from left to right.

use super::report::Holder;
use super::signature;

/// Signatures that are drawn; the others are summed.
pub const SHOWN: usize = 8;
/// Characters of a box and of the way to it.
const WIDEST: usize = 36;

/// What the last box of a signature stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// The type of what is held.
    pub kind: String,
    pub count: u64,
    pub bytes: u64,
    pub per_hour: Option<f64>,
    pub signature: String,
}

/// A box.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The way to it from the box before; empty for a root.
    pub edge: String,
    /// What stands in it.
    pub label: String,
    /// What is held here.
    pub leaf: Option<Leaf>,
    /// Indices of the boxes that it leads to.
    pub children: Vec<usize>,
    pub parent: Option<usize>,
    /// Objects that are held through it.
    pub weight: u64,
    /// Place: layer from the left, and row from above, in rows of leaves.
    pub layer: usize,
    pub row: f64,
}

/// Boxes, parents before their children.
#[derive(Debug, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub rows: usize,
    pub layers: usize,
    /// Signatures that are not drawn, and their objects.
    pub others: (usize, u64),
}

impl Graph {
    /// Of the groups that grow fastest, or are largest where nothing is known of growth.
    pub fn of(holders: &[Holder]) -> Graph {
        let mut sorted: Vec<&Holder> = holders.iter().collect();
        let growth = |holder: &Holder| (holder.per_hour.unwrap_or(0.0) * 10.0) as i64;
        sorted
            .sort_by_key(|holder| std::cmp::Reverse((growth(holder), holder.count, holder.bytes)));
        let mut graph = Graph::default();
        for holder in sorted.iter().take(SHOWN) {
            graph.add(holder);
        }
        let rest = sorted.iter().skip(SHOWN);
        graph.others = (rest.len(), rest.map(|holder| holder.count).sum());
        graph.place();
        graph
    }

    fn add(&mut self, holder: &Holder) {
        let mut at: Option<usize> = None;
        let (boxes, last) = boxes(&holder.signature);
        for (edge, label) in boxes {
            let known = self.nodes.iter().position(|node| {
                node.parent == at && node.leaf.is_none() && node.edge == edge && node.label == label
            });
            at = Some(known.unwrap_or_else(|| self.push(at, edge, label, None)));
        }
        let leaf = Leaf {
            kind: holder.kind.clone(),
            count: holder.count,
            bytes: holder.bytes,
            per_hour: holder.per_hour,
            signature: holder.signature.clone(),
        };
        let mut up = Some(self.push(at, last, short(&holder.kind), Some(leaf)));
        while let Some(node) = up {
            self.nodes[node].weight += holder.count;
            up = self.nodes[node].parent;
        }
    }

    fn push(
        &mut self,
        parent: Option<usize>,
        edge: String,
        label: String,
        leaf: Option<Leaf>,
    ) -> usize {
        let layer = parent.map_or(0, |parent| self.nodes[parent].layer + 1);
        let node =
            Node { edge, label, leaf, children: Vec::new(), parent, weight: 0, layer, row: 0.0 };
        self.nodes.push(node);
        let index = self.nodes.len() - 1;
        if let Some(parent) = parent {
            self.nodes[parent].children.push(index);
        }
        self.layers = self.layers.max(layer + 1);
        index
    }

    /// Leaves below each other, in the order of their branches; a box in the middle of what it leads to.
    fn place(&mut self) {
        let roots: Vec<usize> =
            (0..self.nodes.len()).filter(|index| self.nodes[*index].parent.is_none()).collect();
        let mut open: Vec<usize> = roots.into_iter().rev().collect();
        while let Some(index) = open.pop() {
            if self.nodes[index].children.is_empty() {
                self.nodes[index].row = self.rows as f64;
                self.rows += 1;
            }
            open.extend(self.nodes[index].children.iter().rev());
        }
        for index in (0..self.nodes.len()).rev() {
            let children = &self.nodes[index].children;
            if let (Some(first), Some(last)) = (children.first(), children.last()) {
                self.nodes[index].row =
                    f64::midpoint(self.nodes[*first].row, self.nodes[*last].row);
            }
        }
    }
}

/// A signature as boxes with the ways to them, and the way from the last one to what is held. The first is
/// a root with the names below it; after it, what has no type of its own (plain containers, mostly) is a
/// part of the next way.
fn boxes(text: &str) -> (Vec<(String, String)>, String) {
    let steps = signature::steps(text);
    let Some((last, before)) = steps.split_last() else { return Default::default() };
    let mut boxes: Vec<(String, String)> = Vec::new();
    let mut way = String::new();
    for (at, step) in before.iter().enumerate() {
        let star = if step.repeated { " …" } else { "" };
        if boxes.is_empty() && (at == 0 || step.edge.starts_with('.')) {
            way.push_str(&step.edge);
            if let Some(kind) = &step.kind {
                boxes.push((String::new(), format!("{} {kind}{star}", std::mem::take(&mut way))));
            }
            continue;
        }
        if boxes.is_empty() {
            boxes.push((String::new(), std::mem::take(&mut way)));
        }
        way.push_str(&step.edge);
        if let Some(kind) = &step.kind {
            boxes.push((std::mem::take(&mut way), format!("{kind}{star}")));
        }
    }
    if boxes.is_empty() && !way.is_empty() {
        boxes.push((String::new(), std::mem::take(&mut way)));
    }
    let way = if boxes.is_empty() { String::new() } else { way + &last.edge };
    (boxes, way)
}

/// The last part of a type's name.
fn short(kind: &str) -> String {
    kind.rsplit('.').next().unwrap_or(kind).to_owned()
}

/// Text that fits, with its middle left out.
pub fn fit(text: &str) -> String {
    let length = text.chars().count();
    if length <= WIDEST {
        return text.to_owned();
    }
    let head: String = text.chars().take(WIDEST / 2 - 1).collect();
    let tail: String = text.chars().skip(length - WIDEST / 2).collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(signature: &str, count: u64) -> Holder {
        let kind = "app.core.Session".to_owned();
        Holder { kind, signature: signature.to_owned(), count, ..Holder::default() }
    }

    fn drawn(graph: &Graph) -> Vec<String> {
        let line = |node: &Node| {
            let count =
                node.leaf.as_ref().map_or_else(String::new, |leaf| format!(" x{}", leaf.count));
            format!("{}|{} {}{count} @{}", node.layer, node.edge, node.label, node.row)
        };
        graph.nodes.iter().map(line).collect()
    }

    #[test]
    fn what_signatures_share_is_drawn_once() {
        let graph = Graph::of(&[
            holder("app.bus<Bus>.observers[]<method>.__self__<Client>.session", 20),
            holder("app.bus<Bus>.observers[]<method>.__self__<Client>.prompt", 10),
            holder("app.history[]", 5),
        ]);
        assert_eq!(
            drawn(&graph),
            [
                "0| app.bus Bus @0.5",
                "1|.observers[] method @0.5",
                "2|.__self__ Client @0.5",
                "3|.session Session x20 @0",
                "3|.prompt Session x10 @1",
                "0| app.history @2",
                "1|[] Session x5 @2",
            ]
        );
        assert_eq!(graph.nodes[0].weight, 30);
        assert_eq!((graph.rows, graph.layers), (3, 4));
    }

    #[test]
    fn every_signature_has_a_leaf_and_no_box_is_empty() {
        for signature in
            ["", "app", "task client().session", "a.b.c{str}[]", "a.h<N>.n<N>*.s", "{'"]
        {
            let graph = Graph::of(&[holder(signature, 1)]);
            assert_eq!(graph.nodes.iter().filter(|node| node.leaf.is_some()).count(), 1);
            assert!(
                graph.nodes.iter().all(|node| !node.label.is_empty()),
                "{signature}: {graph:?}"
            );
            assert_eq!(graph.rows, 1, "{signature}");
        }
    }

    #[test]
    fn the_many_are_summed_and_growth_comes_first() {
        let mut holders: Vec<Holder> =
            (0..20).map(|at| holder(&format!("app.name{at}[]"), 100 - at)).collect();
        holders[19].per_hour = Some(2.0);
        let graph = Graph::of(&holders);
        assert_eq!(graph.rows, SHOWN);
        assert_eq!(graph.others.0, 12);
        assert_eq!(graph.nodes[0].label, "app.name19");
    }

    #[test]
    fn two_leaves_in_one_place_are_two() {
        let graph = Graph::of(&[holder("app.all[]", 3), holder("app.all[]", 2)]);
        assert_eq!((graph.nodes.len(), graph.rows), (3, 2));
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(fit("short"), "short");
        assert_eq!(
            fit("a_very_long_name_of_an_attribute_of_something"),
            "a_very_long_name_…ibute_of_something"
        );
    }
}
