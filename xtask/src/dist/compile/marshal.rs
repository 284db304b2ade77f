//! Marshalled code in one canonical form, so that the same source gives the same bytes.
//!
//! CPython sets `FLAG_REF` (this object may be referred to later) by reference count, which depends
//! on what else the process that compiled holds, and up to 3.10 it writes the elements of a frozenset
//! in the order of their hashes. Here the stream is read into a graph and written again: `FLAG_REF`
//! exactly where a later reference needs it, references numbered in order, elements of sets sorted.
//! What is loaded from it is equal to the original.

use std::fmt;
use std::ops::Range;

/// Changes whenever the same input would give other bytes.
pub const FORM: u32 = 1;

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
        reader.filename = Some(reader.graph.unicode(filename));
    }
    let root = reader.object(0)?;
    if reader.at != bytes.len() {
        return Err(reader.malformed("bytes are left over"));
    }
    let mut writer = Writer::new(&reader.graph, bytes, root);
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

/// An object: its type, then raw bytes and other objects in the order of the stream.
struct Node {
    tag: u8,
    parts: Vec<Part>,
}

#[derive(Clone)]
enum Part {
    /// Bytes of the input.
    Raw(Range<usize>),
    /// Bytes made here.
    Made(Vec<u8>),
    Object(usize),
}

#[derive(Default)]
struct Graph(Vec<Node>);

impl Graph {
    fn add(&mut self, tag: u8, parts: Vec<Part>) -> usize {
        self.0.push(Node { tag, parts });
        self.0.len() - 1
    }

    /// A string in the shape in which CPython writes one that is not interned.
    fn unicode(&mut self, text: &str) -> usize {
        let (tag, mut made) = match (text.is_ascii(), u8::try_from(text.len())) {
            (true, Ok(length)) => (b'z', vec![length]),
            (true, Err(_)) => (b'a', (text.len() as u32).to_le_bytes().to_vec()),
            (false, _) => (b'u', (text.len() as u32).to_le_bytes().to_vec()),
        };
        made.extend_from_slice(text.as_bytes());
        self.add(tag, vec![Part::Made(made)])
    }
}

#[derive(Default)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: Layout,
    graph: Graph,
    /// What `TYPE_REF` numbers mean; none while the object is still being read.
    references: Vec<Option<usize>>,
    /// Replaces every `co_filename`.
    filename: Option<usize>,
}

