//! The course of a launcher's start, from what it records with `PYRMWARE_STARTUP`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use pyrmware_payload::startup::{Event, marks};
use serde::{Deserialize, Serialize};

use super::link::Image;

/// With it the launcher records its start into the file that it names.
pub const VARIABLE: &str = "PYRMWARE_STARTUP";
/// What code at the top of a module is called where a function has its name.
const TOP: &str = "<module>";
/// How the application's own module is called while it runs.
const MAIN: &str = "__main__";

/// So often a launcher is started to be measured.
const RUNS: usize = 5;
/// An application that has not ended then is ended.
const LIMIT: Duration = Duration::from_secs(120);

/// Measures an image's start with its self-test.
///
/// # Errors
/// It cannot be started, or records nothing.
pub fn run(image: &Image, command: &[String]) -> Result<Course> {
    let args: Vec<OsString> = command.iter().map(OsString::from).collect();
    let variables = image.packed.sealed.environment();
    let launcher = &image.launcher;
    let start = Start { launcher, args: &args, variables: &variables, limit: LIMIT, clean: true };
    let (courses, _) = start.record(RUNS)?;
    median(courses).context("it was not started")
}

/// One start. Times are in microseconds since the process was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// What went by until something was reached, in order: [`PHASES`].
    pub phases: Vec<Phase>,
    /// When everything was done that the application's main module imports before its first other line
    /// (or before the entry's function is called).
    pub ready: u64,
    /// When the application had returned, or the last thing that is known of it.
    pub end: u64,
    /// Modules in the order in which they were begun.
    pub spans: Vec<Span>,
}

/// A part of the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// When it was done.
    pub end: u64,
}

/// One module, being loaded. An extension module has two: opened, and run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The module.
    pub module: String,
    /// The module whose code asked for it; empty: the launcher.
    pub by: String,
    /// The function that asked, or `<module>`.
    pub function: String,
    /// The line that asked.
    pub line: u32,
    /// When it was begun.
    pub start: u64,
    /// When it was done.
    pub end: u64,
    /// How many other modules were being loaded around it.
    pub depth: usize,
    /// Its time without that of the modules inside.
    pub own: u64,
    /// Threads are numbered in the order in which they first import.
    pub thread: u32,
}

impl Course {
    /// Reads what a launcher recorded; `started` is when its process was, else time begins with `main`.
    ///
    /// # Errors
    /// It recorded nothing, or something else.
    pub fn read(text: &str, started: Option<SystemTime>) -> Result<Course> {
        let mut events = text.lines().map(|line| {
            Event::parse(line).with_context(|| format!("{line:?} is no event of a start"))
        });
        let Some(Event::Begin { unix }) = events.next().transpose()? else {
            bail!("nothing was recorded; a launcher that is locked down does not");
        };
        let started = started.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let before = started.map(|at| unix.saturating_sub(at.as_nanos() as u64));
        let before_main = before.unwrap_or_default();
        let mut reader =
            Reader { before: before_main, open: Vec::new(), course: Course::default() };
        if before.is_some() {
            reader.phase("the process: exec, dynamic linker", 0);
        }
        for event in events {
            reader.take(event?);
        }
        Ok(reader.done())
    }

    /// Microseconds of each package's modules, without that of others that they import.
    pub fn by_package(&self, package: impl Fn(&str) -> String) -> BTreeMap<String, u64> {
        let mut packages = BTreeMap::new();
        for span in &self.spans {
            *packages.entry(package(&span.module)).or_default() += span.own;
        }
        packages
    }

    /// Modules that were not loaded for the start itself.
    pub fn later(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| span.start >= self.ready)
    }
}

/// Events that become a course.
struct Reader {
    /// Nanoseconds from the start of the process to `main`.
    before: u64,
    /// Indices of spans that are not done.
    open: Vec<usize>,
    course: Course,
}

impl Reader {
    fn at(&self, nanoseconds: u64) -> u64 {
        (self.before + nanoseconds) / 1000
    }

