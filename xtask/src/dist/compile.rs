//! [`Transformed`] -> [`Compiled`]: bytecode for the target's magic, byte-reproducible, cached by content.
//!
//! A module is compiled again only if its source, its path, the interpreter's version or the way of
//! compiling changed; when there is nothing to compile no Python starts.

pub mod marshal;
mod neutral;
mod patterns;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pyrmware_payload::{Deferred, PYC_HEADER, append_table};
use sha2::{Digest, Sha256};

pub use self::patterns::Patterns;
use self::worker::{Answer, Neutral, Refusal, Request, Workers};
use super::collect::{Kind, Module, Origin};
use super::parallel;
use super::prune::Kept;
use super::resolve::Plan;
use super::transform::{Form, Transformed};
use crate::python::Interpreter;

/// More workers than this do not help: starting one costs as much as compiling a few modules.
const MOST_WORKERS: usize = 8;
/// A further worker is started for each so many modules.
const MODULES_PER_WORKER: usize = 12;

impl Compiled {
    /// Whether any module has lazy bindings.
    pub fn lazy(&self) -> bool {
        self.forms.values().any(|form| !form.defer.is_empty())
    }
}

/// Kept, with bytecode.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// What ships.
    pub kept: Kept,
    /// Modules that others import when they start, if no import is lazy.
    pub eager: BTreeSet<String>,
    /// What was done to each module with source.
    pub forms: BTreeMap<String, Form>,
    /// Module -> its `.pyc` in the cache (unchecked-hash header, canonical marshal).
    pub bytecode: BTreeMap<String, PathBuf>,
    /// The regular expressions of the source.
    pub patterns: Option<Patterns>,
    /// How many were compiled now rather than found in the cache.
    pub fresh: usize,
}

/// A module to be compiled, with everything that decides its bytecode.
struct Job {
    name: String,
    /// `co_filename`.
    filename: String,
    source: Vec<u8>,
    neutral: Option<Neutral>,
    form: Form,
    /// Where the result goes.
    pyc: PathBuf,
}

/// Compiles every kept module that has source, and checks those that come as bytecode.
///
/// A dependency's or the standard library's module that does not compile is left out, with the reason
/// in [`Kept::dropped`]: packages carry templates and code for other versions that nothing imports.
///
/// # Errors
/// A file cannot be read or written, the worker does not start, a module of the application does not
/// compile (with file, line and text), or a dependency's bytecode is for another version.
pub fn run(plan: &Plan, transformed: Transformed) -> Result<Compiled> {
    let Transformed { kept, forms, eager, patterns } = transformed;
    let mut compiled = Compiled { kept, eager, forms, ..Compiled::default() };
    let mut jobs = Vec::new();
    for (name, module) in &compiled.kept.graph.tree.modules {
        let pyc = match module.kind {
            Kind::Source => {
                let form = compiled.forms.get(name).cloned().unwrap_or_else(Form::plain);
                let job = prepare(plan, name, module, form)?;
                let pyc = job.pyc.clone();
                if !pyc.exists() {
                    jobs.push(job);
                }
                pyc
            }
            Kind::Bytecode => {
                let form = compiled.forms.get(name).cloned().unwrap_or_else(Form::plain);
                adopt(plan, name, module, &form)?
            }
            Kind::Extension | Kind::Namespace | Kind::Interpreter => continue,
        };
        compiled.bytecode.insert(name.clone(), pyc);
    }
    compiled.fresh = jobs.len();
    let (refused, patterns) =
        parallel::both(|| compile_all(&plan.interpreter, &jobs), || patterns::run(plan, patterns));
    for (name, refusal) in refused? {
        leave_out(&mut compiled, &name, &refusal)?;
    }
    compiled.patterns = patterns?;
    Ok(compiled)
}

