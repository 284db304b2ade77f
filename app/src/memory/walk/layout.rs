//! Where CPython keeps what no accessor gives: local variables of frames and generators, and the values
//! of instances that have no dict. The one place where versions differ.
//!
//! For frames nothing is written down: a generator with known local variables is looked through for
//! them, and what was found holds for all. For instances it is: the shape is that of 3.11, 3.12 and
//! 3.13, and [`Layout::find`] and the self-test look whether it is what they expect.

use super::heap::{Ref, WORD};

/// Distances in objects, in bytes; none: unknown here, or not kept so by this version.
#[derive(Clone, Copy, Default)]
pub struct Layout {
    /// From a generator to its local variables.
    generator_locals: Option<isize>,
    /// From a frame object to what holds its local variables; 0: itself.
    frame_data: Option<isize>,
    /// From there to the local variables.
    frame_locals: isize,
    /// From the local variables (back) to the code.
    locals_code: Option<isize>,
    /// In a code object.
    code: Option<Code>,
    /// Whether instances keep values without a dict in the way that [`values`] knows.
    inline_values: bool,
}

/// How a code object tells its variables.
#[derive(Clone, Copy)]
enum Code {
    /// 3.10: three tuples of names.
    Three { vars: isize, cells: isize, free: isize },
    /// 3.11: one tuple of names, and a `bytes` that has the kind of each.
    One { names: isize, kinds: isize },
}

/// In the kinds of a code object: a variable of an enclosing function.
const FREE: u8 = 0x80;

impl Layout {
    /// Looks for everything in objects that are known: a suspended generator whose first two local
    /// variables are `first` and `second`, its frame and code, and an instance whose only attributes are they.
    pub fn find(
        generator: Ref,
        frame: Ref,
        code: Ref,
        instance: Ref,
        first: Ref,
        second: Ref,
    ) -> Layout {
        let pair = |at: Ref, offset: isize, end: usize| {
            let found = offset as usize + 2 * WORD <= end
                // SAFETY: within the object's size.
                && unsafe { at.word(offset) == first.address() && at.word(offset + WORD as isize) == second.address() };
            found.then_some(offset)
        };
        let words = |object: Ref| {
            let (basic, each) = object.kind().sizes();
            // Generators and frames have `ob_size` only if they have items; these two are bounded by what a probe needs.
            let size = if each == 0 { basic } else { basic + each * 4 };
            (0..(size / WORD) as isize).map(|index| index * WORD as isize)
        };
        let size = |object: Ref| words(object).len() * WORD;

        let mut layout = Layout {
            generator_locals: words(generator).find_map(|at| pair(generator, at, size(generator))),
            ..Layout::default()
        };
        if let Some(locals) = layout.generator_locals {
            // The frame object of a suspended generator points into the generator.
            let data = words(frame).find(|at| {
                // SAFETY: within the frame's size.
                let word = unsafe { frame.word(*at) };
                word != generator.address()
                    && (generator.address()..generator.address() + size(generator)).contains(&word)
            });
            if let Some(data) = data {
                // SAFETY: as above.
                let start = unsafe { frame.word(data) };
                layout.frame_data = Some(data);
                layout.frame_locals = (generator.address() as isize + locals) - start as isize;
                // SAFETY: between the data's start and the local variables.
                layout.locals_code = (1..=layout.frame_locals / WORD as isize)
                    .map(|back| -back * WORD as isize)
                    .find(|back| unsafe { generator.word(locals + back) } == code.address());
            }
        } else if let Some(locals) = words(frame).find_map(|at| pair(frame, at, size(frame))) {
            (layout.frame_data, layout.frame_locals) = (Some(0), locals);
        }
        layout.code = Code::find(code);
        layout.inline_values = values(instance).is_none_or(|mut values| {
            values.any(|(name, value)| {
                value == first && name.text().is_some_and(|name| name.is("first"))
            })
        });
        layout
    }

    /// Whether everything was found that this version has.
    pub fn complete(&self) -> bool {
        self.frame_data.is_some() && self.code.is_some() && self.inline_values
    }

    /// The code and the place of the local variables of a frame or generator; none where it has none.
    fn locals(&self, object: Ref) -> Option<(Ref, *const usize)> {
        // SAFETY: the self-test has seen these distances in an object of the same type.
        unsafe {
            if object.is_frame() {
                let data = self.frame_data?;
                if data == 0 {
                    let code = object.field(object.kind().member_offset(c"f_code")?)?;
                    return Some((
                        code,
                        (object.address() as isize + self.frame_locals) as *const usize,
                    ));
                }
                let start = object.word(data);
                if start == 0 {
                    return None;
                }
                let locals = (start as isize + self.frame_locals) as *const usize;
                let code = Ref::new(locals.byte_offset(self.locals_code?).read() as *mut _)?;
                return code.is_code().then_some((code, locals));
            }
            let locals = (object.address() as isize + self.generator_locals?) as *const usize;
            let code = Ref::new(locals.byte_offset(self.locals_code?).read() as *mut _)?;
            code.is_code().then_some((code, locals))
        }
    }

    /// The code of a frame, or of a generator that has its local variables in itself.
    pub fn code_of(&self, object: Ref) -> Option<Ref> {
        self.locals(object).map(|(code, _)| code)
    }

