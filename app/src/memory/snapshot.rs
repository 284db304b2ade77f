//! A snapshot: what is in memory and who holds it, without stopping the application for longer than a
//! fork takes. A child walks through its copy of the heap ([`super::walk`]) and tells what it finds; a
//! thread reads that.

use std::io::{BufRead, BufReader};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::before::Before;
use super::census::{Census, Container, Count};
use super::holders::Holders;
use super::json::Object;
use super::walk::layout::Layout;
use super::walk::process::Child;
use super::walk::roots::Roots;
use super::walk::{self, STEP, Task};
use crate::object::{self, Obj, Py, function, import};

/// What a snapshot is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Types whose instances are looked for, by full name.
    pub types: Vec<String>,
    /// Addresses of objects that are looked for.
    pub objects: Vec<usize>,
    /// Ends when as many were found.
    pub enough: usize,
    /// Paths that are told for one type.
    pub most_paths: usize,
    /// Bytes that the child may take for itself. A larger heap is told in part: what is nearest to the roots.
    pub budget: usize,
    /// Seconds until the child is ended.
    pub seconds: u32,
    /// The child's niceness: how far it stands back behind others.
    pub nice: i32,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            types: Vec::new(),
            objects: Vec::new(),
            enough: usize::MAX,
            most_paths: 10_000,
            budget: 16 << 20,
            seconds: 60,
            nice: 10,
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the fork was.
    pub taken: Instant,
    /// For how long the application stood still.
    pub pause: Duration,
    /// From the fork to the child's last word.
    pub took: Duration,
    /// Objects that the walk passed.
    pub objects: u64,
    /// Bytes that the child took for its work.
    pub memory: u64,
    /// Whether the budget was enough for everything.
    pub complete: bool,
    /// Whether paths can be told: the self-test has passed.
    pub paths: bool,
    /// What there is.
    pub census: Census,
    /// Who holds what was looked for.
    pub holders: Holders,
    /// Types whose instances were looked for.
    pub sought: Vec<String>,
    /// Objects that were looked for by address and that no root reaches: cyclic garbage, or held by C code.
    pub unreached: Vec<usize>,
}

/// A snapshot that is being taken. Dropped, it ends.
pub struct Running {
    child: Child,
    snapshot: Snapshot,
}

/// Takes a snapshot. Called with the GIL held; the first one runs the self-test.
pub fn start(request: &Request) -> Result<Running, String> {
    let layout = walk::check::layout();
    let began = Instant::now();
    let roots = Roots::all().ok_or("the interpreter has no modules")?;
    match layout {
        Some(layout) => Running::begin(request, &roots, layout, began, true),
        None => {
            let counts = Request { types: Vec::new(), objects: Vec::new(), ..request.clone() };
            Running::begin(&counts, &roots, Layout::default(), began, false)
        }
    }
}

impl Running {
    /// Takes a snapshot from roots of one's own.
    pub fn start(request: &Request, roots: &Roots, layout: Layout) -> Result<Running, String> {
        Running::begin(request, roots, layout, Instant::now(), true)
    }

    fn begin(
        request: &Request,
        roots: &Roots,
        layout: Layout,
        began: Instant,
        paths: bool,
    ) -> Result<Running, String> {
        let mut objects = request.objects.clone();
        objects.sort_unstable();
        objects.dedup();
        let task = Task {
            roots,
            layout,
            types: &request.types,
            objects: &objects,
            enough: request.enough,
            most_paths: request.most_paths,
            budget: request.budget,
        };
        let child = Child::start(&task, request.seconds, request.nice).map_err(|error| {
            format!("no process to look through memory can be started: {error}")
        })?;
        let mut snapshot = Snapshot::empty(began, began.elapsed(), paths);
        snapshot.unreached = objects;
        snapshot.sought.clone_from(&request.types);
        Ok(Running { child, snapshot })
    }

    /// What ends the child from another thread.
    pub fn child(&self) -> walk::process::Handle {
        self.child.handle()
    }

    /// Reads what the child says until its end; needs no GIL.
    pub fn finish(self) -> Result<Snapshot, String> {
        let Running { mut child, mut snapshot } = self;
        let mut ended = false;
        for line in BufReader::new(&mut child.output).split(b'\n') {
            let Ok(line) = line else { break };
            ended |= snapshot.line(&String::from_utf8_lossy(&line)).unwrap_or(false);
        }
        child.reap()?;
        if !ended {
            return Err(
                "the process that looked through memory said less than it should".to_owned()
            );
        }
        snapshot.took = snapshot.taken.elapsed();
        snapshot.census.containers.sort_by_key(|container| std::cmp::Reverse(container.len));
        Ok(snapshot)
    }

    /// [`Running::finish`] with the GIL held, which is released meanwhile.
    pub fn wait(self) -> Result<Snapshot, String> {
        object::released(|| self.finish())
    }
}

impl Snapshot {
    /// Of which nothing has been read yet.
    pub fn empty(taken: Instant, pause: Duration, paths: bool) -> Snapshot {
        Snapshot {
            taken,
            pause,
            took: Duration::ZERO,
            objects: 0,
            memory: 0,
            complete: false,
            paths,
            census: Census::default(),
            holders: Holders::default(),
            sought: Vec::new(),
            unreached: Vec::new(),
        }
    }

