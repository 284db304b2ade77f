//! What this start of the launcher is to do: decided from the payload, the arguments and the
//! environment, before anything is done.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pyrmware_payload::{Entry, Fault, Payload, keys};

use crate::log::{self, EXIT_CONFIG, EXIT_PAYLOAD, EXIT_PYTHON};
use crate::{lockdown, memory, supervisor, update};

/// Everything that acting needs.
pub struct Action {
    /// What is inside the launcher.
    pub payload: Payload<'static>,
    /// The launcher's absolute path, links resolved.
    pub executable: String,
    /// `sys.flags.optimize` of the payload's bytecode.
    pub optimize: i32,
    /// The magic number of the payload's bytecode.
    pub magic: i64,
    /// Folders of the device's standard library; none: the payload has it.
    pub stdlib: Vec<&'static str>,
    /// `sys.argv`.
    pub arguments: Vec<OsString>,
    /// What Python runs.
    pub run: Run,
    /// Nobody but the application says what runs, and nobody looks into it.
    pub locked_down: bool,
    /// Tell which pruned modules are asked for (`PYRMWARE_REPORT_PRUNED`).
    pub report_pruned: bool,
    /// Sources for tracebacks (`PYRMWARE_SYMBOLS`, or `symbols/` beside the launcher).
    pub symbols: Option<PathBuf>,
    /// Another place of the key of encrypted modules (`PYRMWARE_KEY_FILE`).
    pub key_file: Option<PathBuf>,
    /// Where the course of the start is recorded (`PYRMWARE_STARTUP`).
    pub startup: Option<PathBuf>,
    /// Where the modules that are asked for are written (`PYRMWARE_TRACE`).
    pub trace: Option<PathBuf>,
    /// What is done about memory; only where the application runs.
    pub memory: Option<memory::Settings>,
    /// How the application is looked after; only where it runs.
    pub service: Option<supervisor::Settings>,
}

/// What Python runs.
pub enum Run {
    /// The application.
    Application(Entry),
    /// What the arguments say, as `python3` would: `-c`, `-m`, a script, or standard input.
    Interpreter,
    /// Nothing: Python starts, the entry is found, Python ends (`PYRMWARE_CHECK`).
    Check(Entry),
}

/// Why the launcher does not start.
pub struct Refusal {
    /// One line.
    pub text: String,
    /// The exit code.
    pub code: i32,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal { text: fault.to_string(), code: EXIT_PAYLOAD }
    }
}