    fn phase(&mut self, name: &str, at: u64) {
        let end = self.at(at);
        self.course.end = self.course.end.max(end);
        self.course.phases.push(Phase { name: name.to_owned(), end });
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Begin { .. } => {}
            Event::Mark { at, name } => match name {
                marks::CORE => self.phase("the interpreter's core", at),
                marks::PYTHON => self.phase("importlib, codecs, streams", at),
                marks::MAIN => self.phase("the entry", at),
                _ => self.course.end = self.at(at),
            },
            Event::Enter { at, thread, module, by, function, line } => {
                let start = self.at(at);
                let depth = self.open_in(thread).count();
                self.open.push(self.course.spans.len());
                self.course.spans.push(Span {
                    module: module.to_owned(),
                    by: by.to_owned(),
                    function: function.to_owned(),
                    line,
                    start,
                    end: start,
                    depth,
                    own: 0,
                    thread,
                });
            }
            Event::Leave { at, thread } => {
                let end = self.at(at);
                let Some(place) = self.open.iter().rposition(|i| self.is_in(*i, thread)) else {
                    return;
                };
                self.close(place, end);
                self.course.end = self.course.end.max(end);
            }
        }
    }

    fn close(&mut self, place: usize, end: u64) {
        let index = self.open.remove(place);
        let outer = self.open_in(self.course.spans[index].thread).last();
        let span = &mut self.course.spans[index];
        span.end = end.max(span.start);
        let took = span.end - span.start;
        // Until here it holds the time of the modules inside.
        span.own = took.saturating_sub(span.own);
        if let Some(outer) = outer {
            self.course.spans[outer].own += took;
        }
    }

    fn is_in(&self, index: usize, thread: u32) -> bool {
        self.course.spans[index].thread == thread
    }

    fn open_in(&self, thread: u32) -> impl Iterator<Item = usize> {
        self.open.iter().copied().filter(move |index| self.is_in(*index, thread))
    }

    fn done(mut self) -> Course {
        // The process was ended in the middle of these.
        while let Some(last) = self.open.len().checked_sub(1) {
            self.close(last, self.course.end);
        }
        let begun = self.course.phases.last().map_or(0, |phase| phase.end);
        let of_main = |span: &&Span| span.depth == 0 && span.by == MAIN && span.function == TOP;
        let imports = self.course.spans.iter().filter(of_main).map(|span| span.end).max();
        let ready = imports.unwrap_or(begun).max(begun);
        if ready > begun {
            let name = "what the main module imports".to_owned();
            self.course.phases.push(Phase { name, end: ready });
        }
        self.course.ready = ready;
        self.course
    }
}

/// A launcher that is started to be watched.
pub struct Start<'a> {
    /// The program.
    pub launcher: &'a Path,
    /// What the application is called with.
    pub args: &'a [OsString],
    /// Its variables: the key that the machine which builds lends it.
    pub variables: &'a [(&'a str, &'a str)],
    /// An application that is still running then is killed.
    pub limit: Duration,
    /// In an empty environment, as verify does it.
    pub clean: bool,
}