/// Compiles a module that a later stage has made, as it is, and gives its `.pyc`.
///
/// # Errors
/// As [`run`]: the source is no dependency's.
pub fn also(plan: &Plan, name: &str, path: &str, file: &Path) -> Result<PathBuf> {
    let source = std::fs::read(file)
        .with_context(|| format!("reading module {name} from {}", file.display()))?;
    let (filename, form) = (path.to_owned(), Form::plain());
    let pyc = found(plan, path, &source, None, &form)?;
    let job = Job { name: name.to_owned(), filename, source, neutral: None, form, pyc };
    if !job.pyc.exists()
        && let Some(refusal) =
            compile_one(&mut Workers::new(&plan.interpreter), &plan.interpreter, &job)?
    {
        bail!("{}: {}", file.display(), refusal.message);
    }
    Ok(job.pyc)
}

/// Reads a module's source and finds its place in the cache.
fn prepare(plan: &Plan, name: &str, module: &Module, form: Form) -> Result<Job> {
    let file = file_of(name, module)?;
    let source = std::fs::read(file)
        .with_context(|| format!("reading module {name} from {}", file.display()))?;
    let neutral = neutral::of(plan, name, module);
    let filename = form.filename(name, &module.path);
    let pyc = found(plan, &filename, &source, neutral.as_ref(), &form)?;
    Ok(Job { name: name.to_owned(), filename, source, neutral, form, pyc })
}

/// The place in the cache of a source's bytecode.
fn found(
    plan: &Plan,
    filename: &str,
    source: &[u8],
    neutral: Option<&Neutral>,
    form: &Form,
) -> Result<PathBuf> {
    let key = [
        worker::SCRIPT.as_bytes(),
        &marshal::FORM.to_le_bytes(),
        &plan.interpreter.magic.to_le_bytes(),
        plan.interpreter.full_version.as_bytes(),
        filename.as_bytes(),
        &serde_json::to_vec(&(neutral, form))?,
        &[form.columns.into()],
        &serde_json::to_vec(&form.strip(filename))?,
        source,
    ];
    Ok(cached(plan, &key))
}

/// Takes over bytecode that a dependency ships without source, as if it had been compiled here.
fn adopt(plan: &Plan, name: &str, module: &Module, form: &Form) -> Result<PathBuf> {
    let file = file_of(name, module)?;
    let bytes = std::fs::read(file)
        .with_context(|| format!("reading module {name} from {}", file.display()))?;
    let magic = bytes.first_chunk().map(|magic| u16::from_le_bytes(*magic)).unwrap_or_default();
    let Interpreter { magic: wanted, full_version, version, .. } = &plan.interpreter;
    let code = match bytes.get(PYC_HEADER..) {
        Some(code) if magic == *wanted => code,
        _ => bail!(
            "{} of {} is bytecode with magic number {magic}, Python {full_version} takes {wanted}; \
             install a version of it that has sources or was made for this Python, or leave it out: \
             [tool.pyrmware.prune] drop = [\"{name}\"]",
            file.display(),
            owner(&module.origin),
        ),
    };
    let filename = form.filename(name, &module.path);
    let strip = form.strip(&filename);
    let told = serde_json::to_vec(&strip)?;
    let key = [b"adopted", &marshal::FORM.to_le_bytes()[..], &told, &bytes];
    let path = cached(plan, &key);
    if !path.exists() {
        let code = marshal::canonical(code, *version, strip).with_context(|| {
            format!("reading the bytecode of module {name}, {}", file.display())
        })?;
        store(&path, &pyc(*wanted, &code))?;
    }
    Ok(path)
}

fn file_of<'a>(name: &str, module: &'a Module) -> Result<&'a Path> {
    module.file.as_deref().with_context(|| format!("module {name} has no file"))
}

fn owner(origin: &Origin) -> String {
    match origin {
        Origin::Application => "the application".to_owned(),
        Origin::Dependency(name) => name.clone(),
        Origin::Stdlib => "the standard library".to_owned(),
        Origin::Runtime => "Pyrmware's runtime".to_owned(),
    }
}

/// The `.pyc` of this content in the cache.
fn cached(plan: &Plan, parts: &[&[u8]]) -> PathBuf {
    place(plan, parts, "pyc")
}

/// A file in the cache, named for this content; its parts cannot run into each other.
fn place(plan: &Plan, parts: &[&[u8]], kind: &str) -> PathBuf {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = super::hex(&hash.finalize());
    plan.config.paths.cache().join(kind).join(&hash[..2]).join(format!("{}.{kind}", &hash[2..]))
}

