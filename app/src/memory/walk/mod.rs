//! The walk: breadth first over everything that the roots reach, in a child of the application.
//!
//! Two arrays carry it: what was found, in order, and by whom. Everything before the head of the queue
//! has been asked for its references, so the parents are those on a shortest path. Whether an object
//! was seen is one bit for each place in memory where one can start. That is eight bytes for an object
//! and one bit for sixteen bytes of heap: about 9 MiB for a million objects.

pub mod check;
pub mod heap;
pub mod layout;
mod path;
pub mod process;
mod region;
pub mod roots;
mod send;

use heap::{Ref, Type};
use layout::Layout;
use region::Region;
use roots::{Root, Roots};
use send::Sender;

use crate::object::Obj;

pub use send::STEP;

/// The address of what a weak reference refers to.
pub fn referent(reference: &Obj) -> Option<usize> {
    heap::weakly(roots::live(reference)?).map(Ref::address)
}

/// The full name of what a weak reference refers to: its type's.
pub fn kind_of_referent(reference: &Obj) -> Option<String> {
    let kind = heap::weakly(roots::live(reference)?)?.kind();
    match (kind.module(), kind.qualname()) {
        (Some(module), Some(name)) if module.is("builtins") => Some(name.chars().collect()),
        (Some(module), Some(name)) => {
            Some(module.chars().chain(['.']).chain(name.chars()).collect())
        }
        _ => Some(String::from_utf8_lossy(kind.c_name()).into_owned()),
    }
}

/// No parent: a root.
const NOBODY: u32 = u32::MAX;

/// Containers of one kind that are told by name.
const LONGEST: usize = 96;

/// Shorter containers are not worth a line.
const LONG: usize = 64;

/// What the walk is asked for. Made before the fork; the child only reads it.
pub struct Task<'a> {
    pub roots: &'a Roots,
    pub layout: Layout,
    /// Types whose instances are looked for, by full name.
    pub types: &'a [String],
    /// Objects that are looked for, by address; sorted.
    pub objects: &'a [usize],
    /// Ends when as many were found.
    pub enough: usize,
    /// Paths of one type that are told; the others are counted.
    pub most_paths: usize,
    /// Memory of its own that the child may use, in bytes.
    pub budget: usize,
}

/// A type's line in the census.
#[derive(Clone, Copy)]
struct Counted {
    kind: usize,
    count: u32,
    told: u32,
    bytes: u64,
    wanted: bool,
}

/// A container that may be among the longest.
#[derive(Clone, Copy)]
struct Long {
    len: usize,
    found: u32,
}

struct Walk<'a> {
    task: &'a Task<'a>,
    seen: Seen,
    queue: Region<u32>,
    parents: Region<u32>,
    roots: Region<Root>,
    wanted: Region<u32>,
    types: Types,
    longest: Region<Long>,
    /// The budget was too small for all.
    cut: bool,
}

/// Walks, and tells what was found. None where memory was refused at the start.
fn walk(task: &Task<'_>, sender: &mut Sender) -> Option<()> {
    // Eight bytes for each object are four fifths of the budget; the rest is for the bits.
    let objects = (task.budget / 10).min(NOBODY as usize - 1);
    let mut walk = Walk {
        task,
        seen: Seen::new(task.budget / 6)?,
        queue: Region::with_capacity(objects)?,
        parents: Region::with_capacity(objects)?,
        roots: Region::with_capacity(1 << 16)?,
        wanted: Region::with_capacity(objects)?,
        types: Types::new()?,
        longest: Region::with_capacity(LONGEST)?,
        cut: false,
    };
    task.roots.each(&mut |root| walk.start(root));
    let mut head = 0;
    while head < walk.queue.len() && !walk.cut && walk.wanted.len() < task.enough {
        walk.ask(head as u32);
        head += 1;
    }
    walk.tell(sender);
    Some(())
}