impl Start<'_> {
    /// Starts it as often and gives the courses, with the last exit status; none: it was killed.
    ///
    /// # Errors
    /// It cannot be started, or records nothing.
    pub fn record(&self, runs: usize) -> Result<(Vec<Course>, Option<ExitStatus>)> {
        let folder = tempfile::tempdir().context("cannot make a folder for the record")?;
        let file = folder.path().join("start");
        let mut courses = Vec::new();
        let mut last = None;
        for _ in 0..runs {
            let (started, status) = self.once(&file)?;
            let text = fs::read_to_string(&file).unwrap_or_default();
            courses.push(Course::read(&text, Some(started))?);
            last = status;
        }
        Ok((courses, last))
    }

    fn once(&self, file: &Path) -> Result<(SystemTime, Option<ExitStatus>)> {
        let mut command = Command::new(self.launcher);
        command.args(self.args);
        if self.clean {
            command.env_clear().env("PATH", "/nonexistent");
        }
        command.envs(self.variables.iter().copied()).env(VARIABLE, file);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = SystemTime::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", self.launcher.display()))?;
        // What it writes is read and forgotten, so that it does not wait for a reader.
        discard(child.stdout.take());
        discard(child.stderr.take());
        let since = Instant::now();
        loop {
            match child.try_wait().context("cannot wait for the launcher")? {
                Some(status) => return Ok((started, Some(status))),
                None if since.elapsed() >= self.limit => {
                    // It may have ended just now; then there is nothing to kill.
                    let _ = child.kill();
                    child.wait().context("cannot wait for the launcher")?;
                    return Ok((started, None));
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

fn discard(pipe: Option<impl Read + Send + 'static>) {
    if let Some(mut pipe) = pipe {
        thread::spawn(move || std::io::copy(&mut pipe, &mut std::io::sink()));
    }
}

/// The course whose `ready` is the median.
pub fn median(mut courses: Vec<Course>) -> Option<Course> {
    courses.sort_by_key(|course| course.ready);
    let middle = courses.len() / 2;
    (!courses.is_empty()).then(|| courses.swap_remove(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: Option<SystemTime> = Some(SystemTime::UNIX_EPOCH);

    fn course(lines: &[&str]) -> Course {
        Course::read(&format!("begin\t1000\n{}", lines.join("\n")), STARTED).unwrap()
    }

    #[test]
    fn time_inside_is_not_a_modules_own() {
        let course = course(&[
            "mark\t9000\tcore",
            "enter\t10000\t0\ta\tencodings\tsearch\t7",
            "leave\t12000\t0",
            "mark\t19000\tpython",
            "mark\t29000\tmain",
            "enter\t30000\t0\tb\t__main__\t<module>\t3",
            "enter\t40000\t0\tc\tb\t<module>\t1",
            "enter\t45000\t1\tother\tthread\trun\t9",
            "leave\t60000\t0",
            "leave\t65000\t1",
            "leave\t90000\t0",
            "enter\t95000\t0\tlate\t__main__\tserve\t8",
            "leave\t96000\t0",
            "mark\t100000\tend",
        ]);
        let shown: Vec<String> = course
            .spans
            .iter()
            .map(|s| format!("{} {} {}-{} {}", s.module, s.depth, s.start, s.end, s.own))
            .collect();
        let expected =
            ["a 0 11-13 2", "b 0 31-91 40", "c 1 41-61 20", "other 0 46-66 20", "late 0 96-97 1"];
        assert_eq!(shown, expected);
        assert_eq!((course.ready, course.end), (91, 101));
        let later: Vec<&str> = course.later().map(|span| span.module.as_str()).collect();
        assert_eq!(later, ["late"]);
        let ends: Vec<u64> = course.phases.iter().map(|phase| phase.end).collect();
        assert_eq!(ends, [1, 10, 20, 30, 91]);
    }

    #[test]
    fn a_start_that_was_ended_in_the_middle_is_read_as_far_as_it_goes() {
        let course = course(&[
            "mark\t1000\tmain",
            "enter\t2000\t0\ta\t__main__\t<module>\t3",
            "enter\t3000\t0\tb\ta\t<module>\t3",
            "leave\t7000\t0",
        ]);
        assert_eq!(course.spans[0].own, 1);
        assert_eq!((course.ready, course.end), (8, 8));
    }

    #[test]
    fn an_empty_record_says_why() {
        let error = Course::read("", STARTED).unwrap_err().to_string();
        assert_eq!(error, "nothing was recorded; a launcher that is locked down does not");
        assert!(Course::read("begin\t1\nhello", STARTED).is_err());
    }

    #[test]
    fn the_median_is_a_course_that_was_seen() {
        let courses = [5, 1, 9].map(|ready| Course { ready, ..Course::default() });
        assert_eq!(median(courses.to_vec()).unwrap().ready, 5);
        assert_eq!(median(Vec::new()), None);
    }
}
