//! Marshalled code in one canonical form, so that the same source gives the same bytes.
//!
//! CPython sets `FLAG_REF` (this object may be referred to later) by reference count, and writes a
//! string as interned when somebody has interned it: both depend on what else the process that compiled
//! holds. Up to 3.10 it writes the elements of a frozenset in the order of their hashes. Here the stream
//! is read into a graph in which equal constants are one object, and written again: `FLAG_REF` exactly
//! where a later reference needs it, references numbered in order, a string interned if it is so
//! anywhere in the module, elements of sets sorted. What is loaded from it is equal to the original.

use std::collections::BTreeMap;
use std::fmt;

/// Changes whenever the same input would give other bytes.
pub const FORM: u32 = 2;

/// Deeper nesting is refused. The parser's own limits keep real code far below, CPython's is 2000.
const DEPTH: usize = 500;
/// A set's elements are sorted by their bytes with every reference spelled out; more than this is refused.
const ELEMENT: usize = 1 << 20;
const FLAG_REF: u8 = 0x80;

/// Why bytes are no marshalled code of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Offset into the bytes.
    pub at: usize,
    what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} of the marshalled code", self.what, self.at)
    }
}

impl std::error::Error for Malformed {}

/// Writes marshalled `bytes` of Python `version` (3.10 or newer) in canonical form. With a
/// `filename`, every code object gets it as its `co_filename`.
///
/// # Errors
/// [`Malformed`]: cut off, too deep, an unknown type, a reference to nothing, bytes left over.
pub fn canonical(
    bytes: &[u8],
    version: (u8, u8),
    filename: Option<&str>,
) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader { bytes, at: 0, layout: Layout::of(version), ..Reader::default() };
    if let Some(filename) = filename {
        reader.filename = Some(reader.add(STRING, vec![Part::Raw(filename.as_bytes())])?);
    }
    let root = reader.object(0)?;
    if reader.at != bytes.len() {
        return Err(reader.malformed("bytes are left over"));
    }
    let mut writer = Writer::new(&reader.graph, root);
    writer.out.reserve(bytes.len());
    writer.object(root).map_err(|what| Malformed { at: bytes.len(), what })?;
    Ok(writer.out)
}

/// Where a code object's numbers and objects are.
#[derive(Clone, Copy, Default)]
struct Layout {
    /// Numbers before the first object, four bytes each.
    numbers: usize,
    /// Objects before the first line's number, and after it.
    objects: (usize, usize),
    /// Which of the objects is `co_filename`.
    filename: usize,
}

impl Layout {
    fn of(version: (u8, u8)) -> Layout {
        if version >= (3, 11) {
            // argcount posonly kwonly stacksize flags | code consts names localsplusnames
            // localspluskinds filename name qualname | firstlineno | linetable exceptiontable
            Layout { numbers: 5, objects: (8, 2), filename: 5 }
        } else {
            // argcount posonly kwonly nlocals stacksize flags | code consts names varnames freevars
            // cellvars filename name | firstlineno | linetable
            Layout { numbers: 6, objects: (8, 1), filename: 6 }
        }
    }
}

/// An object: its type, then raw bytes and other objects in the order of the stream. A string is
/// [`STRING`] or [`INTERNED`] with its text; how CPython spells its type follows from the text.
struct Node<'a> {
    tag: u8,
    parts: Vec<Part<'a>>,
    /// How deep objects are nested in it, references followed: what recursion over it costs.
    height: usize,
}

const STRING: u8 = b'z';
const INTERNED: u8 = b'Z';

enum Part<'a> {
    Raw(&'a [u8]),
    Object(usize),
}

impl Part<'_> {
    fn object(&self) -> Option<usize> {
        match self {
            Part::Raw(_) => None,
            Part::Object(index) => Some(*index),
        }
    }
}

/// What makes two constants equal: type, bytes, and the objects inside.
type Key<'a> = (u8, &'a [u8], Vec<usize>);

/// Every object once.
#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    known: BTreeMap<Key<'a>, usize>,
}

/// Strings of at most one character (of the first 256) exist once per process: whether somebody has
/// interned one says nothing about the module.
fn exists_once(text: &[u8]) -> bool {
    matches!(text, [] | [0..=0x7f] | [0xc2 | 0xc3, _])
}

#[derive(Default)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: Layout,
    graph: Graph<'a>,
    /// What `TYPE_REF` numbers mean; none while the object is still being read.
    references: Vec<Option<usize>>,
    /// Replaces every `co_filename`.
    filename: Option<usize>,
}

