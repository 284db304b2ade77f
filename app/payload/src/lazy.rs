//! The table of a module's lazy bindings, which follows its code in the same file.
//!
//! A `.pyc` of a payload has its usual header, whose last eight bytes (elsewhere a hash of the source)
//! are the offset of this table in the file, or zero, and four zero bytes. Whoever reads the file as a
//! `.pyc` sees the code object only: what follows it is ignored.
//!
//! All numbers are little-endian `u32`; offsets count from the table's start.
//!
//! | part | content |
//! |---|---|
//! | count | number of names |
//! | names, 20 bytes each | offset and length of the name, line of the statement, offset and length of its marshalled code; sorted by name |
//! | the rest | names and code; several names may share one code |

use crate::reader::u32_at;

const COUNT: usize = 4;
const RECORD: usize = 20;
/// Length of a `.pyc`'s header.
pub const PYC_HEADER: usize = 16;
/// Where the header has the table's offset.
const PYC_TABLE: usize = 8;

/// A module-level name that is bound when it is first asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The name.
    pub name: &'a str,
    /// 1-based line of the statement that binds it.
    pub line: u32,
    /// The statement's marshalled code object.
    pub code: &'a [u8],
    /// Offset of the code, which tells the statements of a module from each other.
    pub at: u32,
}

/// A table in place.
#[derive(Debug, Clone, Copy)]
pub struct LazyTable<'a> {
    /// Count, records and names.
    index: &'a [u8],
    /// Where the code is: the same bytes, but for encrypted modules.
    code: &'a [u8],
}

impl<'a> LazyTable<'a> {
    /// The table of a `.pyc`; none where every binding is made by the module's code.
    pub fn of_pyc(pyc: &'a [u8]) -> Option<LazyTable<'a>> {
        let offset = u32_at(pyc, PYC_TABLE) as usize;
        if offset < PYC_HEADER { None } else { pyc.get(offset..).map(LazyTable::alone) }
    }

    /// A table by itself; see [`table`].
    pub fn alone(bytes: &'a [u8]) -> LazyTable<'a> {
        LazyTable { index: bytes, code: bytes }
    }

    /// A table whose code lies elsewhere.
    pub(crate) fn apart(index: &'a [u8], code: &'a [u8]) -> LazyTable<'a> {
        LazyTable { index, code }
    }

    /// Length in bytes, with the code.
    #[cfg(feature = "writer")]
    pub(crate) fn bytes(&self) -> usize {
        self.index.len()
    }

    /// The same table for code that lies elsewhere: `place` is told where each code will be,
    /// and the code, and gives the length that it has there.
    #[cfg(feature = "writer")]
    pub(crate) fn split(&self, mut place: impl FnMut(u32, &[u8]) -> usize) -> Vec<u8> {
        let mut places = std::collections::BTreeMap::new();
        let mut end = 0;
        let mut table = number(self.len()).to_vec();
        let mut names = COUNT + self.len() * RECORD;
        for binding in self.iter() {
            // An empty one begins where the next does.
            let known = (binding.code.as_ptr(), binding.code.len());
            let (start, length) = *places.entry(known).or_insert_with(|| {
                let length = place(u32::from_le_bytes(number(end)), binding.code);
                end += length;
                (end - length, length)
            });
            let fields = [names, binding.name.len(), binding.line as usize, start, length];
            table.extend(fields.into_iter().flat_map(number));
            names += binding.name.len();
        }
        self.iter().for_each(|binding| table.extend_from_slice(binding.name.as_bytes()));
        table
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        // A count that lies ends where the bytes end.
        (u32_at(self.index, 0) as usize).min(self.index.len().saturating_sub(COUNT) / RECORD)
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What binds this name.
    pub fn get(&self, name: &str) -> Option<Binding<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.at(middle)?;
            match found.name.as_bytes().cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(found),
            }
        }
        None
    }

    /// Every name, sorted.
    pub fn iter(&self) -> impl Iterator<Item = Binding<'a>> + use<'a> {
        let this = *self;
        (0..this.len()).filter_map(move |index| this.at(index))
    }

    fn at(&self, index: usize) -> Option<Binding<'a>> {
        let record = COUNT + index * RECORD;
        let part = |of: &'a [u8], at: usize| {
            let start = u32_at(self.index, at) as usize;
            of.get(start..start.checked_add(u32_at(self.index, at + 4) as usize)?)
        };
        Some(Binding {
            name: std::str::from_utf8(part(self.index, record)?).ok()?,
            line: u32_at(self.index, record + 8),
            code: part(self.code, record + 12)?,
            at: u32_at(self.index, record + 12),
        })
    }
}

/// A statement to be run when one of its names is first asked for.
#[cfg(feature = "writer")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// The names that it binds.
    pub names: Vec<String>,
    /// 1-based line.
    pub line: u32,
    /// Its marshalled code object.
    pub code: Vec<u8>,
}

/// Appends a table to a complete `.pyc`.
///
/// # Panics
/// If the file would have more than 4 GiB.
#[cfg(feature = "writer")]
pub fn append_table(pyc: &mut Vec<u8>, deferred: &[Deferred]) {
    let start = number(pyc.len());
    pyc[PYC_TABLE..PYC_TABLE + 4].copy_from_slice(&start);
    pyc[PYC_TABLE + 4..PYC_HEADER].fill(0);
    pyc.extend(table(deferred));
}

/// A table by itself.
///
/// # Panics
/// If it would have more than 4 GiB.
#[cfg(feature = "writer")]
pub fn table(deferred: &[Deferred]) -> Vec<u8> {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for (index, statement) in deferred.iter().enumerate() {
        names.extend(statement.names.iter().map(|name| (name.as_str(), index)));
    }
    names.sort_unstable();

    let mut heap = COUNT + names.len() * RECORD;
    let mut place = |bytes: &[u8]| {
        heap += bytes.len();
        heap - bytes.len()
    };
    let codes: Vec<usize> = deferred.iter().map(|statement| place(&statement.code)).collect();
    let mut table = number(names.len()).to_vec();
    for (name, index) in &names {
        let Deferred { line, code, .. } = &deferred[*index];
        let name = [place(name.as_bytes()), name.len()];
        let fields = [name[0], name[1], *line as usize, codes[*index], code.len()];
        table.extend(fields.into_iter().flat_map(number));
    }
    for statement in deferred {
        table.extend_from_slice(&statement.code);
    }
    for (name, _) in &names {
        table.extend_from_slice(name.as_bytes());
    }
    table
}

#[cfg(feature = "writer")]
fn number(n: usize) -> [u8; 4] {
    u32::try_from(n).expect("a payload's file has less than 4 GiB").to_le_bytes()
}