/// Decides; nothing is written or started, and nothing changed save that a launcher that is locked down, or
/// has encrypted modules, closes itself to other processes as soon as it knows. `public_key`: who must have
/// signed the payload.
pub fn decide(
    payload: &'static [u8],
    public_key: Option<&'static str>,
    mut arguments: Vec<OsString>,
) -> Result<Action, Refusal> {
    if payload.is_empty() {
        let text = "built without a payload; run `cargo xtask dist`".to_owned();
        return Err(Refusal { text, code: EXIT_CONFIG });
    }
    let embedded = Payload::open(payload)?;
    let executable = executable(arguments.first())?;
    let locked = embedded.setting(keys::LOCKED_DOWN)? == "true";
    log::set_name(embedded.setting(keys::APP)?);
    close_to_others(&embedded, &executable)?;
    check_signature(&embedded, public_key)?;
    let switch = |name: &str| if locked { None } else { std::env::var_os(name) };
    let folder = switch("PYRMWARE_UPDATE_DIR").map(PathBuf::from);
    let updates = update::configured(&embedded, public_key, folder)?;
    if arguments.is_empty() {
        arguments.push(executable.clone().into());
    }
    let asked = switch("PYRMWARE_PYTHON").is_some();
    let check = switch("PYRMWARE_CHECK").is_some();
    let in_use = || updates.map_or(embedded, update::Updates::in_use);
    let inside = |word: &[u8]| is_module_file(&in_use, &executable, word);
    let role = role(&mut arguments, &executable, &inside, locked, asked);
    let payload = match (updates, &role) {
        (Some(updates), Role::Application) if !check => updates.begin(),
        (Some(updates), _) => updates.begin_helper(),
        (None, _) => embedded,
    };
    // An update was checked before it was chosen.
    if !std::ptr::eq(payload.bytes(), embedded.bytes()) {
        close_to_others(&payload, &executable)?;
    } else if locked && public_key.is_some() {
        update::verify_files(&payload)?;
    }
    let locked = locked || payload.setting(keys::LOCKED_DOWN)? == "true";
    let stdlib =
        payload.setting(keys::STDLIB).map_or_else(|_| Vec::new(), |it| it.lines().collect());
    check_python(payload.setting(keys::PYTHON)?, stdlib.is_empty())?;
    match stdlib.first() {
        Some(folder) => check_stdlib(folder)?,
        None => {
            require(&payload, "encodings")?;
            require(&payload, "encodings.utf_8")?;
        }
    }
    let entry = payload.setting(keys::ENTRY)?;
    let entry = Entry::parse(entry).ok_or_else(|| bad_setting(keys::ENTRY, entry))?;
    require_entry(&payload, &entry)?;

    let switch = |name: &str| switch(name).filter(|_| !locked);
    let run = match role {
        Role::Refused => {
            let text = "locked down: does not act as python3".to_owned();
            return Err(Refusal { text, code: EXIT_CONFIG });
        }
        Role::Interpreter => Run::Interpreter,
        Role::Application if check => Run::Check(entry),
        Role::Application => Run::Application(entry),
    };
    let symbols = switch("PYRMWARE_SYMBOLS").map(PathBuf::from).or_else(|| {
        let beside = Path::new(&executable).with_file_name("symbols");
        (!locked && beside.is_dir()).then_some(beside)
    });
    // Not of a helper of multiprocessing, which has the same environment.
    let startup = switch("PYRMWARE_STARTUP").map(PathBuf::from);
    let startup = startup.filter(|_| matches!(run, Run::Application(_)));
    let memory = memory::Settings::of(&payload).map_err(|(key, value)| bad_setting(key, &value))?;
    let memory = memory.filter(|_| matches!(run, Run::Application(_)));
    let service =
        supervisor::Settings::of(&payload).map_err(|(key, value)| bad_setting(key, &value))?;
    let service = matches!(run, Run::Application(_)).then_some(service);
    Ok(Action {
        optimize: number(&payload, keys::OPTIMIZE)?,
        magic: number(&payload, keys::MAGIC)?,
        payload,
        stdlib,
        executable,
        arguments,
        run,
        locked_down: locked,
        report_pruned: switch("PYRMWARE_REPORT_PRUNED").is_some(),
        symbols,
        key_file: switch("PYRMWARE_KEY_FILE").map(PathBuf::from),
        startup,
        trace: switch("PYRMWARE_TRACE").map(PathBuf::from),
        memory,
        service,
    })
}

/// The value of a setting that is a number.
pub(crate) fn number<T: FromStr>(payload: &Payload<'_>, key: &str) -> Result<T, Refusal> {
    let text = payload.setting(key)?;
    text.parse().map_err(|_| bad_setting(key, text))
}

fn bad_setting(key: &str, value: &str) -> Refusal {
    let text = format!("the payload's setting {key} = {value:?} cannot be understood");
    Refusal { text, code: EXIT_PAYLOAD }
}

fn require(payload: &Payload<'_>, module: &str) -> Result<(), Refusal> {
    match payload.module(module) {
        Some(module) if module.file.is_some() || module.sidecar || module.package => Ok(()),
        _ => {
            let text = format!("the payload has no module {module}");
            Err(Refusal { text, code: EXIT_PAYLOAD })
        }
    }
}

/// The entry's module, or the shared object that has it: of what such an object holds besides the package that it
/// is, the payload knows nothing.
fn require_entry(payload: &Payload<'_>, entry: &Entry) -> Result<(), Refusal> {
    match entry {
        Entry::Function { module, .. } if payload.object_with(module).is_some() => Ok(()),
        entry => require(payload, entry.module()),
    }
}

/// Nobody looks into a launcher that is locked down, or has encrypted modules.
fn close_to_others(payload: &Payload<'_>, executable: &str) -> Result<(), Refusal> {
    let locked = payload.setting(keys::LOCKED_DOWN)? == "true";
    let dumpable = payload.setting(keys::KEY_DUMPABLE) == Ok("true");
    if locked || payload.setting(keys::KEY).is_ok() && !dumpable {
        lockdown::close(executable).map_err(|error| {
            let text = format!("this process cannot be closed to others: {error}");
            Refusal { text, code: EXIT_CONFIG }
        })?;
    }
    Ok(())
}

/// The manifest is checked here and each file when it is read.
#[cfg(feature = "signed")]
fn check_signature(payload: &Payload<'_>, public_key: Option<&str>) -> Result<(), Refusal> {
    Ok(public_key.map_or(Ok(()), |public_key| payload.verify(public_key))?)
}

