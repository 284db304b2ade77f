//! Functions of libpython that do much work for a plain answer; the linker puts these before them.

use std::ffi::c_int;

use pyo3_ffi as ffi;

unsafe extern "C" {
    #[link_name = "__real_PyAST_Check"]
    fn real_ast_check(object: *mut ffi::PyObject) -> c_int;
}

/// Stands before `PyAST_Check`, which `compile` asks whether its source is a syntax tree. To answer, it
/// makes all of the tree's types: nine million instructions, for every application that has a
/// forward reference (`typing` compiles them). Text is no tree.
///
/// # Safety
/// Called by libpython with a live object.
#[unsafe(export_name = "__wrap_PyAST_Check")]
pub unsafe extern "C" fn ast_check(object: *mut ffi::PyObject) -> c_int {
    // SAFETY: as the caller says.
    unsafe {
        if ffi::PyUnicode_Check(object) != 0 || ffi::PyBytes_Check(object) != 0 {
            return 0;
        }
        real_ast_check(object)
    }
}