    /// Takes in a line of the child's; true for the last one.
    fn line(&mut self, line: &str) -> Option<bool> {
        let mut fields = line.split('\t');
        let kind = fields.next()?;
        if kind == "E" {
            fields.next()?;
            let mut number = || fields.next()?.parse::<u64>().ok();
            self.objects = number()?;
            self.memory = number()?;
            self.complete = number()? == 0;
            return Some(true);
        }
        let name = fields.next()?;
        let number = fields.next()?.parse::<u64>().ok()?;
        let rest = fields.next()?;
        match kind {
            "T" => self.census.add(name, Count { count: number, bytes: rest.parse().ok()? }),
            "C" => self.census.containers.push(Container {
                kind: name.to_owned(),
                len: number,
                path: if self.paths { rest.replace(STEP, "") } else { String::new() },
            }),
            "H" => {
                let address = rest.parse().ok()?;
                let steps: Vec<&str> = fields.next()?.split(STEP).collect();
                self.unreached.retain(|object| *object != address);
                self.holders.add(name, number, address, &steps);
            }
            _ => return None,
        }
        Some(false)
    }

    /// As JSON; beside an earlier snapshot with what has grown since. Each list has at most so many items.
    pub fn json(&self, before: Option<&Before>, most: usize) -> Object {
        let types = self.census.largest().into_iter().take(most).map(|(kind, count)| {
            let object = Object::new().text("type", kind);
            object.number("count", count.count).number("bytes", count.bytes)
        });
        let containers = self.census.containers.iter().take(most).map(|container| {
            let object = Object::new().text("type", &container.kind);
            let object = object.number("length", container.len).text("path", &container.path);
            match before.and_then(|before| before.grown(container)) {
                Some(grown) => object.number("grown", grown),
                None => object,
            }
        });
        let holders = self.holders.groups().take(most).map(|group| {
            let of = self.census.types.get(&group.kind).copied().unwrap_or_default().count;
            let object = Object::new()
                .text("type", &group.kind)
                .text("signature", &group.signature())
                .text("example", &group.example())
                .number("count", group.count)
                .number("of", of)
                .number("bytes", group.bytes);
            match before.and_then(|before| before.rate(group, self.taken)) {
                Some(rate) => object.decimal("per_hour", rate),
                None => object,
            }
        });
        let json = Object::new()
            .number("pause_us", self.pause.as_micros())
            .number("took_ms", self.took.as_millis())
            .number("objects", self.objects)
            .number("memory", self.memory)
            .number("complete", self.complete)
            .number("paths", self.paths)
            .list("types", types)
            .list("containers", containers)
            .list("holders", holders);
        let json = match before {
            Some(before) => {
                let since = self.taken.duration_since(before.taken).as_secs_f64();
                let grown = before.growth(&self.census).into_iter().take(most).map(|growth| {
                    let object = Object::new().text("type", &growth.kind);
                    object.number("count", growth.count).number("bytes", growth.bytes)
                });
                json.decimal("since_seconds", since).list("grown", grown)
            }
            None => json,
        };
        json.number("unreached", self.unreached.len())
    }

    /// Classes of which there are more than there were, the fastest first: what grows of the built-in types
    /// is in them.
    pub fn fastest(&self, before: &Before) -> Vec<String> {
        let growth = before.growth(&self.census).into_iter().map(|growth| growth.kind);
        growth.filter(|kind| kind.contains('.')).take(FASTEST).collect()
    }
}

/// Items of each list that `snapshot()` tells.
const TOLD: usize = 100;

/// Classes of which instances are looked for where nobody says which.
const FASTEST: usize = 8;

/// The last snapshot that the application took, and the classes that had grown most by then.
static BEFORE: Mutex<Option<(Before, Vec<String>)>> = Mutex::new(None);

/// Offers what the package `pyrmware` asks for.
///
/// # Errors
/// An exception is set.
pub fn install() -> Py<()> {
    let native = import("_pyrmware")?;
    native.set_attr("snapshot", &function!("snapshot", python, &native)?)
}

/// `snapshot(types, references)`: a snapshot as JSON. `types` are full names, `references` weak
/// references to objects that are looked for. With neither, instances of the classes that had grown
/// fastest between the two snapshots before are.
fn python(args: &[Obj]) -> Py {
    let mut request = Request::default();
    for (at, arg) in args.iter().enumerate() {
        for item in arg.items()? {
            match at {
                0 => request.types.push(item.to_str()?.to_owned()),
                _ => request.objects.extend(walk::referent(&item)),
            }
        }
    }
    let before = || BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let earlier = before().take();
    if request.types.is_empty()
        && request.objects.is_empty()
        && let Some((_, fastest)) = &earlier
    {
        request.types.clone_from(fastest);
    }
    let taken = start(&request).and_then(Running::wait);
    let snapshot = taken.map_err(|why| object::runtime_error(&why))?;
    let earlier = earlier.map(|(before, _)| before);
    let fastest = earlier.as_ref().map(|before| snapshot.fastest(before)).unwrap_or_default();
    *before() = Some((Before::of(&snapshot), fastest));
    Obj::str(&snapshot.json(earlier.as_ref(), TOLD).end())
}
