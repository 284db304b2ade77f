//! Where the walk starts: what is alive because the interpreter holds it, not because of an object.

use pyo3_ffi as ffi;

use super::heap::{self, Ref, Type};
use crate::object::{Obj, Raised, import};

/// Frames of one thread that are looked at: deep recursion is not what holds memory.
const MOST_FRAMES: usize = 256;

/// What roots are found by, gathered before the fork with the GIL held.
pub struct Roots {
    /// The dict of modules, or one module alone.
    modules: Obj,
    /// Frames that run, of all threads. Keeps them until the walk has started.
    frames: Vec<Obj>,
    /// Sets of asyncio's tasks.
    tasks: Vec<Obj>,
    /// The interpreter's own dict, for extension modules.
    interpreter: Option<Obj>,
    /// `collections.deque`, if it is there.
    pub deque: Option<Type>,
}

/// A place where the walk starts.
#[derive(Clone, Copy)]
pub struct Root {
    pub object: Ref,
    pub name: RootName,
}

#[derive(Clone, Copy)]
pub enum RootName {
    /// By its name in `sys.modules`.
    Module(Ref),
    /// By the function that runs.
    Frame,
    /// By the coroutine.
    Task,
    Fixed(&'static str),
}

impl Roots {
    /// Everything.
    pub fn all() -> Option<Roots> {
        // SAFETY: the GIL is held: what is returned is borrowed, or null.
        let (modules, interpreter) = unsafe {
            let modules = Obj::borrowed(ffi::PyImport_GetModuleDict()).ok()?;
            let interpreter =
                Obj::borrowed(ffi::PyInterpreterState_GetDict(ffi::PyInterpreterState_Get()));
            (modules, interpreter.ok())
        };
        let tasks = task_sets().unwrap_or_default();
        Some(Roots { frames: frames(), tasks, interpreter, deque: deque(), modules })
    }

    /// One module, by a dict that has it alone, for the self-test.
    pub fn only(modules: Obj) -> Roots {
        let empty = Vec::new();
        Roots { modules, frames: empty, tasks: Vec::new(), interpreter: None, deque: deque() }
    }

    /// Each root in turn: modules come first, so that of two paths of one length theirs is told.
    pub fn each(&self, each: &mut dyn FnMut(Root)) {
        let mut position = 0;
        let modules = live(&self.modules);
        while let Some((name, object)) = modules.and_then(|dict| dict.entry(&mut position)) {
            each(Root { object, name: RootName::Module(name) });
        }
        for object in self.frames.iter().filter_map(live) {
            each(Root { object, name: RootName::Frame });
        }
        for set in self.tasks.iter().filter_map(live) {
            set.referents(&mut |reference| {
                let weak = heap::is_weak(reference);
                let task = if weak { heap::weakly(reference) } else { Some(reference) };
                // A task that is done is no reason for anything to live: something else holds it.
                let over = task.and_then(heap::task_coroutine).is_some_and(heap::is_over);
                if let Some(object) = task.filter(|_| !over) {
                    each(Root { object, name: RootName::Task });
                }
            });
        }
        if let Some(object) = self.interpreter.as_ref().and_then(live) {
            each(Root { object, name: RootName::Fixed("<interpreter>") });
        }
    }
}

/// The sets that hold weak references to asyncio's tasks, and to those that run eagerly, the tasks
/// themselves. None where asyncio has not been imported; this does not.
pub fn task_sets() -> Option<Vec<Obj>> {
    // SAFETY: the GIL is held; what is returned is borrowed, or null.
    let modules = unsafe { Obj::borrowed(ffi::PyImport_GetModuleDict()) }.ok()?;
    let asyncio = live(&modules)?.value("asyncio.tasks").and_then(heap::module_dict)?;
    // `_all_tasks` was its name until 3.11.
    let names = ["_scheduled_tasks", "_eager_tasks", "_all_tasks"];
    let sets = names.iter().filter_map(|name| {
        // SAFETY: an object that a module holds.
        let set = unsafe { Obj::borrowed(asyncio.value(name)?.address() as *mut _) }.ok()?;
        let inner = set.attr("data").map_err(Raised::forget).ok();
        inner.or(Some(set)).filter(|set| live(set).is_some_and(Ref::is_set))
    });
    Some(sets.collect())
}

/// Looks at an object that is kept alive.
pub fn live(object: &Obj) -> Option<Ref> {
    // SAFETY: `object` is a reference, and it outlives the walk: the child has a copy of all.
    unsafe { Ref::new(object.as_ptr()) }
}

fn deque() -> Option<Type> {
    // Imported before anything else runs, in every application: this only looks it up.
    let deque = import("_collections").and_then(|module| module.attr("deque"));
    live(&deque.map_err(Raised::forget).ok()?)?.is_type()
}

fn frames() -> Vec<Obj> {
    let mut frames = Vec::new();
    // SAFETY: the GIL is held, so no thread comes or goes; frames are new references.
    unsafe {
        let mut thread = ffi::PyInterpreterState_ThreadHead(ffi::PyInterpreterState_Get());
        while !thread.is_null() {
            let mut frame = Obj::owned(ffi::PyThreadState_GetFrame(thread).cast()).ok();
            for _ in 0..MOST_FRAMES {
                let Some(this) = frame else { break };
                frame = Obj::owned(ffi::PyFrame_GetBack(this.as_ptr().cast()).cast()).ok();
                frames.push(this);
            }
            thread = ffi::PyThreadState_Next(thread);
        }
    }
    frames
}
