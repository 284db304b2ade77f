//! What people call the way from a root to an object: names of attributes, keys and variables.

use super::heap::{self, Ref};
use super::layout::Layout;
use super::roots::RootName;
use super::send::{self, STEP, Sender};
use super::{NOBODY, Walk};

/// Of longer paths the first and the last nodes are told.
const LONGEST: usize = FIRST + LAST;
const FIRST: usize = 32;
const LAST: usize = 12;

/// What the next step stands in.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// Nothing special.
    Object,
    /// A task that was named by its coroutine.
    Task,
    /// The names of a module, class or instance: keys are attributes.
    Names,
    /// The cells of a function with this code.
    Closure(Option<Ref>),
    /// A cell whose variable was named.
    Variable,
    /// A thread-local's tables, which end in a dict of names.
    Local,
}

/// Names steps; keeps where it was in a dict, so that the next of its values is found at once.
pub struct Namer {
    layout: Layout,
    cursors: [(usize, isize); 64],
}

impl Namer {
    pub fn new(layout: Layout) -> Namer {
        Namer { layout, cursors: [(0, 0); 64] }
    }

    /// Sends the shortest path to what was found as number `index`.
    pub fn path(&mut self, walk: &Walk<'_>, index: u32, sender: &mut Sender) {
        let mut chain = [NOBODY; LONGEST];
        let mut depth = 0;
        let mut at = Some(index);
        while let Some(node) = at {
            // What is nearest to the object is kept and what is nearest to the root: what is between is
            // overwritten.
            let place = if depth < LAST { depth } else { LAST + (depth - LAST) % FIRST };
            chain[place] = node;
            depth += 1;
            at = walk.parent(node);
        }
        if depth > LONGEST {
            chain[LAST..].rotate_left((depth - LAST) % FIRST);
        }
        let chain = &mut chain[..depth.min(LONGEST)];
        chain.reverse();
        let mut within = self.root(walk, chain[0], sender);
        for (at, pair) in chain.windows(2).enumerate() {
            if walk.parent(pair[1]) != Some(pair[0]) {
                sender.char(STEP);
                sender.str("…");
                let holder = walk.parent(pair[1]).map(|holder| walk.object(holder));
                let names = holder.and_then(Ref::dict) == Some(walk.object(pair[1]));
                within = if names { Within::Names } else { Within::Object };
                continue;
            }
            let last = at + 2 == chain.len();
            within = self.step(walk.object(pair[0]), walk.object(pair[1]), within, last, sender);
        }
    }

    fn root(&mut self, walk: &Walk<'_>, index: u32, sender: &mut Sender) -> Within {
        let root = walk.roots[index as usize];
        match root.name {
            RootName::Module(name) => {
                sender.text_or(name.text(), "<module>");
                Within::Object
            }
            RootName::Frame => {
                self.code_name(root.object, sender);
                Within::Object
            }
            RootName::Task => {
                sender.str("task ");
                match heap::task_coroutine(root.object) {
                    Some(coroutine) => self.code_name(coroutine, sender),
                    None => sender.str("?"),
                }
                Within::Task
            }
            RootName::Fixed(name) => {
                sender.str(name);
                Within::Names
            }
        }
    }

    fn code_name(&self, runs: Ref, sender: &mut Sender) {
        let name = match runs.is_generator() {
            true => heap::generator_name(runs),
            false => self.layout.code_of(runs).and_then(Layout::code_name),
        };
        let name = name.and_then(Ref::text);
        sender.text_or(name, "?");
        sender.str("()");
    }

    /// Names the way from an object to one that it references; nothing where the last step said it all.
    fn step(
        &mut self,
        from: Ref,
        to: Ref,
        within: Within,
        last: bool,
        sender: &mut Sender,
    ) -> Within {
        if from.dict() == Some(to) && !last
            || from.is_module() && heap::module_dict(from) == Some(to)
            || from.is_type().is_some_and(|kind| kind.dict() == Some(to))
        {
            return Within::Names;
        }
        if is_thread_local(from) && to.is_dict() {
            return Within::Local;
        }
        if within == Within::Local && from.is_dict() && to.is_dict() {
            return Within::Names;
        }
        if from.is_cell() {
            if within != Within::Variable {
                self.named(".cell_contents", to, last, sender);
            }
            return Within::Object;
        }
        if within == Within::Task && to.is_generator() || from.is_generator() && to.is_frame() {
            return Within::Object; // it has the name already
        }
        sender.char(STEP);
        let next = self.edge(from, to, within, sender);
        if !last && !says_itself(to) && next != Within::Variable {
            self.kind(to, sender);
        }
        next
    }

    fn named(&mut self, name: &str, to: Ref, last: bool, sender: &mut Sender) {
        sender.char(STEP);
        sender.str(name);
        if !last && !says_itself(to) {
            self.kind(to, sender);
        }
    }

