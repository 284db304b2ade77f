//! Regular expressions that the builder has compiled: `re` finds them in the payload's table, by pattern and
//! flags, before it would compile them itself.

use std::sync::OnceLock;

use pyo3_ffi as ffi;
use pyrmware_payload::{LazyTable, PATTERNS, keys, pattern_key};

use super::{intact, source};
use crate::object::{Obj, Py, Raised, function, import, type_error};

/// The module that compiles regular expressions, as a file in the payload.
#[cfg(Py_3_11)]
pub const COMPILER: &str = "re/_compiler.py";
#[cfg(not(Py_3_11))]
pub const COMPILER: &str = "sre_compile.py";

struct Handles {
    table: LazyTable<'static>,
    /// `_sre.compile`
    engine: Obj,
    /// The function that compiles what is not in the table.
    compiler: Obj,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

/// Stands before the `compile` of the module of [`COMPILER`], which has just run.
pub fn install(module: &Obj) -> Py<()> {
    let engine = import("_sre")?;
    let Some(table) = table(&engine)? else { return Ok(()) };
    if HANDLES.get().is_none() {
        let (engine, compiler) = (engine.attr("compile")?, module.attr("compile")?);
        let _ = HANDLES.set(Handles { table, engine, compiler });
    }
    module.set_attr("compile", &function!("compile", compile, module)?)
}

/// The table, if it was made for this engine.
fn table(engine: &Obj) -> Py<Option<LazyTable<'static>>> {
    let Ok(made_for) = source().payload.setting(keys::PATTERNS) else { return Ok(None) };
    let mut own = String::new();
    for name in ["MAGIC", "CODESIZE", "MAXREPEAT", "MAXGROUPS"] {
        own += &format!("{} ", engine.attr(name)?.to_int()?);
    }
    own += if cfg!(target_endian = "little") { "little" } else { "big" };
    let file = source().payload.file(PATTERNS).filter(|_| own == made_for);
    Ok(file.map(|file| LazyTable::alone(intact(file.bytes()))))
}

/// `compile(p, flags=0)`.
fn compile(args: &[Obj]) -> Py {
    let handles = HANDLES.get().expect("set by install");
    if let [pattern, rest @ ..] = args
        && let Some(arguments) = arguments(handles, pattern, rest)?
    {
        let [flags, code, groups, names, indices] = &arguments;
        return handles.engine.call(&[pattern, flags, code, groups, names, indices]);
    }
    handles.compiler.call(&args.iter().collect::<Vec<_>>())
}

/// What `_sre.compile` is called with after the pattern, if the builder has compiled it.
fn arguments(handles: &Handles, pattern: &Obj, rest: &[Obj]) -> Py<Option<[Obj; 5]>> {
    let flags = match rest {
        [] => Ok(0),
        // SAFETY: a live object.
        [flags] if unsafe { ffi::PyLong_Check(flags.as_ptr()) } != 0 => flags.to_int(),
        _ => return Ok(None),
    };
    // Those that are too large are left to `re`, which complains about them in its own way.
    let flags = flags.map_err(Raised::forget).ok().and_then(|flags| u32::try_from(flags).ok());
    let Some(flags) = flags else { return Ok(None) };
    let key = match (pattern.plain(), pattern.plain_bytes()) {
        (Some(text), _) => pattern_key(text, false, flags),
        (None, Some(bytes)) => {
            pattern_key(&bytes.iter().copied().map(char::from).collect::<String>(), true, flags)
        }
        (None, None) => return Ok(None),
    };
    let Some(found) = handles.table.get(&key) else { return Ok(None) };
    // SAFETY: pointer and length describe the bytes.
    let tuple = unsafe {
        let (start, length) = (found.code.as_ptr().cast(), found.code.len() as _);
        Obj::owned(ffi::PyMarshal_ReadObjectFromString(start, length))?
    };
    let item = |index: isize| {
        // SAFETY: the result is borrowed, or null with an exception when this is no tuple of five.
        unsafe { Obj::borrowed(ffi::PyTuple_GetItem(tuple.as_ptr(), index)) }
    };
    let packed = item(1)?;
    let Some(packed) = packed.plain_bytes() else { return Err(type_error("code is bytes")) };
    let mut numbers = Vec::with_capacity(packed.len());
    for number in unpacked(packed) {
        numbers.push(Obj::int(number.into())?);
    }
    let code = Obj::list(&numbers.iter().collect::<Vec<_>>())?;
    Ok(Some([item(0)?, code, item(2)?, item(3)?, item(4)?]))
}

/// Numbers of seven bits at a time, the lowest first; the eighth says that more follow.
fn unpacked(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let mut rest = bytes.iter();
    std::iter::from_fn(move || {
        let (mut number, mut shift) = (0u32, 0);
        loop {
            let byte = *rest.next()?;
            number |= u32::from(byte & 127).checked_shl(shift).unwrap_or(0);
            if byte < 128 {
                return Some(number);
            }
            shift += 7;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::unpacked;

    #[test]
    fn numbers_are_unpacked() {
        let bytes = [0, 127, 0x80, 1, 0xff, 0xff, 0xff, 0xff, 15, 5];
        assert_eq!(unpacked(&bytes).collect::<Vec<_>>(), [0, 127, 128, u32::MAX, 5]);
        assert_eq!(unpacked(&[1, 0x80]).collect::<Vec<_>>(), [1], "cut off");
    }
}