impl Walk<'_> {
    fn start(&mut self, root: Root) {
        if self.roots.len() == self.queue.len() && self.found(root.object, NOBODY) {
            self.cut |= !self.roots.push(root);
        }
    }

    /// Asks an object what it references.
    fn ask(&mut self, index: u32) {
        let object = self.object(index);
        if object.is_frame() {
            let layout = self.task.layout;
            layout.each_local(object, &mut |_, value| {
                self.found(value, index);
            });
        }
        if object.is_container() {
            object.referents(&mut |child| {
                self.found(child, index);
            });
        } else if let Some(dict) = object.is_type().and_then(Type::dict) {
            // A static type: the collector does not ask it.
            self.found(dict, index);
        }
    }

    /// Counts an object when it is met for the first time; true if it was put into the queue.
    fn found(&mut self, object: Ref, parent: u32) -> bool {
        let Some(place) = self.seen.place(object) else {
            self.cut = true;
            return false;
        };
        if !self.seen.insert(place) {
            return false;
        }
        let bytes = object.bytes_used();
        let by_address = self.task.objects.binary_search(&object.address()).is_ok();
        let wanted = self.types.count(object.kind(), bytes, self.task.types);
        let is_static_type = object.is_type().is_some();
        if !wanted && !by_address && !is_static_type && !object.is_container() && parent != NOBODY {
            return false;
        }
        let index = self.queue.len() as u32;
        if !self.queue.push(self.seen.pack(place, object)) || !self.parents.push(parent) {
            self.cut = true;
            return false;
        }
        if wanted && self.types.told(object.kind()) as usize <= self.task.most_paths || by_address {
            self.wanted.push(index);
        }
        if let Some(len) = object.length(self.task.roots.deque) {
            self.long(Long { len, found: index });
        }
        true
    }

    fn long(&mut self, long: Long) {
        if long.len < LONG {
            return;
        }
        if self.longest.push(long) {
            return;
        }
        if let Some(least) = self.longest.iter_mut().min_by_key(|other| other.len)
            && least.len < long.len
        {
            *least = long;
        }
    }

    fn object(&self, index: u32) -> Ref {
        self.seen.unpack(self.queue[index as usize])
    }

    fn parent(&self, index: u32) -> Option<u32> {
        Some(self.parents[index as usize]).filter(|parent| *parent != NOBODY)
    }

    fn tell(&mut self, sender: &mut Sender) {
        for counted in self.types.table.iter().filter(|counted| counted.kind != 0) {
            sender.begin('T');
            // SAFETY: the address of a type that was counted.
            if let Some(kind) = unsafe { Ref::new(counted.kind as *mut _) }.and_then(Ref::is_type) {
                send::type_name(sender, kind);
            }
            sender.number(u64::from(counted.count));
            sender.number(counted.bytes);
            sender.end();
        }
        let mut namer = path::Namer::new(self.task.layout);
        for Long { len, found } in self.longest.iter().copied() {
            sender.begin('C');
            send::type_name(sender, self.object(found).kind());
            sender.number(len as u64);
            sender.separator();
            namer.path(self, found, sender);
            sender.end();
        }
        for at in 0..self.wanted.len() {
            let index = self.wanted[at];
            let object = self.object(index);
            let by_address = self.task.objects.binary_search(&object.address()).is_ok();
            sender.begin('H');
            send::type_name(sender, object.kind());
            sender.number(object.bytes_used() as u64);
            sender.number(if by_address { object.address() as u64 } else { 0 });
            sender.separator();
            namer.path(self, index, sender);
            sender.end();
        }
        sender.begin('E');
        sender.number(self.queue.len() as u64);
        sender.number(self.memory() as u64);
        sender.number(u64::from(self.cut));
        sender.end();
    }

    /// What the walk took for itself, in bytes.
    fn memory(&self) -> usize {
        (self.queue.len() + self.parents.len() + self.wanted.len()) * 4
            + size_of_val(&*self.seen.bits)
            + size_of_val(&*self.types.table)
    }
}

/// Types by address: open addressing, in memory that is touched as it is used.
struct Types {
    table: Region<Counted>,
    used: usize,
    /// What was counted last is often what comes next.
    last: usize,
}

impl Types {
    /// Slots; applications have some thousand types.
    const SLOTS: usize = 1 << 15;

    fn new() -> Option<Types> {
        let mut table = Region::with_capacity(Types::SLOTS)?;
        // SAFETY: zeros are a `Counted` that stands for an empty slot.
        unsafe { table.zeroed(Types::SLOTS) };
        Some(Types { table, used: 0, last: 0 })
    }

