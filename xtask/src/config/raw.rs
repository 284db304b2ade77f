//! The configuration as it is written: shapes only, every key that exists, nothing checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Spanned, Value};

type Text = Spanned<String>;

/// `pyproject.toml`, as far as it concerns us; other tools' tables are theirs.
#[derive(Debug, Deserialize)]
pub struct PyProject {
    pub project: Option<Project>,
    #[serde(default)]
    pub tool: Tool,
}

#[derive(Debug, Default, Deserialize)]
pub struct Tool {
    #[serde(default)]
    pub pyrmware: Pyrmware,
}

/// `[project]` of PEP 621; keys that we do not need are not looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Project {
    pub name: Option<Text>,
    pub version: Option<Text>,
    pub description: Option<String>,
    pub license: Option<Value>,
    #[serde(default)]
    pub maintainers: Vec<Person>,
    #[serde(default)]
    pub authors: Vec<Person>,
    pub requires_python: Option<String>,
    #[serde(default)]
    pub dependencies: Vec<String>,
    #[serde(default)]
    pub dynamic: Vec<Text>,
    #[serde(default)]
    pub scripts: BTreeMap<String, Text>,
    #[serde(default)]
    pub gui_scripts: BTreeMap<String, Text>,
    #[serde(default)]
    pub entry_points: BTreeMap<Text, BTreeMap<String, Text>>,
}

/// One of `authors` and `maintainers`.
#[derive(Debug, Default, Deserialize)]
pub struct Person {
    pub name: Option<String>,
    pub email: Option<String>,
}

/// `[tool.pyrmware]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pyrmware {
    pub entry: Option<Text>,
    #[serde(default)]
    pub include: Vec<Text>,
    #[serde(default)]
    pub sdists: Vec<Text>,
    #[serde(default)]
    pub prune: Prune,
    #[serde(default)]
    pub optimize: Optimize,
    #[serde(default)]
    pub protect: Protect,
    #[serde(default)]
    pub verify: Verify,
    #[serde(default)]
    pub budget: Budget,
    #[serde(default)]
    pub leakcheck: Leakcheck,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prune {
    pub level: Option<Text>,
    #[serde(default)]
    pub keep: Vec<Text>,
    #[serde(default)]
    pub drop: Vec<Text>,
    #[serde(default)]
    pub allow_missing: Vec<Text>,
    #[serde(default)]
    pub dynamic: BTreeMap<Text, Vec<Text>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Optimize {
    pub docstrings: Option<Spanned<Value>>,
    pub assertions: Option<Spanned<Value>>,
    pub lines: Option<Spanned<Value>>,
    pub columns: Option<Spanned<Value>>,
    pub file_names: Option<Spanned<Value>>,
    pub names: Option<Spanned<Value>>,
    pub patterns: Option<Spanned<Value>>,
    pub lazy_imports: Option<Spanned<Value>>,
    #[serde(default)]
    pub packages: BTreeMap<Text, Shape>,
}

/// `[tool.pyrmware.optimize.packages.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shape {
    pub docstrings: Option<Spanned<Value>>,
    pub assertions: Option<Spanned<Value>>,
    pub lines: Option<Spanned<Value>>,
    pub columns: Option<Spanned<Value>>,
    pub file_names: Option<Spanned<Value>>,
    pub names: Option<Spanned<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Protect {
    pub mode: Option<Spanned<Value>>,
    pub packages: Option<Vec<Text>>,
    #[serde(default)]
    pub modes: BTreeMap<Text, Spanned<Value>>,
    pub key: Option<Text>,
    pub key_file: Option<Text>,
    #[serde(default)]
    pub dumpable: bool,
    pub sign: Option<Text>,
    #[serde(default)]
    pub nuitka: Arguments,
    #[serde(default)]
    pub cython: Cython,
    #[serde(default)]
    pub pyarmor: Arguments,
}

/// `[tool.pyrmware.protect.nuitka]` and `….pyarmor`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Arguments {
    #[serde(default)]
    pub args: Vec<String>,
}