impl<'a> Reader<'a> {
    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(self.malformed("cut off"))?;
        self.at += length;
        Ok(taken)
    }

    /// What was read since `start`, and `more` bytes.
    fn since(&mut self, start: usize, more: usize) -> Result<&'a [u8], Malformed> {
        self.take(more)?;
        Ok(&self.bytes[start..self.at])
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        let four = self.take(4)?.first_chunk().ok_or(self.malformed("cut off"))?;
        Ok(i32::from_le_bytes(*four))
    }

    fn size(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.i32()?).map_err(|_| self.malformed("a negative size"))
    }

    /// Reads one object and gives its place in the graph.
    fn object(&mut self, depth: usize) -> Result<usize, Malformed> {
        if depth > DEPTH {
            return Err(self.malformed("nested too deeply"));
        }
        let tag = self.u8()?;
        let (flagged, tag) = (tag & FLAG_REF != 0, tag & !FLAG_REF);
        if tag == b'r' {
            let index = self.size()?;
            return (self.references.get(index).copied().flatten())
                .ok_or(self.malformed("a reference to nothing"));
        }
        // CPython ignores the flag on its singletons.
        let reserved = flagged && !matches!(tag, b'N' | b'T' | b'F' | b'.' | b'S');
        let index = self.references.len();
        if reserved {
            self.references.push(None);
        }
        let (tag, parts) = self.parts(tag, depth)?;
        let node = self.add(tag, parts)?;
        if reserved {
            self.references[index] = Some(node);
        }
        Ok(node)
    }

    /// Adds an object to the graph, or finds the equal one that is there already. Code objects stay
    /// apart, for tools tell them by identity; so does what can be changed.
    fn add(&mut self, tag: u8, parts: Vec<Part<'a>>) -> Result<usize, Malformed> {
        let Graph { nodes, known } = &mut self.graph;
        let mut objects: Vec<usize> = parts.iter().filter_map(Part::object).collect();
        let height = 1 + objects.iter().map(|object| nodes[*object].height).max().unwrap_or(0);
        let next = nodes.len();
        let index = match (tag, parts.first()) {
            (b'c' | b'[' | b'<', _) => next,
            (_, first) => {
                let raw = if let Some(Part::Raw(raw)) = first { raw } else { &[][..] };
                if tag == b'>' {
                    objects.sort_unstable();
                }
                let class = if tag == INTERNED { STRING } else { tag };
                *known.entry((class, raw, objects)).or_insert(next)
            }
        };
        if index == next {
            nodes.push(Node { tag, parts, height });
        } else if tag == INTERNED {
            nodes[index].tag = INTERNED;
        }
        if height > DEPTH { Err(self.malformed("nested too deeply")) } else { Ok(index) }
    }

    /// The rest of an object of this type, and its type as [`Node`] has it.
    fn parts(&mut self, tag: u8, depth: usize) -> Result<(u8, Vec<Part<'a>>), Malformed> {
        let start = self.at;
        let raw = match tag {
            b'N' | b'T' | b'F' | b'.' | b'S' => return Ok((tag, Vec::new())),
            b'i' => self.take(4)?,
            b'I' | b'g' => self.take(8)?,
            b'y' => self.take(16)?,
            b'l' => {
                let digits = self.i32()?.unsigned_abs() as usize;
                self.since(start, digits.saturating_mul(2))?
            }
            b's' => {
                let length = self.size()?;
                self.since(start, length)?
            }
            b'u' | b'a' | b't' | b'A' => {
                let length = self.size()?;
                return self.string(tag, length);
            }
            b'z' | b'Z' => {
                let length = self.u8()?;
                return self.string(tag, usize::from(length));
            }
            b'c' => return Ok((tag, self.code(depth)?)),
            b')' => {
                let count = self.u8()?;
                return Ok((tag, self.objects(start, usize::from(count), depth)?));
            }
            b'(' | b'[' | b'<' | b'>' => {
                let count = self.size()?;
                return Ok((tag, self.objects(start, count, depth)?));
            }
            b':' => return Ok((tag, self.objects(start, 3, depth)?)),
            // Dictionaries and the numbers of versions before 3 are never part of code.
            _ => return Err(self.malformed("an unknown type")),
        };
        Ok((tag, vec![Part::Raw(raw)]))
    }

    fn string(&mut self, tag: u8, length: usize) -> Result<(u8, Vec<Part<'a>>), Malformed> {
        let text = self.take(length)?;
        let interned = matches!(tag, b't' | b'A' | b'Z') || exists_once(text);
        Ok((if interned { INTERNED } else { STRING }, vec![Part::Raw(text)]))
    }

    /// What was read since `start`, then `count` objects.
    fn objects(
        &mut self,
        start: usize,
        count: usize,
        depth: usize,
    ) -> Result<Vec<Part<'a>>, Malformed> {
        let mut parts = vec![Part::Raw(&self.bytes[start..self.at])];
        for _ in 0..count {
            parts.push(Part::Object(self.object(depth + 1)?));
        }
        Ok(parts)
    }

    fn code(&mut self, depth: usize) -> Result<Vec<Part<'a>>, Malformed> {
        let Layout { numbers, objects: (before, after), filename } = self.layout;
        let start = self.at;
        self.take(4 * numbers)?;
        let mut parts = self.objects(start, before, depth)?;
        if let Some(other) = self.filename {
            parts[1 + filename] = Part::Object(other);
        }
        let start = self.at;
        self.take(4)?;
        parts.extend(self.objects(start, after, depth)?);
        Ok(parts)
    }
}