    /// The slot of a type; an empty one if it is new. None where there are too many types.
    fn slot(&self, kind: Type) -> Option<usize> {
        if self.table[self.last].kind == kind.address() {
            return Some(self.last);
        }
        let mut at = (kind.address() >> 4).wrapping_mul(0x9e37_79b1) >> 7;
        loop {
            at &= Types::SLOTS - 1;
            match self.table[at].kind {
                0 if self.used > Types::SLOTS / 2 => return None,
                0 => return Some(at),
                found if found == kind.address() => return Some(at),
                _ => at += 1,
            }
        }
    }

    /// Counts an object of a type; whether its instances are wanted.
    fn count(&mut self, kind: Type, bytes: usize, names: &[String]) -> bool {
        let Some(at) = self.slot(kind) else { return false };
        self.last = at;
        if self.table[at].kind == 0 {
            self.used += 1;
            self.table[at].kind = kind.address();
            self.table[at].wanted = names.iter().any(|name| send::is_named(kind, name));
        }
        let counted = &mut self.table[at];
        counted.count = counted.count.saturating_add(1);
        counted.bytes += bytes as u64;
        counted.wanted
    }

    /// The how manieth path of this type is told.
    fn told(&mut self, kind: Type) -> u32 {
        let Some(at) = self.slot(kind) else { return 0 };
        self.table[at].told += 1;
        self.table[at].told
    }
}

/// One bit for each place where an object can start.
struct Seen {
    bits: Region<u64>,
    /// Chunk of the address space -> its number, open addressing; numbers start with 1.
    numbers: Region<(usize, u32)>,
    /// Number -> chunk.
    chunks: Region<usize>,
    last: (usize, u32),
}

/// Two objects never start in the same granule: this is the size of the smallest one.
const GRANULE: usize = 2 * heap::WORD;
const CHUNK: usize = 1 << 20;
const IN_CHUNK: usize = CHUNK / GRANULE;

/// The place of an object: number of the granule.
type Place = u32;

impl Seen {
    const SLOTS: usize = 1 << 16;

    fn new(budget: usize) -> Option<Seen> {
        // The place and one more bit make a queue's entry.
        let most = (budget / (IN_CHUNK / 8)).clamp(64, (1 << 31) / IN_CHUNK - 1);
        let mut numbers = Region::with_capacity(Seen::SLOTS)?;
        // SAFETY: zeros are an empty slot.
        unsafe { numbers.zeroed(Seen::SLOTS) };
        Some(Seen {
            bits: Region::with_capacity(most.min(Seen::SLOTS / 2) * (IN_CHUNK / 64))?,
            numbers,
            chunks: Region::with_capacity(Seen::SLOTS / 2)?,
            last: (0, 0),
        })
    }

    /// None where the budget is used up.
    fn place(&mut self, object: Ref) -> Option<Place> {
        let chunk = object.address() / CHUNK;
        if self.last != (chunk, self.last.1) || self.last.1 == 0 {
            self.last = (chunk, self.number(chunk)?);
        }
        Some(((self.last.1 as usize - 1) * IN_CHUNK + object.address() % CHUNK / GRANULE) as u32)
    }

    fn number(&mut self, chunk: usize) -> Option<u32> {
        let mut at = chunk.wrapping_mul(0x9e37_79b1) >> 3;
        loop {
            at &= Seen::SLOTS - 1;
            match self.numbers[at] {
                (found, number) if number != 0 && found == chunk => return Some(number),
                (_, 0) => break,
                _ => at += 1,
            }
        }
        let number = self.chunks.len() as u32 + 1;
        let room = self.bits.grow(number as usize * (IN_CHUNK / 64), 0);
        if !room || !self.chunks.push(chunk) {
            return None;
        }
        self.numbers[at] = (chunk, number);
        Some(number)
    }

    /// False if it was there.
    fn insert(&mut self, place: Place) -> bool {
        let (word, bit) = (place as usize / 64, 1 << (place % 64));
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }

    /// Objects that lie in the program may start in the middle of a granule.
    fn pack(&self, place: Place, object: Ref) -> u32 {
        place << 1 | u32::from(!object.address().is_multiple_of(GRANULE))
    }

    fn unpack(&self, packed: u32) -> Ref {
        let (place, half) = ((packed >> 1) as usize, (packed & 1) as usize);
        let address =
            self.chunks[place / IN_CHUNK] * CHUNK + place % IN_CHUNK * GRANULE + half * heap::WORD;
        // SAFETY: the address of an object that was found.
        unsafe { Ref::new(address as *mut _) }.expect("objects are not at zero")
    }
}
