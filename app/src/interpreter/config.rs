//! `PyConfig`: isolated from the machine's Python, UTF-8, nothing from the environment.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::ptr::addr_of_mut;

use pyo3_ffi as ffi;

use crate::action::{Action, Run};
use crate::log::{self, EXIT_PYTHON, Priority};

unsafe extern "C" {
    /// Second half of the initialisation when `_init_main` was 0 (exported by CPython 3.8 and later).
    fn _Py_InitializeMain() -> ffi::PyStatus;
}

/// Python did not start.
pub enum Failure {
    /// Why.
    Error(String),
    /// Python's own option handling ended the process: `-V`, `-h`, a bad option.
    Exit(i32),
}

impl Failure {
    /// Says why; gives the exit code.
    pub fn report(self) -> i32 {
        match self {
            Failure::Exit(code) => code,
            Failure::Error(why) => {
                log::line(Priority::Error, &format!("Python could not start: {why}"));
                EXIT_PYTHON
            }
        }
    }
}

fn check(status: ffi::PyStatus) -> Result<(), Failure> {
    // SAFETY: the functions read the status; its texts are static strings.
    unsafe {
        if ffi::PyStatus_IsExit(status) != 0 {
            return Err(Failure::Exit(status.exitcode));
        }
        if ffi::PyStatus_IsError(status) != 0 {
            let text = |text: *const c_char| {
                if text.is_null() { "".into() } else { CStr::from_ptr(text).to_string_lossy() }
            };
            let (function, message) = (text(status.func), text(status.err_msg));
            return Err(Failure::Error(format!("{function}: {message}")));
        }
        Ok(())
    }
}

/// Phase one: the core, with built-in and frozen modules only.
pub fn initialize_core(action: &Action) -> Result<(), Failure> {
    let as_python = matches!(action.run, Run::Interpreter);
    // SAFETY: the structures are initialised by CPython before use and cleared after it; strings are copied.
    unsafe {
        let mut pre = MaybeUninit::uninit();
        ffi::PyPreConfig_InitIsolatedConfig(pre.as_mut_ptr());
        let mut pre = pre.assume_init();
        pre.utf8_mode = 1;
        pre.configure_locale = 1;
        pre.coerce_c_locale = 1; // only where the locale is "C", as in `python3`
        check(ffi::Py_PreInitialize(&pre))?;

        let mut config = MaybeUninit::uninit();
        ffi::PyConfig_InitIsolatedConfig(config.as_mut_ptr());
        let mut config = config.assume_init();
        config.parse_argv = as_python.into();
        if as_python {
            // "Not set": an isolated configuration says no to `-X faulthandler` and its like beforehand.
            config.faulthandler = -1;
            config.tracemalloc = -1;
            #[cfg(Py_3_12)]
            {
                config.perf_profiling = -1;
                config.int_max_str_digits = -1;
            }
        }
        #[cfg(Py_3_14)]
        if action.locked_down {
            // Whoever may write to this process's memory could have it run a script.
            config.remote_debug = 0;
        }
        config.install_signal_handlers = 1;
        config.site_import = 0;
        config.write_bytecode = 0;
        config.optimization_level = action.optimize;
        config.pathconfig_warnings = 0;
        config._init_main = 0;
        let result =
            fill(&mut config, action).and_then(|()| check(ffi::Py_InitializeFromConfig(&config)));
        ffi::PyConfig_Clear(&mut config);
        result
    }
}

/// Phase two: `importlib`, codecs and the standard streams, imported through what is now in `sys.meta_path`.
pub fn initialize_main() -> Result<(), Failure> {
    // SAFETY: phase one is complete.
    unsafe { check(_Py_InitializeMain()) }
}

/// # Safety
/// `config` was initialised.
unsafe fn fill(config: &mut ffi::PyConfig, action: &Action) -> Result<(), Failure> {
    let executable = c_string(OsStr::new(&action.executable))?;
    let arguments: Vec<CString> =
        action.arguments.iter().map(c_string).collect::<Result<_, _>>()?;
    let mut pointers: Vec<*mut c_char> =
        arguments.iter().map(|word| word.as_ptr().cast_mut()).collect();
    let config: *mut ffi::PyConfig = config;
    // SAFETY: the caller says that the structure was initialised; CPython copies the strings.
    unsafe {
        check(ffi::PyConfig_SetBytesArgv(
            config,
            pointers.len() as _,
            pointers.as_mut_ptr().cast(),
        ))?;
        // Every path is the launcher: nothing is looked for, nothing of the machine's Python is found.
        let paths = [
            addr_of_mut!((*config).program_name),
            addr_of_mut!((*config).executable),
            addr_of_mut!((*config).base_executable),
            // Without a home, Python looks for pyvenv.cfg and ._pth beside the launcher and above.
            addr_of_mut!((*config).home),
            addr_of_mut!((*config).prefix),
            addr_of_mut!((*config).base_prefix),
            addr_of_mut!((*config).exec_prefix),
            addr_of_mut!((*config).base_exec_prefix),
            #[cfg(Py_3_11)]
            addr_of_mut!((*config).stdlib_dir),
        ];
        for path in paths {
            check(ffi::PyConfig_SetBytesString(config, path, executable.as_ptr()))?;
        }
        (*config).module_search_paths_set = 1;
        let search = addr_of_mut!((*config).module_search_paths);
        if action.stdlib.is_empty() {
            return check(ffi::PyWideStringList_Append(search, (*config).executable));
        }
        // Save the device's own standard library, if it is to be that. Until the importer is complete Python would
        // take the launcher for an archive.
        for folder in &action.stdlib {
            let folder = c_string(OsStr::new(folder))?;
            let wide = ffi::Py_DecodeLocale(folder.as_ptr(), std::ptr::null_mut());
            if wide.is_null() {
                return Err(Failure::Error(format!("{folder:?} cannot be decoded")));
            }
            let appended = ffi::PyWideStringList_Append(search, wide);
            ffi::PyMem_RawFree(wide.cast());
            check(appended)?;
        }
        Ok(())
    }
}

fn c_string(text: impl AsRef<OsStr>) -> Result<CString, Failure> {
    let text = text.as_ref();
    CString::new(text.as_bytes()).map_err(|_| Failure::Error(format!("{text:?} has a NUL in it")))
}