/// `[tool.pyrmware.protect.cython]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cython {
    #[serde(default)]
    pub directives: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Verify {
    pub command: Option<Vec<String>>,
    pub imports: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Budget {
    pub size: Option<Spanned<Value>>,
    pub startup: Option<Spanned<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Leakcheck {
    pub function: Option<Text>,
    pub command: Option<Spanned<Vec<String>>>,
    pub port: Option<Spanned<u16>>,
    pub cycles: Option<Spanned<u32>>,
    pub warmup: Option<u32>,
    #[serde(default)]
    pub types: Vec<Text>,
    #[serde(default)]
    pub allow: BTreeMap<Text, Text>,
}

/// `app/Cargo.toml`; cargo has checked the rest.
#[derive(Debug, Deserialize)]
pub struct CargoToml {
    pub package: Package,
}

#[derive(Debug, Deserialize)]
pub struct Package {
    pub metadata: Metadata,
}

#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub pyrmware: DeviceSide,
}

/// `[package.metadata.pyrmware]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DeviceSide {
    pub python_app: Option<Text>,
    #[serde(default)]
    pub locked_down: bool,
    pub memory: Option<Spanned<Memory>>,
    pub service: Option<Spanned<Service>>,
    pub update: Option<Spanned<Update>>,
    #[serde(default)]
    pub licenses: Licenses,
    #[serde(default)]
    pub package: Packaging,
    #[serde(default)]
    pub device: BTreeMap<Text, Device>,
}

/// `[package.metadata.pyrmware.memory]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Memory {
    pub soft: Option<Spanned<Value>>,
    pub hard: Option<Spanned<Value>>,
    pub on_hard: Option<Text>,
    pub restart: Option<Text>,
    pub report_dir: Option<Text>,
    pub interval: Option<Spanned<Value>>,
    pub horizon: Option<Spanned<Value>>,
    pub relief_time: Option<Spanned<Value>>,
    pub caches: Option<Spanned<Value>>,
    pub gc: Option<Text>,
    pub pressure: Option<Text>,
    pub grace: Option<Spanned<Value>>,
    pub dead_after: Option<Spanned<Value>>,
    #[serde(default)]
    pub track: Vec<Text>,
    pub signal: Option<Text>,
}

/// `[package.metadata.pyrmware.service]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Service {
    pub listen: Option<Vec<Text>>,
    pub heartbeat: Option<Spanned<Value>>,
    pub watchdog: Option<Text>,
    pub watchdog_timeout: Option<Spanned<Value>>,
    pub on_crash: Option<Text>,
    pub restarts: Option<Spanned<u32>>,
    pub back_off: Option<Spanned<Value>>,
    pub preload: Option<Vec<Text>>,
}

/// `[package.metadata.pyrmware.update]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Update {
    pub dir: Option<Text>,
    pub tries: Option<Spanned<u32>>,
    pub ready_within: Option<Spanned<Value>>,
}

/// `[package.metadata.pyrmware.licenses]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Licenses {
    pub allow: Option<Vec<Text>>,
    #[serde(default)]
    pub deny: Vec<Text>,
    #[serde(default)]
    pub known: BTreeMap<Text, Text>,
    #[serde(default)]
    pub except: BTreeMap<Text, Text>,
}

/// `[package.metadata.pyrmware.package]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Packaging {
    #[serde(default)]
    pub formats: Vec<Text>,
    pub name: Option<Text>,
    pub maintainer: Option<Text>,
    pub description: Option<Text>,
    pub license: Option<Text>,
    pub homepage: Option<Text>,
    pub prefix: Option<Text>,
    #[serde(default)]
    pub arguments: Vec<Text>,
    pub user: Option<Text>,
    pub state: Option<Text>,
    #[serde(default)]
    pub writable: Vec<Text>,
    #[serde(default)]
    pub notify: bool,
    pub memory_max: Option<Spanned<Value>>,
    #[serde(default)]
    pub unit: Vec<Text>,
    #[serde(default)]
    pub init: BTreeMap<Text, Vec<Text>>,
    #[serde(default)]
    pub depends: BTreeMap<Text, Vec<Text>>,
}

/// `[package.metadata.pyrmware.device.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Device {
    pub target: Option<Text>,
    pub python: Option<Text>,
    pub link: Option<Text>,
    pub linker: Option<Text>,
    pub host: Option<Text>,
    pub runner: Option<Text>,
    pub extensions: Option<Text>,
    #[serde(default)]
    pub architecture: BTreeMap<Text, Text>,
}
