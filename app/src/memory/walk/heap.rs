//! Python's objects, read without Python: no call into the interpreter that could run Python code,
//! allocate, or touch a reference count.
//!
//! All of it relies on one thing: nothing changes. The walk runs in a process of its own, forked while
//! the GIL was held, in which nothing else runs; an object that is referenced there stays what it is.

use std::ffi::{CStr, c_int, c_ulong, c_void};
use std::ptr::NonNull;

use pyo3_ffi as ffi;

/// A pointer's size: what the fields of objects are counted in.
pub const WORD: usize = size_of::<usize>();

/// An object of a heap that stands still.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ref(NonNull<ffi::PyObject>);

/// Callback and its state behind the `void *` of `tp_traverse`.
struct Visitor<'a>(&'a mut dyn FnMut(Ref));

extern "C" fn visit(object: *mut ffi::PyObject, visitor: *mut c_void) -> c_int {
    // SAFETY: `referents` passes its visitor and nothing else borrows it; `tp_traverse` passes objects
    // that its own object references.
    unsafe {
        if let Some(object) = Ref::new(object) {
            ((*visitor.cast::<Visitor<'_>>()).0)(object);
        }
    }
    0
}

impl Ref {
    /// None for null.
    ///
    /// # Safety
    /// The pointer is null or an object's that is alive for as long as the heap stands still.
    pub unsafe fn new(object: *mut ffi::PyObject) -> Option<Ref> {
        NonNull::new(object).map(Ref)
    }

    pub fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    fn raw(self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    pub fn kind(self) -> Type {
        // SAFETY: every object has a type.
        Type(unsafe { NonNull::new_unchecked(ffi::Py_TYPE(self.raw())) })
    }

    /// Whether the garbage collector may ask it for what it references. Static types may not be asked.
    pub fn is_container(self) -> bool {
        // SAFETY: reads the type's flags, and asks its `tp_is_gc`, which is C and looks at flags too.
        unsafe { ffi::PyObject_IS_GC(self.raw()) != 0 }
    }

    /// What it references, by `tp_traverse`.
    pub fn referents(self, each: &mut dyn FnMut(Ref)) {
        // SAFETY: the garbage collector calls `tp_traverse` in the same way.
        unsafe {
            if let Some(traverse) = (*ffi::Py_TYPE(self.raw())).tp_traverse {
                let mut visitor = Visitor(each);
                traverse(self.raw(), visit, (&raw mut visitor).cast());
            }
        }
    }

    /// The word at a distance from the object's start.
    ///
    /// # Safety
    /// The object has memory there.
    pub unsafe fn word(self, offset: isize) -> usize {
        // SAFETY: as the caller says; fields are aligned.
        unsafe { self.raw().byte_offset(offset).cast::<usize>().read() }
    }

    /// The object that the field at a distance from the start references.
    ///
    /// # Safety
    /// The object has a field there that holds an object or null.
    pub unsafe fn field(self, offset: isize) -> Option<Ref> {
        // SAFETY: as the caller says.
        unsafe { Ref::new(self.word(offset) as *mut ffi::PyObject) }
    }

    pub fn has(self, flag: c_ulong) -> bool {
        self.kind().has(flag)
    }

    pub fn is_type(self) -> Option<Type> {
        self.has(ffi::Py_TPFLAGS_TYPE_SUBCLASS).then_some(Type(self.0.cast()))
    }

    pub fn is_dict(self) -> bool {
        self.has(ffi::Py_TPFLAGS_DICT_SUBCLASS)
    }

    pub fn is_tuple(self) -> bool {
        self.has(ffi::Py_TPFLAGS_TUPLE_SUBCLASS)
    }

    pub fn is_list(self) -> bool {
        self.has(ffi::Py_TPFLAGS_LIST_SUBCLASS)
    }

    pub fn is_exception(self) -> bool {
        self.has(ffi::Py_TPFLAGS_BASE_EXC_SUBCLASS)
    }

    pub fn is_set(self) -> bool {
        // SAFETY: static types of libpython.
        self.kind().below(&raw mut ffi::PySet_Type)
            || self.kind().below(&raw mut ffi::PyFrozenSet_Type)
    }

    pub fn is_module(self) -> bool {
        self.kind().below(&raw mut ffi::PyModule_Type)
    }

    pub fn is_function(self) -> bool {
        self.kind().is(&raw mut ffi::PyFunction_Type)
    }

    pub fn is_cell(self) -> bool {
        self.kind().is(&raw mut ffi::PyCell_Type)
    }

    pub fn is_frame(self) -> bool {
        self.kind().is(&raw mut ffi::PyFrame_Type)
    }

    pub fn is_code(self) -> bool {
        self.kind().is(&raw mut ffi::PyCode_Type)
    }

    /// Generators, coroutines and asynchronous generators.
    pub fn is_generator(self) -> bool {
        let kind = self.kind();
        kind.is(&raw mut ffi::PyGen_Type)
            || kind.is(&raw mut ffi::PyCoro_Type)
            || kind.is(&raw mut ffi::PyAsyncGen_Type)
    }

    /// `ob_size`, for types that have it and mean a length by it.
    fn size(self) -> usize {
        // SAFETY: the callers ask for objects of types with `ob_size`.
        unsafe { (*self.raw().cast::<ffi::PyVarObject>()).ob_size.unsigned_abs() }
    }

    /// Length of a dict, list, tuple, set or deque.
    pub fn length(self, deque: Option<Type>) -> Option<usize> {
        // SAFETY: the type is checked first; the functions read one field.
        unsafe {
            if self.is_dict() {
                Some(ffi::PyDict_Size(self.raw()) as usize)
            } else if self.is_list()
                || self.is_tuple()
                || deque.is_some_and(|d| self.kind().within(d))
            {
                Some(self.size())
            } else if self.is_set() {
                Some(ffi::PySet_Size(self.raw()) as usize)
            } else {
                None
            }
        }
    }

    /// The entry of a dict at a position, which starts at 0 and is moved on.
    pub fn entry(self, position: &mut isize) -> Option<(Ref, Ref)> {
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a dict; the entries are borrowed from it.
        unsafe {
            if !self.is_dict() || ffi::PyDict_Next(self.raw(), position, &mut key, &mut value) == 0
            {
                return None;
            }
            Some((Ref::new(key)?, Ref::new(value)?))
        }
    }

    /// The value of a text key. Looks at every entry: the hash of a key would have to be computed.
    pub fn value(self, name: &str) -> Option<Ref> {
        let mut position = 0;
        while let Some((key, value)) = self.entry(&mut position) {
            if key.text().is_some_and(|text| text.is(name)) {
                return Some(value);
            }
        }
        None
    }

    /// Item of a tuple.
    pub fn item(self, index: usize) -> Option<Ref> {
        if !self.is_tuple() || index >= self.size() {
            return None;
        }
        // SAFETY: within the tuple; borrowed from it.
        unsafe { Ref::new(ffi::PyTuple_GetItem(self.raw(), index as isize)) }
    }

    /// What is in a `bytes`.
    pub fn bytes<'a>(self) -> Option<&'a [u8]> {
        if !self.has(ffi::Py_TPFLAGS_BYTES_SUBCLASS) {
            return None;
        }
        // SAFETY: the buffer belongs to the object, which stays.
        unsafe {
            let start = ffi::PyBytes_AsString(self.raw()).cast::<u8>();
            Some(std::slice::from_raw_parts(start, self.size()))
        }
    }

    /// A `str`; none for anything else, and for one that is not in its canonical form.
    pub fn text(self) -> Option<Text> {
        if !self.has(ffi::Py_TPFLAGS_UNICODE_SUBCLASS) {
            return None;
        }
        // SAFETY: a `str`; ready ones have data of this width and length.
        unsafe {
            if ffi::PyUnicode_IS_READY(self.raw()) == 0 {
                return None;
            }
            Some(Text {
                data: ffi::PyUnicode_DATA(self.raw()) as usize,
                width: ffi::PyUnicode_KIND(self.raw()) as usize,
                len: ffi::PyUnicode_GET_LENGTH(self.raw()) as usize,
            })
        }
    }

    /// The field of this object that holds another, by name, where its type tells of its fields:
    /// `__slots__`, and what C types offer as members.
    pub fn member(self, child: Ref) -> Option<&'static CStr> {
        let mro = self.kind().mro()?;
        let kinds = (0..).map_while(|index| mro.item(index)?.is_type());
        kinds.into_iter().find_map(|kind| kind.member(self, child))
    }

    /// The dict of its attributes, if it has one already; [`super::layout`] knows of those that have
    /// none because their values are kept in the object.
    pub fn dict(self) -> Option<Ref> {
        let kind = self.kind();
        if kind.has_managed_dict() {
            // Its place has no accessor that does not make the dict. The self-test has looked there.
            // SAFETY: types with this flag have three words before the object's start; 3.12 has values
            // there instead of a dict, and then the lowest bit is set.
            return unsafe {
                let offset = -3 * WORD as isize;
                if self.word(offset) & 1 == 1 { None } else { self.field(offset) }
            };
        }
        // SAFETY: the type's own field says where the pointer is.
        unsafe {
            let offset = (*kind.raw()).tp_dictoffset;
            if offset <= 0 { None } else { self.field(offset).filter(|dict| dict.is_dict()) }
        }
    }

    /// Memory of the object itself, without what it allocated beside itself and only its own functions
    /// could tell: a lower bound.
    pub fn bytes_used(self) -> usize {
        let kind = self.kind();
        let (basic, each) = kind.sizes();
        let own = if let Some(text) = self.text() {
            // SAFETY: a `str` that is ready.
            let ascii = unsafe { ffi::PyUnicode_IS_COMPACT_ASCII(self.raw()) } != 0;
            let head = if ascii { size_of::<ffi::PyASCIIObject>() } else { basic };
            head + (text.len + 1) * text.width
        } else if self.has(ffi::Py_TPFLAGS_LONG_SUBCLASS) || self.is_generator() || self.is_frame()
        {
            basic // they have items, but their `ob_size` is no size, or not there, in every version
        } else if self.is_list() {
            // SAFETY: a list's structure is public.
            let room = unsafe { (*self.raw().cast::<ffi::PyListObject>()).allocated };
            basic + room.unsigned_abs() * WORD
        } else if self.is_dict() {
            basic + self.length(None).unwrap_or_default() * 3 * WORD
        } else if self.is_set() {
            basic + self.length(None).unwrap_or_default() * 2 * WORD
        } else if each != 0 {
            basic + self.size() * each
        } else {
            basic
        };
        let head = if self.is_container() { 2 * WORD } else { 0 };
        own + head
    }
}

/// A function's parts, for which there are accessors.
pub fn function_parts(function: Ref) -> [(&'static str, Option<Ref>); 6] {
    let raw = function.raw();
    // SAFETY: a function; all results are borrowed.
    unsafe {
        [
            ("__closure__", Ref::new(ffi::PyFunction_GetClosure(raw))),
            ("__defaults__", Ref::new(ffi::PyFunction_GetDefaults(raw))),
            ("__kwdefaults__", Ref::new(ffi::PyFunction_GetKwDefaults(raw))),
            ("__globals__", Ref::new(ffi::PyFunction_GetGlobals(raw))),
            ("__annotations__", Ref::new(ffi::PyFunction_GetAnnotations(raw))),
            ("__code__", Ref::new(ffi::PyFunction_GetCode(raw))),
        ]
    }
}

/// An exception's parts: accessors give new references, the structure is public.
pub fn exception_parts(exception: Ref) -> [(&'static str, Option<Ref>); 4] {
    let raw = exception.raw().cast::<ffi::PyBaseExceptionObject>();
    // SAFETY: the flag of the type says that it starts with this structure.
    unsafe {
        [
            ("args", Ref::new((*raw).args)),
            ("__traceback__", Ref::new((*raw).traceback)),
            ("__cause__", Ref::new((*raw).cause)),
            ("__context__", Ref::new((*raw).context)),
        ]
    }
}

/// The qualified name of a generator, coroutine or asynchronous generator: their structures start alike.
pub fn generator_name(generator: Ref) -> Option<Ref> {
    // SAFETY: one of the three; the structure is public before 3.14, and an accessor would count references.
    unsafe { Ref::new((*generator.raw().cast::<ffi::PyGenObject>()).gi_qualname) }
}

/// Whether a generator or coroutine has run to its end.
pub fn is_over(generator: Ref) -> bool {
    let raw = generator.raw().cast::<ffi::PyGenObject>();
    // SAFETY: as above.
    #[cfg(Py_3_11)]
    return unsafe { (*raw).gi_frame_state > 0 }; // FRAME_COMPLETED, FRAME_CLEARED
    // SAFETY: as above.
    #[cfg(not(Py_3_11))]
    return unsafe { (*raw).gi_frame.is_null() };
}

/// The coroutine of a task.
pub fn task_coroutine(task: Ref) -> Option<Ref> {
    let mut found = None;
    task.referents(&mut |child| {
        if found.is_none() && child.is_generator() {
            found = Some(child);
        }
    });
    found
}

/// What a module keeps its names in.
pub fn module_dict(module: Ref) -> Option<Ref> {
    // SAFETY: a module; the result is borrowed.
    unsafe { Ref::new(ffi::PyModule_GetDict(module.raw())) }
}

/// Whether it is a weak reference.
pub fn is_weak(reference: Ref) -> bool {
    // SAFETY: looks at the type.
    unsafe { ffi::PyWeakref_CheckRef(reference.raw()) != 0 }
}

/// What a weak reference refers to.
pub fn weakly(reference: Ref) -> Option<Ref> {
    if !is_weak(reference) {
        return None;
    }
    // SAFETY: the type is checked; the structure is public, the accessor would count references.
    unsafe {
        let target = (*reference.raw().cast::<ffi::PyWeakReference>()).wr_object;
        Ref::new(target).filter(|target| target.raw() != ffi::Py_None())
    }
}

/// A type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Type(NonNull<ffi::PyTypeObject>);

impl Type {
    fn raw(self) -> *mut ffi::PyTypeObject {
        self.0.as_ptr()
    }

    pub fn object(self) -> Ref {
        Ref(self.0.cast())
    }

    pub fn address(self) -> usize {
        self.raw() as usize
    }

    pub fn is(self, other: *mut ffi::PyTypeObject) -> bool {
        self.raw() == other
    }

    /// Whether it is `other` or derived from it.
    fn below(self, other: *mut ffi::PyTypeObject) -> bool {
        // SAFETY: both are types; follows `tp_mro`.
        self.is(other) || unsafe { ffi::PyType_IsSubtype(self.raw(), other) != 0 }
    }

    pub fn within(self, other: Type) -> bool {
        self.below(other.raw())
    }

    pub fn has(self, flag: c_ulong) -> bool {
        // SAFETY: reads a field.
        unsafe { ffi::PyType_GetFlags(self.raw()) & flag != 0 }
    }

    pub fn is_heap(self) -> bool {
        self.has(ffi::Py_TPFLAGS_HEAPTYPE)
    }

    pub fn has_managed_dict(self) -> bool {
        cfg!(Py_3_11) && self.has(1 << 4) // Py_TPFLAGS_MANAGED_DICT
    }

    /// `tp_basicsize` and `tp_itemsize`.
    pub fn sizes(self) -> (usize, usize) {
        // SAFETY: reads fields.
        unsafe { ((*self.raw()).tp_basicsize as usize, (*self.raw()).tp_itemsize as usize) }
    }

    fn mro(self) -> Option<Ref> {
        // SAFETY: a tuple once the type is ready.
        unsafe { Ref::new((*self.raw()).tp_mro) }
    }

    /// The class's own names. None for built-in types from 3.12 on: they keep them elsewhere, and nothing can be added there.
    pub fn dict(self) -> Option<Ref> {
        // SAFETY: a dict, or null.
        unsafe { Ref::new((*self.raw()).tp_dict).filter(|dict| dict.is_dict()) }
    }

    /// The names that its instances share, where they keep values without a dict of their own.
    pub fn shared_keys(self) -> usize {
        if !self.is_heap() {
            return 0;
        }
        // SAFETY: types made at run time have this structure.
        unsafe { (*self.raw().cast::<ffi::PyHeapTypeObject>()).ht_cached_keys as usize }
    }

    /// `tp_name`: with the module for types of C, without for those of Python.
    pub fn c_name(self) -> &'static [u8] {
        // SAFETY: a C string that lives as long as the type.
        unsafe { CStr::from_ptr((*self.raw()).tp_name).to_bytes() }
    }

    /// `__qualname__` of a type made at run time.
    pub fn qualname(self) -> Option<Text> {
        if !self.is_heap() {
            return None;
        }
        // SAFETY: types made at run time have this structure.
        let name = unsafe { Ref::new((*self.raw().cast::<ffi::PyHeapTypeObject>()).ht_qualname) };
        name?.text()
    }

    /// `__module__` of a type made at run time by Python code.
    pub fn module(self) -> Option<Text> {
        if !self.is_heap() {
            return None;
        }
        self.dict()?.value("__module__")?.text()
    }

    fn member(self, object: Ref, child: Ref) -> Option<&'static CStr> {
        self.members(|member| {
            // SAFETY: the type says that its instances have an object there.
            let found = unsafe { object.word(member.offset) } == child.address();
            // SAFETY: the table's names are C strings.
            found.then(|| unsafe { CStr::from_ptr(member.name) })
        })
    }

    /// Where the member of this name is.
    pub fn member_offset(self, name: &CStr) -> Option<isize> {
        self.members(|member| {
            // SAFETY: the table's names are C strings.
            let found = unsafe { CStr::from_ptr(member.name) } == name;
            found.then_some(member.offset)
        })
    }

    /// Looks through the members that hold objects.
    fn members<T>(self, mut look: impl FnMut(&ffi::PyMemberDef) -> Option<T>) -> Option<T> {
        const OBJECT: c_int = 6; // `_Py_T_OBJECT`, which no header of newer versions shows
        // SAFETY: the table of a type ends with a member without a name.
        unsafe {
            let mut member = (*self.raw()).tp_members;
            while !member.is_null() && !(*member).name.is_null() {
                let of_object = [OBJECT, ffi::Py_T_OBJECT_EX].contains(&(*member).type_code);
                let plain = (*member).flags & ffi::Py_RELATIVE_OFFSET == 0;
                if of_object
                    && plain
                    && let Some(found) = look(&*member)
                {
                    return Some(found);
                }
                member = member.add(1);
            }
        }
        None
    }
}

/// A `str`'s characters.
#[derive(Clone, Copy)]
pub struct Text {
    data: usize,
    width: usize,
    pub len: usize,
}

impl Text {
    pub fn chars(self) -> impl Iterator<Item = char> {
        (0..self.len).map(move |index| {
            // SAFETY: `len` characters of this width are there, and stay.
            let code = unsafe {
                match self.width {
                    1 => u32::from((self.data as *const u8).add(index).read()),
                    2 => u32::from((self.data as *const u16).add(index).read()),
                    _ => (self.data as *const u32).add(index).read(),
                }
            };
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
        })
    }

    pub fn is(self, name: &str) -> bool {
        self.len == name.len() && self.chars().eq(name.chars())
    }
}