#[cfg(not(feature = "signed"))]
fn check_signature(_: &Payload<'_>, public_key: Option<&str>) -> Result<(), Refusal> {
    match public_key {
        None => Ok(()),
        Some(_) => {
            let text = "this launcher was built without what checks signatures".to_owned();
            Err(Refusal { text, code: EXIT_CONFIG })
        }
    }
}

/// Whether the libpython is the one that the payload is for; `ours`: it came with the launcher.
fn check_python(wanted: &str, ours: bool) -> Result<(), Refusal> {
    let (version, _) = crate::interpreter::version();
    if version == wanted {
        return Ok(());
    }
    if !ours {
        let text = format!(
            "this launcher is for Python {wanted}, and the device's libpython is Python {version}: build it against \
             the sysroot of this device"
        );
        return Err(Refusal { text, code: EXIT_PYTHON });
    }
    let text = format!("the payload is for Python {wanted}, this launcher runs Python {version}");
    Err(Refusal { text, code: EXIT_PAYLOAD })
}

/// Else Python would say that it has no module `encodings`.
fn check_stdlib(folder: &str) -> Result<(), Refusal> {
    let module = Path::new(folder).join("encodings/__init__.py");
    let compiled = Path::new(folder).join("encodings/__init__.pyc");
    if module.is_file() || compiled.is_file() {
        return Ok(());
    }
    let (_, version) = crate::interpreter::version();
    let text = format!(
        "Python could not start: the device has libpython {version}, and no standard library in {folder}, where this \
         launcher was built to look; install that of the device's Python, or build the launcher without \
         `link = \"system\"`"
    );
    Err(Refusal { text, code: EXIT_PYTHON })
}

/// The launcher's own path: what the kernel says, else what the caller called it.
fn executable(called: Option<&OsString>) -> Result<String, Refusal> {
    let path = std::env::current_exe().or_else(|error| {
        // Without /proc.
        let name = called.ok_or(error)?;
        if name.as_bytes().contains(&b'/') {
            return std::fs::canonicalize(name);
        }
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
            .and_then(std::fs::canonicalize)
    });
    let refusal = |text: String| Refusal { text, code: EXIT_CONFIG };
    let path = path
        .map_err(|error| refusal(format!("the launcher's own path cannot be found: {error}; mount /proc or call it by its full path")))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| refusal(format!("the launcher's own path is not UTF-8: {path:?}")))
}

enum Role {
    Application,
    Interpreter,
    Refused,
}

/// `sys.executable` is the launcher, so it is also called as `python3` is: by multiprocessing, and by
/// `subprocess` with `-c`, `-m` or a script. Such calls come from a launcher (or are asked for in the
/// environment); from anywhere else the same words are the application's own arguments.
fn role(
    arguments: &mut Vec<OsString>,
    executable: &str,
    inside: &dyn Fn(&[u8]) -> bool,
    locked: bool,
    asked: bool,
) -> Role {
    let words: Vec<&[u8]> = arguments[1..].iter().map(|word| word.as_bytes()).collect();
    match first_operand(&words) {
        // `os.execv(sys.executable, [sys.executable] + sys.argv)`: an application that starts itself anew.
        Some(at) if words[at] == executable.as_bytes() => {
            arguments.drain(..=at);
            Role::Application
        }
        _ if asked => Role::Interpreter,
        // Whether or not its parent has died meanwhile: a resource tracker must never become a second
        // application.
        Some(at) if is_multiprocessing(&words[at..]) => {
            // After its work it would ask for more.
            let interactive = words[..at].iter().any(|word| is_flags(word) && word.contains(&b'i'));
            match locked && (interactive || !parent_is_launcher()) {
                true => Role::Refused,
                false => Role::Interpreter,
            }
        }
        // No operand: the program is on standard input.
        at if at.is_none_or(|at| is_code(words[at]) || inside(words[at]))
            && parent_is_launcher() =>
        {
            match locked {
                true => Role::Refused,
                false => Role::Interpreter,
            }
        }
        _ => Role::Application,
    }
}

/// Index of the first word that is no option of `python3`'s own: `-c`, `-m`, `-`, or a file.
fn first_operand(words: &[&[u8]]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word {
            [b'-', b'X' | b'W'] => at += 2,
            [b'-', b'X' | b'W', ..] => at += 1,
            word if is_flags(word) => at += 1,
            _ => return Some(at),
        }
    }
    None
}