    fn edge(&mut self, from: Ref, to: Ref, within: Within, sender: &mut Sender) -> Within {
        if from.is_dict() {
            return self.entry(from, to, within, sender);
        }
        if from.is_tuple() {
            if let Within::Closure(code) = within {
                let index = (0..).map_while(|at| from.item(at)).position(|item| item == to);
                let name =
                    index.and_then(|at| self.layout.free_name(code?, at)).and_then(Ref::text);
                sender.char('.');
                sender.text_or(name, "?");
                return Within::Variable;
            }
            sender.str("[]");
            return Within::Object;
        }
        if from.is_list() {
            sender.str("[]");
            return Within::Object;
        }
        if from.is_set() {
            sender.str("{item}");
            return Within::Object;
        }
        if from.is_function() {
            for (name, part) in heap::function_parts(from) {
                if part == Some(to) {
                    sender.char('.');
                    sender.str(name);
                    return match name {
                        "__closure__" => Within::Closure(heap::function_parts(from)[5].1),
                        "__globals__" => Within::Names,
                        _ => Within::Object,
                    };
                }
            }
        }
        if from.is_frame() || from.is_generator() {
            return self.local(from, to, sender);
        }
        if from.is_exception() {
            for (name, part) in heap::exception_parts(from) {
                if part == Some(to) {
                    sender.char('.');
                    sender.str(name);
                    return Within::Object;
                }
            }
        }
        if let Some(name) = self.layout.inline_name(from, to).and_then(Ref::text) {
            sender.char('.');
            sender.text(name);
            return Within::Object;
        }
        if let Some(name) = from.member(to) {
            sender.char('.');
            sender.str(name.to_str().unwrap_or("?"));
            return Within::Object;
        }
        if from.dict() == Some(to) {
            sender.str(".__dict__");
            return Within::Names;
        }
        sender.str(match from.kind().c_name() {
            b"collections.deque" => "[]",
            b"functools._lru_cache_wrapper" => ".<cache>",
            b"traceback" if to.kind() == from.kind() => ".tb_next",
            b"_asyncio.Task" | b"_asyncio.Future" if to.is_exception() => "._exception",
            b"_asyncio.Task" if to.is_generator() => "._coro",
            _ if from.kind().object() == to => ".__class__",
            _ => ".?",
        });
        Within::Object
    }

    /// An entry of a dict: by its key, or as its key.
    fn entry(&mut self, dict: Ref, to: Ref, within: Within, sender: &mut Sender) -> Within {
        let slot = &mut self.cursors[dict.address() / 64 % 64];
        let start = if slot.0 == dict.address() { slot.1 } else { 0 };
        let mut position = start;
        let mut found = None;
        while let Some((key, value)) = dict.entry(&mut position) {
            if key == to || value == to {
                found = Some((key, key == to));
                break;
            }
        }
        if found.is_none() && start != 0 {
            position = 0;
            while let Some((key, value)) = dict.entry(&mut position) {
                if key == to || value == to {
                    found = Some((key, key == to));
                    break;
                }
            }
        }
        *slot = (dict.address(), position);
        match found {
            Some((_, true)) => sender.str("{key}"),
            Some((key, false)) => match (key.text(), within) {
                (Some(text), Within::Names) => {
                    sender.char('.');
                    sender.text(text);
                }
                (Some(text), _) => {
                    sender.str("{'");
                    sender.text(text);
                    sender.str("'}");
                }
                (None, _) => {
                    sender.str("{<");
                    send::short_name(sender, key.kind());
                    sender.str(">}");
                }
            },
            // A dict's subclass has attributes and members of its own.
            None => match dict.member(to) {
                Some(name) => {
                    sender.char('.');
                    sender.str(name.to_str().unwrap_or("?"));
                }
                None => sender.str(".?"),
            },
        }
        Within::Object
    }

    /// What a frame, a generator or a coroutine holds.
    fn local(&mut self, from: Ref, to: Ref, sender: &mut Sender) -> Within {
        let mut found = None;
        if from.is_frame() || self.layout.code_of(from).is_some() {
            self.layout.each_local(from, &mut |name, value| {
                if value == to && found.is_none() {
                    found = name.text();
                }
            });
        }
        if let Some(name) = found {
            sender.char('.');
            sender.text(name);
            return if to.is_cell() { Within::Variable } else { Within::Object };
        }
        sender.str(match from.member(to) {
            Some(name) => {
                sender.char('.');
                sender.str(name.to_str().unwrap_or("?"));
                return Within::Object;
            }
            None if to.is_generator() => " awaits ",
            None if to.is_code() => ".<code>",
            None => ".<stack>",
        });
        Within::Object
    }

    /// What something is, where the step does not say it.
    fn kind(&self, object: Ref, sender: &mut Sender) {
        sender.char('<');
        if object.is_frame() || object.is_generator() {
            self.code_name(object, sender);
        } else {
            send::short_name(sender, object.kind());
        }
        sender.char('>');
    }
}

/// The next step's bracket says what these are, or they are not worth a word.
fn says_itself(object: Ref) -> bool {
    object.is_cell()
        || object.is_module()
        || object.is_type().is_some()
        || matches!(object.kind().c_name(), b"dict" | b"list" | b"tuple" | b"set" | b"frozenset")
}

fn is_thread_local(object: Ref) -> bool {
    object.kind().c_name() == b"_thread._local"
}

impl Sender {
    fn text_or(&mut self, text: Option<heap::Text>, otherwise: &str) {
        match text {
            Some(text) => self.text(text),
            None => self.str(otherwise),
        }
    }
}
