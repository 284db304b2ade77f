//! A report, as a launcher writes it. What is missing is unknown; what is not known here is passed over.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The youngest form of reports that is read.
const FORMAT: u64 = 1;
/// How a launcher's reports are called.
const PREFIX: &str = "memory-";

/// One report. Sizes are in bytes, times in seconds since the start of the run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The file it was read from.
    #[serde(skip)]
    pub file: PathBuf,
    pub app: String,
    pub version: Text,
    pub device: Option<String>,
    pub python: Option<String>,
    pub reason: String,
    pub text: Text,
    /// Unix seconds, by the device's clock.
    pub time: Option<u64>,
    pub uptime: f64,
    pub process: Option<u64>,
    pub last_exit: Option<String>,
    #[serde(flatten)]
    pub sizes: Sizes,
    pub soft: Option<u64>,
    pub hard: Option<u64>,
    pub ceiling: Option<Ceiling>,
    pub heap: Option<Heap>,
    pub timeline: List<Point>,
    pub verdicts: List<Verdict>,
    pub relief: Option<Relief>,
    pub hooks: List<Hook>,
    pub dead: List<Dead>,
    pub tracked: List<Tracked>,
    pub snapshot: Option<Snapshot>,
    /// Whether lists were cut to keep the file small.
    pub cut: bool,
}

/// What may be null as well as missing.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(List(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// A text that may be null; empty: unknown.
#[derive(Debug, Clone, Default)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// What is measured at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sizes {
    pub rss: Option<u64>,
    pub private: Option<u64>,
    pub fds: Option<u64>,
    pub threads: Option<u64>,
    pub tasks: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Point {
    pub at: f64,
    #[serde(flatten)]
    pub sizes: Sizes,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Ceiling {
    pub bytes: u64,
    #[serde(default)]
    pub source: String,
}

/// After the last full collection.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Heap {
    pub objects: Option<u64>,
    pub blocks: Option<u64>,
    /// Bytes that it gave back.
    pub garbage: Option<u64>,
    pub malloc_used: Option<u64>,
    pub malloc_free: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Verdict {
    pub kind: String,
    pub alarm: bool,
    pub text: Text,
    pub per_hour: Option<f64>,
    pub per_hour_at_least: Option<f64>,
    pub headroom: Option<f64>,
    pub seconds_to_limit: Option<f64>,
    pub seconds_to_limit_at_most: Option<f64>,
    pub window_seconds: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Relief {
    pub level: u64,
    pub milliseconds: f64,
    /// Bytes that each way gave back.
    pub given: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub name: String,
    pub calls: u64,
    pub bytes: i64,
    pub milliseconds: f64,
    pub useless: bool,
    pub failed: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Dead {
    pub why: Text,
    #[serde(rename = "type")]
    pub kind: String,
    pub count: u64,
    pub signature: Text,
    pub example: Text,
    pub seconds: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Tracked {
    #[serde(rename = "type")]
    pub kind: String,
    pub count: u64,
    pub before: Option<u64>,
}

/// What `pyrmware.snapshot()` says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    pub pause_us: Option<f64>,
    pub objects: Option<u64>,
    pub complete: Option<bool>,
    pub paths: Option<bool>,
    pub unreached: u64,
    pub since_seconds: Option<f64>,
    pub holders: List<Holder>,
    pub types: List<Kind>,
    pub grown: List<Kind>,
    pub containers: List<Container>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Holder {
    #[serde(rename = "type")]
    pub kind: String,
    pub signature: String,
    pub example: String,
    pub count: u64,
    pub of: u64,
    pub bytes: u64,
    pub per_hour: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Kind {
    #[serde(rename = "type")]
    pub name: String,
    pub count: i64,
    pub bytes: i64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    #[serde(rename = "type")]
    pub kind: String,
    pub length: u64,
    pub path: String,
}

/// The reports in files and folders, each folder's in the order in which they were written.
///
/// # Errors
/// A file that is missing, damaged, or no report; a folder without any.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for path in paths {
        if !path.exists() {
            bail!(
                "{} is not there; name a report, or a copy of the device's report-dir",
                path.display()
            );
        }
        if path.is_dir() {
            for file in inside(path)? {
                reports.push(read(&file)?);
            }
        } else {
            reports.push(read(path)?);
        }
    }
    Ok(reports)
}

fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let act = || format!("cannot list {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(act)? {
        let path = entry.with_context(act)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(".json") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!(
            "{} has no report: no file {PREFIX}NUMBER-REASON.json; report-dir in \
             [package.metadata.pyrmware.memory] says where a launcher writes them",
            folder.display()
        );
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<Report> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let value: Value = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is damaged: it is no JSON; copy it from the device again, or leave it out",
            file.display()
        )
    })?;
    let no_report = || {
        format!(
            "{} is JSON, but no memory report; a launcher writes them into its report-dir",
            file.display()
        )
    };
    if !(value["app"].is_string() && value["reason"].is_string() && value["uptime"].is_number()) {
        bail!(no_report());
    }
    if let Some(format) = value["format"].as_u64().filter(|format| *format > FORMAT) {
        bail!(
            "{} has format {format}, and this xtask reads {FORMAT}; read it with the xtask that built \
             the launcher",
            file.display()
        );
    }
    let mut report: Report = serde_json::from_value(value).with_context(no_report)?;
    file.clone_into(&mut report.file);
    Ok(report)
}
