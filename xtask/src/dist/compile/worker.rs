//! A Python process that compiles one module after the other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, ensure};
use pyrmware_payload::Deferred;

use crate::dist::transform::{Form, Pattern};
use crate::python::Interpreter;

/// What runs in the worker.
pub const SCRIPT: &str = include_str!("../../python/compile.py");

/// One source to be compiled.
pub struct Request<'a> {
    /// `co_filename`.
    pub filename: &'a str,
    /// The file's bytes, in whatever encoding they declare.
    pub source: &'a [u8],
    /// For `_sysconfigdata_*`: how its values are made independent of the machine.
    pub neutral: Option<&'a Neutral>,
    /// What is left out or put off.
    pub form: &'a Form,
}

/// How paths leave the values of `_sysconfigdata_*`; see `neutral()` in compile.py.
#[derive(Debug, Default, serde::Serialize)]
pub struct Neutral {
    /// Old prefix -> new one, applied in this order.
    pub replace: Vec<(String, String)>,
    /// Words with one of these in them go.
    pub remove: Vec<String>,
}

/// What the worker answered.
pub enum Answer {
    /// It compiled.
    Code {
        /// `marshal.dumps` of the code object.
        marshalled: Vec<u8>,
        /// The statements that were taken out of it.
        deferred: Vec<Deferred>,
    },
    /// It does not compile.
    Refused(Refusal),
    /// The request does not fit the source.
    Fault(String),
}

/// Why a source does not compile.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Refusal {
    /// As Python says it: "invalid syntax".
    #[serde(rename = "error")]
    pub message: String,
    /// 1-based.
    pub line: Option<u32>,
    /// The line itself.
    pub text: Option<String>,
}

/// The process. It ends when this is dropped.
pub struct Worker {
    child: Child,
    requests: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker and checks that it is what the plan says. `columns`: whether code knows the
    /// positions of its parts within their lines, which is decided for a process.
    ///
    /// # Errors
    /// The program does not start, or compiles for another magic number.
    pub fn start(interpreter: &Interpreter, columns: bool) -> Result<Worker> {
        Self::start_with(interpreter, columns, SCRIPT)
    }

    pub(super) fn start_with(
        interpreter: &Interpreter,
        columns: bool,
        script: &str,
    ) -> Result<Worker> {
        let program = interpreter.program.display();
        let options: &[&str] = if columns { &[] } else { &["-X", "no_debug_ranges"] };
        let mut child = interpreter
            .command()
            .args(options)
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {program} to compile modules"))?;
        let requests = child.stdin.take().map(BufWriter::new);
        let answers = BufReader::new(child.stdout.take().context("the worker has no stdout")?);
        let mut worker = Worker { child, requests, answers };
        let hello: Hello = worker.line().with_context(|| {
            format!("{program} did not start as a worker that compiles modules")
        })?;
        ensure!(
            hello.magic == interpreter.magic,
            "{program} compiles for magic number {}, but the interpreter at {} has {}; \
             name a matching prefix with --python",
            hello.magic,
            interpreter.prefix.display(),
            interpreter.magic,
        );
        Ok(worker)
    }

    /// Compiles one source.
    ///
    /// # Errors
    /// The process died or does not follow the protocol; it is of no use any more.
    pub fn compile(&mut self, request: &Request<'_>) -> Result<Answer> {
        let head = Head {
            filename: request.filename,
            size: request.source.len(),
            neutral: request.neutral,
            form: request.form,
        };
        let requests = self.requests.as_mut().context("the worker has ended")?;
        serde_json::to_writer(&mut *requests, &head)?;
        requests.write_all(b"\n")?;
        requests.write_all(request.source)?;
        requests.flush()?;
        match self.line()? {
            Reply::Refused(refusal) => Ok(Answer::Refused(refusal)),
            Reply::Fault { fault } => Ok(Answer::Fault(fault)),
            Reply::Code { size, deferred } => {
                let marshalled = self.bytes(size)?;
                let deferred = deferred
                    .into_iter()
                    .map(|Statement { names, line, size }| {
                        Ok(Deferred { names, line, code: self.bytes(size)? })
                    })
                    .collect::<Result<_>>()?;
                Ok(Answer::Code { marshalled, deferred })
            }
        }
    }

    /// Compiles regular expressions: for which engine, and the arguments of `_sre.compile` for each that
    /// can be compiled.
    ///
    /// # Errors
    /// As [`Worker::compile`].
    pub fn patterns(&mut self, patterns: &[&Pattern]) -> Result<(String, Vec<Option<Vec<u8>>>)> {
        let asked: Vec<_> = patterns.iter().map(|p| (&p.text, p.bytes, p.flags)).collect();
        let requests = self.requests.as_mut().context("the worker has ended")?;
        serde_json::to_writer(&mut *requests, &serde_json::json!({"patterns": asked}))?;
        requests.write_all(b"\n")?;
        requests.flush()?;
        let Engine { engine, sizes } = self.line()?;
        ensure!(sizes.len() == patterns.len(), "the worker answered another request");
        let read = |size: Option<usize>| size.map(|size| self.bytes(size)).transpose();
        Ok((engine, sizes.into_iter().map(read).collect::<Result<_>>()?))
    }

    fn bytes(&mut self, size: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.answers.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the worker ended without an answer");
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input ends it; a worker that hangs is ended anyway.
        self.requests = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(serde::Serialize)]
struct Head<'a> {
    filename: &'a str,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    neutral: Option<&'a Neutral>,
    form: &'a Form,
}

#[derive(serde::Deserialize)]
struct Engine {
    engine: String,
    sizes: Vec<Option<usize>>,
}

#[derive(serde::Deserialize)]
struct Hello {
    magic: u16,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Reply {
    Code { size: usize, deferred: Vec<Statement> },
    Fault { fault: String },
    Refused(Refusal),
}

#[derive(serde::Deserialize)]
struct Statement {
    names: Vec<String>,
    line: u32,
    size: usize,
}

/// The workers of one thread, started when they are first needed.
pub struct Workers<'i> {
    interpreter: &'i Interpreter,
    /// By whether their code has columns.
    workers: BTreeMap<bool, Worker>,
}

impl<'i> Workers<'i> {
    /// No worker yet.
    pub fn new(interpreter: &'i Interpreter) -> Workers<'i> {
        Workers { interpreter, workers: BTreeMap::new() }
    }

    /// Compiles one source with the worker for its form.
    ///
    /// # Errors
    /// As [`Worker::start`] and [`Worker::compile`].
    pub fn compile(&mut self, request: &Request<'_>) -> Result<Result<Answer>> {
        let columns = request.form.columns;
        let worker = match self.workers.entry(columns) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Worker::start(self.interpreter, columns)?),
        };
        let answer = worker.compile(request);
        if answer.is_err() {
            // Another one will be started, and says what is wrong if it is not the source.
            self.workers.remove(&columns);
        }
        Ok(answer)
    }
}