impl Reader<'_> {
    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Malformed> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let range = self.at..end.ok_or(self.malformed("cut off"))?;
        self.at = range.end;
        Ok(range)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        let range = self.take(1)?;
        Ok(self.bytes[range.start])
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        let range = self.take(4)?;
        let four = self.bytes[range].try_into().map_err(|_| self.malformed("cut off"))?;
        Ok(i32::from_le_bytes(four))
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
        let parts = self.parts(tag, depth)?;
        let node = self.graph.add(tag, parts);
        if reserved {
            self.references[index] = Some(node);
        }
        Ok(node)
    }

    fn parts(&mut self, tag: u8, depth: usize) -> Result<Vec<Part>, Malformed> {
        let start = self.at;
        match tag {
            b'N' | b'T' | b'F' | b'.' | b'S' => return Ok(Vec::new()),
            b'i' => drop(self.take(4)?),
            b'I' | b'g' => drop(self.take(8)?),
            b'y' => drop(self.take(16)?),
            b'l' => {
                let digits = self.i32()?.unsigned_abs() as usize;
                self.take(digits.saturating_mul(2))?;
            }
            b's' | b't' | b'u' | b'a' | b'A' => {
                let length = self.size()?;
                self.take(length)?;
            }
            b'z' | b'Z' => {
                let length = self.u8()?;
                self.take(usize::from(length))?;
            }
            b')' => {
                let count = self.u8()?;
                return self.objects(start, usize::from(count), depth);
            }
            b'(' | b'[' | b'<' | b'>' => {
                let count = self.size()?;
                return self.objects(start, count, depth);
            }
            b':' => return self.objects(start, 3, depth),
            b'c' => return self.code(depth),
            // Dictionaries and the numbers of versions before 3 are never part of code.
            _ => return Err(self.malformed("an unknown type")),
        }
        Ok(vec![Part::Raw(start..self.at)])
    }

    /// What was read since `start`, then `count` objects.
    fn objects(
        &mut self,
        start: usize,
        count: usize,
        depth: usize,
    ) -> Result<Vec<Part>, Malformed> {
        let mut parts = vec![Part::Raw(start..self.at)];
        for _ in 0..count {
            parts.push(Part::Object(self.object(depth + 1)?));
        }
        Ok(parts)
    }

    fn code(&mut self, depth: usize) -> Result<Vec<Part>, Malformed> {
        let Layout { numbers, objects: (before, after), filename } = self.layout;
        self.take(4 * numbers)?;
        let mut parts = self.objects(self.at - 4 * numbers, before, depth)?;
        if let Some(other) = self.filename {
            parts[1 + filename] = Part::Object(other);
        }
        self.take(4)?;
        parts.extend(self.objects(self.at - 4, after, depth)?);
        Ok(parts)
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    bytes: &'a [u8],
    /// How many times each object is used.
    uses: Vec<u32>,
    /// The number by which an object that was written with `FLAG_REF` is referred to.
    numbers: Vec<Option<u32>>,
    next: u32,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph, bytes: &'a [u8], root: usize) -> Writer<'a> {
        // Only what is reached counts: a replaced file name leaves its predecessor behind.
        let mut uses = vec![0; graph.0.len()];
        let mut reached = vec![root];
        while let Some(node) = reached.pop() {
            uses[node] += 1;
            if uses[node] == 1 {
                reached.extend(graph.0[node].parts.iter().filter_map(Part::object));
            }
        }
        let numbers = vec![None; graph.0.len()];
        Writer { graph, bytes, uses, numbers, next: 0, out: Vec::with_capacity(bytes.len()) }
    }

    fn object(&mut self, index: usize) -> Result<(), &'static str> {
        let node = &self.graph.0[index];
        if let Some(number) = self.numbers[index] {
            self.out.push(b'r');
            self.out.extend_from_slice(&number.to_le_bytes());
            return Ok(());
        }
        let singleton = node.parts.is_empty();
        if self.uses[index] > 1 && !singleton {
            self.numbers[index] = Some(self.next);
            self.next += 1;
            self.out.push(node.tag | FLAG_REF);
        } else {
            self.out.push(node.tag);
        }
        if matches!(node.tag, b'<' | b'>') {
            return self.set(&node.parts);
        }
        for part in &node.parts {
            match part {
                Part::Object(child) => self.object(*child)?,
                part => self.out.extend_from_slice(part.bytes(self.bytes)),
            }
        }
        Ok(())
    }

    fn set(&mut self, parts: &[Part]) -> Result<(), &'static str> {
        let mut elements = Vec::new();
        for part in parts {
            match part {
                Part::Object(child) => {
                    let mut key = Vec::new();
                    self.spell_out(*child, &mut key)?;
                    elements.push((key, *child));
                }
                part => self.out.extend_from_slice(part.bytes(self.bytes)),
            }
        }
        elements.sort();
        elements.iter().try_for_each(|(_, child)| self.object(*child))
    }

    /// The object's bytes without references: the same whatever surrounds it.
    fn spell_out(&self, index: usize, key: &mut Vec<u8>) -> Result<(), &'static str> {
        let node = &self.graph.0[index];
        key.push(node.tag);
        let mut inner = Vec::new();
        for part in &node.parts {
            match part {
                Part::Object(child) if node.tag == b'>' => {
                    let mut element = Vec::new();
                    self.spell_out(*child, &mut element)?;
                    inner.push(element);
                }
                Part::Object(child) => self.spell_out(*child, key)?,
                part => key.extend_from_slice(part.bytes(self.bytes)),
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

impl Part {
    fn object(&self) -> Option<usize> {
        match self {
            Part::Object(index) => Some(*index),
            Part::Raw(_) | Part::Made(_) => None,
        }
    }

    fn bytes<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Part::Raw(range) => &input[range.clone()],
            Part::Made(bytes) => bytes,
            Part::Object(_) => &[],
        }
    }
}
