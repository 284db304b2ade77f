//! Marshalled code in one canonical form, so that the same source gives the same bytes.
//!
//! CPython sets `FLAG_REF` (this object may be referred to later) by reference count, and writes a
//! string as interned when somebody has interned it: both depend on what else the process that compiled
//! holds. Up to 3.10 it writes the elements of a frozenset in the order of their hashes. Here the stream
//! is read into a graph in which equal constants are one object, and written again: `FLAG_REF` exactly
//! where a later reference needs it, references numbered in order, a string interned if it is so
//! anywhere in the module, elements of sets sorted. What is loaded from it is equal to the original.

mod strip;

use std::collections::BTreeMap;
use std::fmt;

pub use self::strip::{Lines, Strip};

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

/// Writes marshalled `bytes` of Python `version` (3.10 or newer) in canonical form, without what is to
/// be stripped.
///
/// # Errors
/// [`Malformed`]: cut off, too deep, an unknown type, a reference to nothing, bytes left over.
pub fn canonical(bytes: &[u8], version: (u8, u8), strip: Strip<'_>) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader { bytes, at: 0, layout: Layout::of(version), ..Reader::default() };
    if let Some(filename) = strip.filename {
        reader.filename = Some(reader.add(STRING, vec![Part::Raw(filename.as_bytes())])?);
    }
    let root = reader.object(0)?;
    if reader.at != bytes.len() {
        return Err(reader.malformed("bytes are left over"));
    }
    let made = strip::Made::new(&reader, strip);
    strip::run(&mut reader, root, strip, &made)?;
    let mut writer = Writer::new(&reader.graph, root);
    writer.out.reserve(bytes.len());
    writer.object(root).map_err(|what| Malformed { at: bytes.len(), what })?;
    Ok(writer.out)
}

/// One code object, as far as imports are in it.
#[derive(Debug, Default)]
pub struct Code<'a> {
    /// `co_code`: pairs of instruction and argument.
    pub instructions: &'a [u8],
    /// `co_consts`.
    pub constants: Vec<Constant<'a>>,
    /// `co_names`.
    pub names: Vec<&'a str>,
}

