//! What bytecode tells besides what it does: lines, and names of local variables.
//!
//! It is done here and not by `code.replace()` of Python, which forgets which variables of a
//! comprehension are hidden from the module around it (3.12 and later).

use std::collections::BTreeMap;

use super::{Graph, INTERNED, Malformed, Node, Part, Reader};

/// What goes; nothing by default.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Strip<'f> {
    /// Every code object gets this as its `co_filename`.
    pub filename: Option<&'f str>,
    /// Which lines stay.
    pub lines: Lines,
    /// Whether local variables of functions lose their names. It is for the caller to know that nobody
    /// asks for them; parameters keep theirs, and so does what inner functions use.
    pub names: bool,
}

/// Which lines code knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub enum Lines {
    /// All.
    #[default]
    Keep,
    /// All of the module's own code, and the first of each function and class.
    FirstOfFunctions,
    /// The first of each code object.
    First,
}

/// Of `co_flags`: optimized locals, and new ones: a function's.
const FUNCTION: u32 = 0x3;
/// `*args` and `**options`.
const VARIADIC: [u32; 2] = [0x4, 0x8];
/// In `co_localspluskinds`: a local variable that is no argument (3.14), no cell, not hidden.
const LOCAL: u8 = 0x20;

/// Where the parts of a code object are that matter here; see `Layout`.
const CODE: usize = 1;
const NAMES: usize = 4;
const KINDS: usize = 5;
const LINES: usize = 10;

/// What stands in for lines and names.
#[derive(Default)]
pub(super) struct Made {
    /// Length of instructions -> a marshalled table of lines for them.
    tables: BTreeMap<usize, Vec<u8>>,
    /// Names of local variables, by their position.
    names: Vec<String>,
}

impl Made {
    /// All that the code objects in a graph could need.
    pub(super) fn new(reader: &Reader<'_>, strip: Strip<'_>) -> Made {
        let Reader { graph, layout, .. } = reader;
        let mut made = Made::default();
        let mut most = 0;
        for code in graph.nodes.iter().filter(|node| node.tag == b'c') {
            if strip.lines != Lines::Keep {
                let length = bytes(code, graph, CODE).len();
                made.tables.entry(length).or_insert_with(|| table(length, layout.numbers));
            }
            if strip.names {
                most = most.max(object(code, graph, NAMES).map_or(0, |names| names.parts.len()));
            }
        }
        // No identifiers, so that no name that stays is like one of them.
        made.names = (0..most).map(|at| at.to_string()).collect();
        made
    }
}

/// Takes out of all code objects what is to go; `root` is the module's own.
pub(super) fn run<'a>(
    reader: &mut Reader<'a>,
    root: usize,
    strip: Strip<'_>,
    made: &'a Made,
) -> Result<(), Malformed> {
    for code in 0..reader.graph.nodes.len() {
        if reader.graph.nodes[code].tag != b'c' {
            continue;
        }
        let stay = strip.lines == Lines::FirstOfFunctions && code == root;
        if let Some(table) = (!stay).then(|| table_of(&reader.graph, code, made)).flatten() {
            let table = reader.add(b's', vec![Part::Raw(table)])?;
            replace(reader, code, LINES, table);
        }
        if strip.names
            && let Some(names) = renamed(reader, code, made)?
        {
            replace(reader, code, NAMES, names);
        }
    }
    Ok(())
}

fn replace(reader: &mut Reader<'_>, code: usize, part: usize, by: usize) {
    if let Some(part) = reader.graph.nodes[code].parts.get_mut(part) {
        *part = Part::Object(by);
    }
}

fn table_of<'a>(graph: &Graph<'a>, code: usize, made: &'a Made) -> Option<&'a [u8]> {
    made.tables.get(&bytes(&graph.nodes[code], graph, CODE).len()).map(Vec::as_slice)
}

/// A marshalled table of lines by which so many bytes of instructions are on the first line.
fn table(length: usize, numbers: usize) -> Vec<u8> {
    // Up to 3.10: so many bytes, and how many lines further on they are. Since: so many instructions, of
    // two bytes, less one; that there are no columns; and how many lines further on.
    let (most, entry): (usize, fn(usize) -> u8) = if numbers == 6 {
        (254, |bytes| bytes as u8)
    } else {
        (16, |bytes| 0xE8 | (bytes / 2 - 1) as u8)
    };
    let full = [entry(most), 0].repeat(length / most);
    let rest = length % most;
    let table = if rest < 2 { full } else { [full, vec![entry(rest), 0]].concat() };
    [&(table.len() as u32).to_le_bytes()[..], &table].concat()
}

/// The names of a function's variables, without those that nobody but the function needs.
fn renamed<'a>(
    reader: &mut Reader<'a>,
    code: usize,
    made: &'a Made,
) -> Result<Option<usize>, Malformed> {
    let (graph, numbers) = (&reader.graph, reader.layout.numbers);
    let node = &graph.nodes[code];
    let number = |at: usize| {
        let four = node.raw().get(4 * at..).and_then(|rest| rest.first_chunk());
        four.map_or(0, |four| u32::from_le_bytes(*four))
    };
    let flags = number(numbers - 1);
    let Some(names) = object(node, graph, NAMES).filter(|_| flags & FUNCTION == FUNCTION) else {
        return Ok(None);
    };
    let variadic = VARIADIC.into_iter().filter(|flag| flags & flag != 0).count();
    let parameters = number(0) as usize + number(2) as usize + variadic;
    // Up to 3.10 these are local variables only, and what inner functions use is elsewhere.
    let kinds = (numbers == 5).then(|| bytes(node, graph, KINDS));
    let is_local = |at: usize| kinds.is_none_or(|kinds| kinds.get(at) == Some(&LOCAL));
    let (tag, Some(Part::Raw(count))) = (names.tag, names.parts.first()) else { return Ok(None) };
    let mut parts = vec![Part::Raw(count)];
    let old: Vec<usize> = names.parts.iter().filter_map(Part::object).collect();
    for (at, name) in old.into_iter().enumerate() {
        let renamed = (at >= parameters && is_local(at)).then(|| made.names.get(at)).flatten();
        parts.push(Part::Object(match renamed {
            Some(text) => reader.add(INTERNED, vec![Part::Raw(text.as_bytes())])?,
            None => name,
        }));
    }
    reader.add(tag, parts).map(Some)
}

fn object<'n, 'a>(code: &Node<'a>, graph: &'n Graph<'a>, part: usize) -> Option<&'n Node<'a>> {
    Some(&graph.nodes[code.parts.get(part)?.object()?])
}

/// The bytes of a string, which begin with their length.
fn bytes<'a>(code: &Node<'a>, graph: &Graph<'a>, part: usize) -> &'a [u8] {
    object(code, graph, part).and_then(|node| node.raw().get(4..)).unwrap_or(&[])
}