/// A `.pyc` that is never checked against a source.
fn pyc(magic: u16, code: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PYC_HEADER + code.len());
    bytes.extend_from_slice(&magic.to_le_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]); // no lazy bindings
    bytes.extend_from_slice(code);
    bytes
}

/// Writes a file of the cache, aside and renamed.
fn store(path: &Path, bytes: &[u8]) -> Result<()> {
    let act = || format!("writing bytecode into the cache, {}", path.display());
    let folder = path.parent().with_context(act)?;
    std::fs::create_dir_all(folder).with_context(act)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(act)?;
    file.write_all(bytes).with_context(act)?;
    file.persist(path).with_context(act)?;
    Ok(())
}

/// Compiles the jobs in parallel into the cache and gives those that do not compile, by module.
fn compile_all(interpreter: &Interpreter, jobs: &[Job]) -> Result<BTreeMap<String, Refusal>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = jobs.len().div_ceil(MODULES_PER_WORKER).min(cores).min(MOST_WORKERS);
    let next = AtomicUsize::new(0);
    let refused = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            let mut workers = Workers::new(interpreter);
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Some(refusal) = compile_one(&mut workers, interpreter, job)? {
                    let mut refused = refused.lock().map_err(|_| anyhow!("a worker panicked"))?;
                    refused.insert(job.name.clone(), refusal);
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    refused.into_inner().map_err(|_| anyhow!("a worker panicked"))
}

fn compile_one(
    workers: &mut Workers<'_>,
    interpreter: &Interpreter,
    job: &Job,
) -> Result<Option<Refusal>> {
    let request = Request {
        filename: &job.filename,
        source: &job.source,
        neutral: job.neutral.as_ref(),
        form: &job.form,
    };
    let strip = job.form.strip(&job.filename);
    let canonical = |marshalled: &[u8]| {
        marshal::canonical(marshalled, interpreter.version, strip)
            .with_context(|| format!("reading the bytecode of module {}", job.name))
    };
    match workers.compile(&request)? {
        Ok(Answer::Code { marshalled, deferred }) => {
            let mut pyc = pyc(interpreter.magic, &canonical(&marshalled)?);
            if !deferred.is_empty() {
                let table: Vec<Deferred> = deferred
                    .into_iter()
                    .map(|statement| {
                        Ok(Deferred { code: canonical(&statement.code)?, ..statement })
                    })
                    .collect::<Result<_>>()?;
                append_table(&mut pyc, &table);
            }
            store(&job.pyc, &pyc)?;
            Ok(None)
        }
        Ok(Answer::Refused(refusal)) => Ok(Some(refusal)),
        Ok(Answer::Fault(fault)) => bail!(
            "compiling module {} ({}): {fault}. Pyrmware has read the file in another way than Python \
             does, which is a fault of its own; lazy-imports = \"off\" in [tool.pyrmware.optimize] \
             goes around it",
            job.name,
            job.filename,
        ),
        Err(error) => {
            // CPython's compiler has crashed on absurdly nested sources before.
            let message = format!("the compiler gave up: {error}");
            Ok(Some(Refusal { message, line: None, text: None }))
        }
    }
}

/// Takes a module that does not compile out of what ships.
fn leave_out(compiled: &mut Compiled, name: &str, refusal: &Refusal) -> Result<()> {
    compiled.bytecode.remove(name);
    compiled.forms.remove(name);
    compiled.fresh -= 1;
    let modules = &mut compiled.kept.graph.tree.modules;
    let module = modules.remove(name).with_context(|| format!("module {name} is not kept"))?;
    let line = refusal.line.map(|line| format!(":{line}")).unwrap_or_default();
    ensure!(
        matches!(module.origin, Origin::Dependency(_) | Origin::Stdlib),
        "{}{line}: {}{}",
        file_of(name, &module)?.display(),
        refusal.message,
        refusal.text.as_ref().map(|text| format!("\n    {}", text.trim())).unwrap_or_default(),
    );
    let reason = format!("cannot be compiled: {} ({}{line})", refusal.message, module.path);
    compiled.kept.dropped.insert(name.to_owned(), reason);
    compiled.kept.reason.remove(name);
    Ok(())
}