    /// The local variables that are bound, of a frame that runs or not.
    pub fn each_local(&self, frame: Ref, each: &mut dyn FnMut(Ref, Ref)) {
        let Some((code, locals)) = self.locals(frame) else { return };
        for index in 0.. {
            let Some(name) = self.local_name(code, index) else { return };
            // SAFETY: a frame has as many places as its code has names; unbound ones are null.
            if let Some(value) = unsafe { Ref::new(locals.add(index).read() as *mut _) } {
                each(name, value);
            }
        }
    }

    fn local_name(&self, code: Ref, index: usize) -> Option<Ref> {
        // SAFETY: the offsets are those of code objects.
        unsafe {
            match self.code? {
                Code::One { names, .. } => code.field(names)?.item(index),
                Code::Three { vars, cells, free } => {
                    let mut index = index;
                    for offset in [vars, cells, free] {
                        let names = code.field(offset)?;
                        let len = names.length(None)?;
                        if index < len {
                            return names.item(index);
                        }
                        index -= len;
                    }
                    None
                }
            }
        }
    }

    /// The name of the variable that a closure's cell is for.
    pub fn free_name(&self, code: Ref, index: usize) -> Option<Ref> {
        // SAFETY: the offsets are those of code objects.
        unsafe {
            match self.code? {
                Code::Three { free, .. } => code.field(free)?.item(index),
                Code::One { names, kinds } => {
                    let kinds = code.field(kinds)?.bytes()?;
                    let mut free = kinds.iter().enumerate().filter(|(_, kind)| **kind & FREE != 0);
                    code.field(names)?.item(free.nth(index)?.0)
                }
            }
        }
    }

    /// The name of a code object: with its class, where this version knows it.
    pub fn code_name(code: Ref) -> Option<Ref> {
        let offset = [c"co_qualname", c"co_name"];
        let offset = offset.into_iter().find_map(|name| code.kind().member_offset(name))?;
        // SAFETY: the type says that there is an object.
        unsafe { code.field(offset) }
    }

    /// The name of an attribute whose value is in the object itself.
    pub fn inline_name(&self, object: Ref, child: Ref) -> Option<Ref> {
        if !self.inline_values {
            return None;
        }
        values(object)?.find(|(_, value)| *value == child).map(|(name, _)| name)
    }
}

impl Code {
    /// The members that the type has tell where the others are.
    fn find(code: Ref) -> Option<Code> {
        let offset = |name| code.kind().member_offset(name);
        if let (Some(vars), Some(cells), Some(free)) =
            (offset(c"co_varnames"), offset(c"co_cellvars"), offset(c"co_freevars"))
        {
            return Some(Code::Three { vars, cells, free });
        }
        // Since 3.11 `co_localsplusnames` and `co_localspluskinds` stand before `co_filename`.
        let after = offset(c"co_filename")?;
        let (names, kinds) = (after - 2 * WORD as isize, after - WORD as isize);
        // SAFETY: within the object.
        unsafe {
            let fits = code.field(names)?.is_tuple() && code.field(kinds)?.bytes().is_some();
            fits.then_some(Code::One { names, kinds })
        }
    }
}

/// `PyDictKeysObject` since 3.11, to its indices.
#[repr(C)]
struct Keys {
    references: isize,
    log2_size: u8,
    log2_index_bytes: u8,
    kind: u8,
    version: u32,
    usable: isize,
    entries: isize,
}

/// Keys that are shared by instances, which have the values.
const SPLIT: u8 = 2;

/// Names and values that an instance keeps without a dict; none where it has a dict, or its type no such values.
fn values(object: Ref) -> Option<impl Iterator<Item = (Ref, Ref)>> {
    let kind = object.kind();
    let keys = kind.shared_keys();
    if !kind.has_managed_dict() || keys == 0 {
        return None;
    }
    let values = values_at(object)?;
    // SAFETY: types with a managed dict have shared keys of this shape; the self-test has found names there.
    let (count, entries) = unsafe {
        let head = (keys as *const Keys).read();
        if head.kind != SPLIT {
            return None;
        }
        (head.entries as usize, keys + size_of::<Keys>() + (1 << head.log2_index_bytes))
    };
    Some((0..count).filter_map(move |index| {
        // SAFETY: as many entries and values are there as the keys say; unset values are null.
        unsafe {
            let name = (entries as *const usize).add(2 * index).read();
            let value = (values as *const usize).add(index).read();
            Some((Ref::new(name as *mut _)?, Ref::new(value as *mut _)?))
        }
    }))
}

/// Where the values start.
#[cfg(not(Py_3_12))]
fn values_at(object: Ref) -> Option<usize> {
    // SAFETY: types with a managed dict have four words before the object's start: this is the first.
    let values = unsafe { object.word(-4 * WORD as isize) };
    (values != 0).then_some(values)
}

/// Where the values start.
#[cfg(all(Py_3_12, not(Py_3_13)))]
fn values_at(object: Ref) -> Option<usize> {
    // SAFETY: types with a managed dict have this word before the object's start; its lowest bit says
    // that it is values and no dict.
    let word = unsafe { object.word(-3 * WORD as isize) };
    (word & 1 == 1).then_some(word + 1)
}

/// Where the values start.
#[cfg(Py_3_13)]
fn values_at(object: Ref) -> Option<usize> {
    const INLINE_VALUES: std::ffi::c_ulong = 1 << 2;
    if !object.kind().has(INLINE_VALUES) {
        return None;
    }
    let head = object.address() + object.kind().sizes().0;
    // SAFETY: the type says that there are values behind the object; the fourth byte, whether they are valid.
    let valid = unsafe { (head as *const u8).add(3).read() };
    (valid != 0).then_some(head + WORD)
}