/// A constant of a code object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constant<'a> {
    /// A string.
    Text(&'a str),
    /// A tuple of strings.
    Texts(Vec<&'a str>),
    /// A small integer.
    Number(i32),
    /// Anything else.
    Other,
}

/// Every code object of marshalled `bytes`, the module's own last.
///
/// # Errors
/// As [`canonical`].
pub fn codes(bytes: &[u8], version: (u8, u8)) -> Result<Vec<Code<'_>>, Malformed> {
    let mut reader = Reader { bytes, at: 0, layout: Layout::of(version), ..Reader::default() };
    reader.object(0)?;
    let nodes = &reader.graph.nodes;
    Ok(nodes.iter().filter(|node| node.tag == b'c').map(|node| node.code(nodes)).collect())
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

impl<'a> Node<'a> {
    fn raw(&self) -> &'a [u8] {
        self.parts
            .iter()
            .find_map(|part| if let Part::Raw(raw) = part { Some(*raw) } else { None })
            .unwrap_or(&[])
    }

    fn text(&self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.raw()).ok();
        text.filter(|_| matches!(self.tag, STRING | INTERNED))
    }

    fn inside<'n>(&'n self, nodes: &'n [Node<'a>]) -> impl Iterator<Item = &'n Node<'a>> {
        self.parts.iter().filter_map(Part::object).map(|index| &nodes[index])
    }

    fn constant(&self, nodes: &[Node<'a>]) -> Constant<'a> {
        match (self.tag, self.raw().first_chunk()) {
            (STRING | INTERNED, _) => self.text().map_or(Constant::Other, Constant::Text),
            (b')' | b'(', _) => {
                let texts: Option<Vec<&str>> = self.inside(nodes).map(Node::text).collect();
                texts.map_or(Constant::Other, Constant::Texts)
            }
            (b'i', Some(four)) => Constant::Number(i32::from_le_bytes(*four)),
            _ => Constant::Other,
        }
    }

    /// Instructions, constants and names are the first three objects of a code object of any version.
    fn code(&self, nodes: &[Node<'a>]) -> Code<'a> {
        let mut objects = self.inside(nodes);
        let (Some(code), Some(constants), Some(names)) =
            (objects.next(), objects.next(), objects.next())
        else {
            return Code::default();
        };
        // The bytes of a string begin with their length.
        Code {
            instructions: code.raw().get(4..).unwrap_or(&[]),
            constants: constants.inside(nodes).map(|node| node.constant(nodes)).collect(),
            names: names.inside(nodes).map(|node| node.text().unwrap_or("")).collect(),
        }
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V: (u8, u8) = (3, 11);

    fn form(bytes: &[u8]) -> Vec<u8> {
        canonical(bytes, V, Strip::default()).unwrap()
    }

    fn complaint(bytes: &[u8]) -> String {
        canonical(bytes, V, Strip::default()).unwrap_err().to_string()
    }

    /// A code object with these constants; `name` stands wherever a name or a path belongs.
    fn code(constants: &[u8], name: &[u8]) -> Vec<u8> {
        let mut code = b"c".to_vec();
        code.extend([0; 20]);
        code.extend(b"s\x02\0\0\0\x97\0"); // co_code
        code.extend(constants);
        code.extend(b")\0)\0s\0\0\0\0"); // names, localsplusnames, localspluskinds
        (0..3).for_each(|_| code.extend(name)); // filename, name, qualname
        code.extend([1, 0, 0, 0]); // first line
        code.extend(b"s\x02\0\0\0\xf0\0s\0\0\0\0"); // line table, exception table
        code
    }

    #[test]
    fn the_flag_is_set_where_a_reference_needs_it() {
        // (a, 300, 300 again by reference), with a flag on everything.
        let plain = b"\xa9\x03\xfa\x02ab\xe9\x2c\x01\0\0r\x02\0\0\0";
        assert_eq!(form(plain), b")\x03z\x02ab\xe9\x2c\x01\0\0r\0\0\0\0");
    }

    #[test]
    fn equal_constants_become_one() {
        let twice = b")\x03z\x02abi\x05\0\0\0z\x02ab";
        assert_eq!(form(twice), b")\x03\xfa\x02abi\x05\0\0\0r\0\0\0\0");
        // A tuple of equal parts, too; but 1 and True, 0.0 and -0.0 are not the same bytes.
        let tuples = b")\x02)\x01i\x05\0\0\0)\x01i\x05\0\0\0";
        assert_eq!(form(tuples), b")\x02\xa9\x01i\x05\0\0\0r\0\0\0\0");
        let unequal = b")\x02i\x01\0\0\0T";
        assert_eq!(form(unequal), unequal);
    }

    #[test]
    fn a_string_is_interned_everywhere_or_nowhere() {
        let once = b")\x02z\x02abZ\x02ab";
        assert_eq!(form(once), b")\x02\xda\x02abr\0\0\0\0");
        // Short strings exist once per process, so whoever asks sees the same flag.
        assert_eq!(
            form(b")\x03z\x01(z\0u\x02\0\0\0\xc3\xa9"),
            b")\x03Z\x01(Z\0t\x02\0\0\0\xc3\xa9"
        );
    }

    #[test]
    fn strings_have_the_type_that_their_text_asks_for() {
        assert_eq!(form(b"a\x02\0\0\0ab"), b"z\x02ab");
        assert_eq!(form(b"t\x02\0\0\0ab"), b"Z\x02ab");
        let long = [b"u\x2c\x01\0\0".as_slice(), &[b'x'; 300]].concat();
        assert_eq!(form(&long), [b"a\x2c\x01\0\0".as_slice(), &[b'x'; 300]].concat());
    }

    #[test]
    fn sets_are_sorted() {
        let one = b">\x03\0\0\0z\x02bbz\x02aai\x05\0\0\0";
        let other = b">\x03\0\0\0i\x05\0\0\0z\x02aaz\x02bb";
        assert_eq!(form(one), form(other));
        assert_eq!(form(one), b">\x03\0\0\0i\x05\0\0\0z\x02aaz\x02bb");
        // The object that another element refers to may come second now.
        let refers = b">\x02\0\0\0\xfa\x02zz)\x01r\0\0\0\0";
        assert_eq!(form(refers), b">\x02\0\0\0)\x01\xfa\x02zzr\0\0\0\0");
    }

    #[test]
    fn code_objects_stay_apart_and_can_be_renamed() {
        let inner = code(b")\0", b"z\x04x.py");
        let both = [b")\x02".as_slice(), &inner, &inner].concat();
        let outer = code(&both, b"z\x04x.py");
        let moved = Strip { filename: Some("a/b.py"), ..Strip::default() };
        let renamed = canonical(&outer, V, moved).unwrap();
        let count = |what: &[u8]| renamed.windows(what.len()).filter(|w| *w == what).count();
        assert_eq!((count(b"a/b.py"), count(b"x.py")), (1, 1), "each string once");
        assert_eq!(count(b"c\0\0\0\0"), 3);
        assert_eq!(canonical(&renamed, V, moved).unwrap(), renamed);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        assert_eq!(complaint(b""), "cut off at byte 0 of the marshalled code");
        assert_eq!(complaint(b"i\0\0"), "cut off at byte 1 of the marshalled code");
        assert_eq!(complaint(b"NN"), "bytes are left over at byte 1 of the marshalled code");
        assert_eq!(complaint(b"?"), "an unknown type at byte 1 of the marshalled code");
        assert_eq!(
            complaint(b"r\0\0\0\0"),
            "a reference to nothing at byte 5 of the marshalled code"
        );
        assert_eq!(
            complaint(b"\xa9\x01r\0\0\0\0"),
            "a reference to nothing at byte 7 of the marshalled code"
        );
        assert_eq!(
            complaint(b"s\xff\xff\xff\xff"),
            "a negative size at byte 5 of the marshalled code"
        );
        assert_eq!(complaint(b"(\xff\xff\xff\x7f"), "cut off at byte 5 of the marshalled code");
        assert_eq!(complaint(b"l\0\0\0\x80"), "cut off at byte 5 of the marshalled code");
    }

    #[test]
    fn bombs_are_refused() {
        let deep = b")\x01".repeat(100_000);
        assert!(complaint(&deep).starts_with("nested too deeply at byte "));
        // Each element holds the one before by reference: flat to read, deep to write.
        let mut chain = b">\x88\x13\0\0\xa9\0".to_vec();
        for i in 0..4999u32 {
            chain.extend(b"\xa9\x01r");
            chain.extend(i.to_le_bytes());
        }
        assert!(complaint(&chain).starts_with("nested too deeply at byte "));
        // Each element holds the one before twice.
        let mut doubling = b">\x64\0\0\0\xa9\0".to_vec();
        for i in 0..99u32 {
            doubling.extend(
                [b"\xa9\x02r".as_slice(), &i.to_le_bytes(), b"r", &i.to_le_bytes()].concat(),
            );
        }
        assert!(complaint(&doubling).starts_with("an element of a set is too large"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn noise_is_refused_or_has_a_canonical_form(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(),
                prop::sample::select(&b"NTr)(z>cis\x80\xa9\xda\xfa\0\x01\x02"[..]),
            ], 0..80),
            old in any::<bool>(),
        ) {
            let version = if old { (3, 10) } else { V };
            if let Ok(form) = canonical(&bytes, version, Strip::default()) {
                prop_assert_eq!(canonical(&form, version, Strip::default()), Ok(form));
            }
        }

        #[test]
        fn damaged_code_is_refused_or_has_a_canonical_form(
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let set = b">\x02\0\0\0\xda\x02zz)\x01r\0\0\0\0";
            let inner = code(set, b"\xfa\x04x.py");
            let mut bytes = code(&[b")\x02N".as_slice(), &inner].concat(), b"Z\x04main");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                if let Ok(form) = canonical(bytes, V, Strip::default()) {
                    prop_assert_eq!(canonical(&form, V, Strip::default()), Ok(form));
                }
            }
        }
    }
}