struct Writer<'a> {
    graph: &'a Graph<'a>,
    /// How many times each object is used.
    uses: Vec<u32>,
    /// The number by which an object that was written with `FLAG_REF` is referred to.
    numbers: Vec<Option<u32>>,
    next: u32,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph<'a>, root: usize) -> Writer<'a> {
        // Only what is reached counts: a replaced file name leaves its predecessor behind.
        let mut uses = vec![0; graph.nodes.len()];
        let mut reached = vec![root];
        while let Some(node) = reached.pop() {
            uses[node] += 1;
            if uses[node] == 1 {
                reached.extend(graph.nodes[node].parts.iter().filter_map(Part::object));
            }
        }
        let numbers = vec![None; graph.nodes.len()];
        Writer { graph, uses, numbers, next: 0, out: Vec::new() }
    }

    fn object(&mut self, index: usize) -> Result<(), &'static str> {
        let node = &self.graph.nodes[index];
        if let Some(number) = self.numbers[index] {
            self.out.push(b'r');
            self.out.extend_from_slice(&number.to_le_bytes());
            return Ok(());
        }
        let mut flag = 0;
        if self.uses[index] > 1 && !node.parts.is_empty() {
            self.numbers[index] = Some(self.next);
            self.next += 1;
            flag = FLAG_REF;
        }
        match (node.tag, &node.parts[..]) {
            (STRING | INTERNED, [Part::Raw(text)]) => self.string(node.tag, flag, text),
            (b'<' | b'>', parts) => {
                self.out.push(node.tag | flag);
                return self.set(parts);
            }
            (tag, parts) => {
                self.out.push(tag | flag);
                for part in parts {
                    match part {
                        Part::Raw(raw) => self.out.extend_from_slice(raw),
                        Part::Object(child) => self.object(*child)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// A string with the type that CPython gives it.
    fn string(&mut self, tag: u8, flag: u8, text: &[u8]) {
        let interned = tag == INTERNED;
        match u8::try_from(text.len()) {
            Ok(length) if text.is_ascii() => self.out.extend([tag | flag, length]),
            _ => {
                let tag = match (text.is_ascii(), interned) {
                    (true, true) => b'A',
                    (true, false) => b'a',
                    (false, true) => b't',
                    (false, false) => b'u',
                };
                self.out.push(tag | flag);
                self.out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            }
        }
        self.out.extend_from_slice(text);
    }

    fn set(&mut self, parts: &[Part<'_>]) -> Result<(), &'static str> {
        let mut elements = Vec::new();
        for part in parts {
            match part {
                Part::Raw(count) => self.out.extend_from_slice(count),
                Part::Object(child) => {
                    let mut key = Vec::new();
                    self.spell_out(*child, &mut key)?;
                    elements.push((key, *child));
                }
            }
        }
        elements.sort();
        elements.iter().try_for_each(|(_, child)| self.object(*child))
    }

    /// The object's bytes without references: the same whatever surrounds it.
    fn spell_out(&self, index: usize, key: &mut Vec<u8>) -> Result<(), &'static str> {
        let node = &self.graph.nodes[index];
        key.push(node.tag);
        let mut inner = Vec::new();
        for part in &node.parts {
            match part {
                Part::Raw(raw) => key.extend_from_slice(raw),
                Part::Object(child) if node.tag == b'>' => {
                    let mut element = Vec::new();
                    self.spell_out(*child, &mut element)?;
                    inner.push(element);
                }
                Part::Object(child) => self.spell_out(*child, key)?,
            }
            if key.len() + inner.iter().map(Vec::len).sum::<usize>() > ELEMENT {
                return Err("an element of a set is too large");
            }
        }
        inner.sort();
        key.extend(inner.concat());
        Ok(())
    }
}
