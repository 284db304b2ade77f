//! A snapshot: what is in memory and who holds it, without stopping the application for longer than a
//! fork takes. A child walks through its copy of the heap ([`super::walk`]) and tells what it finds; a
//! thread reads that.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::census::{Census, Container, Count};
use super::holders::Holders;
use super::walk::layout::Layout;
use super::walk::process::{Blocked, Child};
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
    /// Objects that were looked for by address and that no root reaches: cyclic garbage, or held by C code.
    pub unreached: Vec<usize>,
}

/// A snapshot that is being taken.
pub struct Reader {
    thread: JoinHandle<Result<Snapshot, String>>,
}

/// Takes a snapshot. Called with the GIL held; the first one runs the self-test.
pub fn start(request: &Request) -> Result<Reader, String> {
    let layout = walk::check::layout();
    let began = Instant::now();
    let roots = Roots::all().ok_or("the interpreter has no modules")?;
    match layout {
        Some(layout) => Reader::begin(request, &roots, layout, began, true),
        None => {
            let counts = Request { types: Vec::new(), objects: Vec::new(), ..request.clone() };
            Reader::begin(&counts, &roots, Layout::default(), began, false)
        }
    }
}

impl Reader {
    /// Takes a snapshot from roots of one's own.
    pub fn start(request: &Request, roots: &Roots, layout: Layout) -> Result<Reader, String> {
        Reader::begin(request, roots, layout, Instant::now(), true)
    }

    fn begin(
        request: &Request,
        roots: &Roots,
        layout: Layout,
        began: Instant,
        paths: bool,
    ) -> Result<Reader, String> {
        let mut objects = request.objects.clone();
        objects.sort_unstable();
        let task = Task {
            roots,
            layout,
            types: &request.types,
            objects: &objects,
            enough: request.enough,
            most_paths: request.most_paths,
            budget: request.budget,
        };
        let child = Child::start(&task, request.seconds).map_err(|error| {
            format!("no process to look through memory can be started: {error}")
        })?;
        let pause = began.elapsed();
        let signals = Blocked::new();
        let thread = std::thread::Builder::new()
            .name("pyrmware-snapshot".to_owned())
            .stack_size(128 << 10)
            .spawn(move || read(child, objects, began, pause, paths))
            .map_err(|error| format!("no thread to read a snapshot can be started: {error}"))?;
        drop(signals);
        Ok(Reader { thread })
    }

    /// The snapshot, once it is there. The GIL is released meanwhile.
    pub fn wait(self) -> Result<Snapshot, String> {
        let joined = object::released(|| self.thread.join());
        joined.unwrap_or_else(|_| Err("reading the snapshot failed".to_owned()))
    }
}

fn read(
    mut child: Child,
    unreached: Vec<usize>,
    taken: Instant,
    pause: Duration,
    paths: bool,
) -> Result<Snapshot, String> {
    let mut snapshot = Snapshot {
        taken,
        pause,
        took: Duration::ZERO,
        objects: 0,
        memory: 0,
        complete: false,
        paths,
        census: Census::default(),
        holders: Holders::default(),
        unreached,
    };
    let mut ended = false;
    for line in BufReader::new(&mut child.output).split(b'\n') {
        let Ok(line) = line else { break };
        ended |= snapshot.line(&String::from_utf8_lossy(&line)).unwrap_or(false);
    }
    child.reap()?;
    if !ended {
        return Err("the process that looked through memory said less than it should".to_owned());
    }
    snapshot.took = taken.elapsed();
    snapshot.census.containers.sort_by_key(|container| std::cmp::Reverse(container.len));
    Ok(snapshot)
}

impl Snapshot {
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

    /// As JSON; beside an earlier snapshot with what has grown since.
    pub fn json(&self, earlier: Option<&Snapshot>) -> String {
        let mut json = String::from("{");
        let _ = write!(
            json,
            "\"pause_us\":{},\"took_ms\":{},\"objects\":{},\"memory\":{},\"complete\":{},\"paths\":{}",
            self.pause.as_micros(),
            self.took.as_millis(),
            self.objects,
            self.memory,
            self.complete,
            self.paths
        );
        let types = self.census.largest().into_iter().take(TOLD).map(|(kind, count)| {
            format!(
                "{{\"type\":{},\"count\":{},\"bytes\":{}}}",
                quoted(kind),
                count.count,
                count.bytes
            )
        });
        array(&mut json, "types", types);
        let containers = self.census.containers.iter().map(|container| {
            let Container { kind, len, path } = container;
            format!("{{\"type\":{},\"length\":{len},\"path\":{}}}", quoted(kind), quoted(path))
        });
        array(&mut json, "containers", containers);
        let holders = self.holders.groups().take(TOLD).map(|group| {
            let rate = earlier.map_or_else(String::new, |earlier| {
                let since = self.taken.duration_since(earlier.taken);
                let rate = self.holders.rate(group, &earlier.holders, since);
                format!(",\"per_hour\":{rate:.1}")
            });
            let of = self.census.types.get(&group.kind).copied().unwrap_or_default().count;
            format!(
                "{{\"type\":{},\"signature\":{},\"example\":{},\"count\":{},\"of\":{of},\"bytes\":{}{rate}}}",
                quoted(&group.kind),
                quoted(&group.signature()),
                quoted(&group.example()),
                group.count,
                group.bytes,
            )
        });
        array(&mut json, "holders", holders);
        if let Some(earlier) = earlier {
            let since = self.taken.duration_since(earlier.taken).as_secs_f64();
            let _ = write!(json, ",\"since_seconds\":{since:.3}");
            let grown = self.census.growth(&earlier.census).into_iter().take(TOLD).map(|growth| {
                let kind = quoted(&growth.kind);
                format!("{{\"type\":{kind},\"count\":{},\"bytes\":{}}}", growth.count, growth.bytes)
            });
            array(&mut json, "grown", grown);
        }
        let _ = write!(json, ",\"unreached\":{}}}", self.unreached.len());
        json
    }
}

/// Lines of each kind that a report has.
const TOLD: usize = 100;

fn array(json: &mut String, name: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    let _ = write!(json, ",\"{name}\":[{}]", items.join(","));
}

fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            char if char.is_control() => {
                let _ = write!(json, "\\u{:04x}", char as u32);
            }
            char => json.push(char),
        }
    }
    json + "\""
}

/// What the next snapshot is compared with.
struct Before {
    snapshot: Snapshot,
    /// Classes that had grown most by then.
    fastest: Vec<String>,
}

static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

/// Classes of which instances are looked for where nobody says which.
const FASTEST: usize = 8;

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
        && let Some(earlier) = &earlier
    {
        request.types.clone_from(&earlier.fastest);
    }
    let taken = start(&request).and_then(Reader::wait);
    let snapshot = taken.map_err(|why| object::runtime_error(&why))?;
    let earlier = earlier.map(|earlier| earlier.snapshot);
    let json = snapshot.json(earlier.as_ref());
    let growth = earlier.map(|earlier| snapshot.census.growth(&earlier.census)).unwrap_or_default();
    // Classes of modules: what grows of the built-in types is in them.
    let classes = growth.into_iter().map(|growth| growth.kind).filter(|kind| kind.contains('.'));
    *before() = Some(Before { fastest: classes.take(FASTEST).collect(), snapshot });
    Obj::str(&json)
}