/// Whether a word is options of `python3` that take no value.
fn is_flags(word: &[u8]) -> bool {
    matches!(word, [b'-', flags @ ..] if !flags.is_empty()
        && flags.iter().all(|flag| b"bBdEiIOPqRsSuvVx".contains(flag)))
}

fn is_code(word: &[u8]) -> bool {
    matches!(word, b"-" | [b'-', b'c' | b'm', ..])
        || ((word.ends_with(b".py") || word.ends_with(b".pyc"))
            && Path::new(OsStr::from_bytes(word)).is_file())
}

/// Whether a word is the virtual path of a module's file: `os.path.join(os.path.dirname(__file__), "worker.py")`.
fn is_module_file(payload: &dyn Fn() -> Payload<'static>, executable: &str, word: &[u8]) -> bool {
    std::str::from_utf8(word)
        .ok()
        .and_then(|path| path.strip_prefix(executable)?.strip_prefix('/'))
        .is_some_and(|path| path.ends_with(".py") && payload().file(&format!("{path}c")).is_some())
}

/// What `multiprocessing` and its helpers put behind `-c`, and nothing else.
fn is_multiprocessing(words: &[&[u8]]) -> bool {
    let [b"-c", code, ..] = words else { return false };
    let Ok(code) = std::str::from_utf8(code) else { return false };
    [
        "from multiprocessing.spawn import spawn_main; spawn_main(",
        "from multiprocessing.resource_tracker import main;main(",
        "from multiprocessing.forkserver import main; main(",
    ]
    .iter()
    .any(|start| {
        code.strip_prefix(start).and_then(|rest| rest.strip_suffix(')')).is_some_and(|arguments| {
            // Numbers, names, quoted paths and lists: no call, so nothing but multiprocessing's own runs.
            !arguments.contains(['(', ')', ';', '\n'])
        })
    })
}

/// Whether the process that started this one runs the same file.
fn parent_is_launcher() -> bool {
    let file = |path: String| std::fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let parent = std::os::unix::process::parent_id();
    match (file(format!("/proc/{parent}/exe")), file("/proc/self/exe".into())) {
        (Ok(parent), Ok(own)) => parent == own,
        // One of the two has changed its user (a daemon gives up root, then starts its workers), or is closed
        // to others because it is locked down: the name that the kernel took from the program's file is all
        // that it may still see.
        (Err(error), Ok(_)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let name = |of: &str| std::fs::read_to_string(format!("/proc/{of}/comm")).ok();
            let (Some(parent), Some(own)) = (name(&parent.to_string()), name("self")) else {
                return false;
            };
            let (parent, own) = (parent.trim_end(), own.trim_end());
            parent == own || parent == supervisor::zygote_name(own)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_own_options_are_skipped() {
        let operand = |words: &[&str]| {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            first_operand(&words).map(|at| String::from_utf8_lossy(words[at]).into_owned())
        };
        assert_eq!(operand(&["-I", "-c", "pass"]).as_deref(), Some("-c"));
        assert_eq!(operand(&["-X", "utf8", "-Wd", "-sE", "-m", "json"]).as_deref(), Some("-m"));
        assert_eq!(operand(&["--port", "1"]).as_deref(), Some("--port"));
        assert_eq!(operand(&["-p", "-c"]).as_deref(), Some("-p"));
        assert_eq!(operand(&["-I"]), None);
    }

    #[test]
    fn a_helper_of_multiprocessing_is_never_the_application() {
        // The parent of this test is no launcher, as when the parent has died.
        let role = |code: &str, locked| {
            let mut words = ["/app", "-I", "-c", code].map(OsString::from).to_vec();
            super::role(&mut words, "/app", &|_| false, locked, false)
        };
        let tracker = "from multiprocessing.resource_tracker import main;main(4)";
        assert!(matches!(role(tracker, false), Role::Interpreter));
        assert!(matches!(role(tracker, true), Role::Refused));
        assert!(matches!(role("print(1)", false), Role::Application));
    }

    #[test]
    fn only_multiprocessing_passes_a_locked_launcher() {
        let passes = |code: &str| is_multiprocessing(&[b"-c", code.as_bytes()]);
        assert!(passes(
            "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5, pipe_handle=7)"
        ));
        assert!(passes("from multiprocessing.resource_tracker import main;main(4)"));
        assert!(!passes("from multiprocessing.resource_tracker import main;main(exit())"));
        assert!(!passes("from multiprocessing.spawn import spawn_main; spawn_main(1); import os"));
        assert!(!passes("print(1)"));
    }
}
