//! `pyproject.toml` -> [`Project`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use pyrmware_payload::Entry;
use toml::{Spanned, Value};

use super::package::is_person;
use super::source::{Complaint, Source};
use super::trace::Trace;
use super::{
    Budget, Docstrings, LazyImports, Level, Optimize, Project, Prune, Shape, leakcheck, protect,
    raw,
};

/// Keys of `[package.metadata.pyrmware]`, which are often looked for here.
const DEVICE_SIDE: [&str; 2] = ["locked-down", "python-app"];
/// Keys of `[package.metadata.pyrmware.device.NAME]`, likewise.
const DEVICE: [&str; 5] = ["architecture", "extensions", "link", "python", "target"];

/// Reads and checks the project's `pyproject.toml`.
pub fn load(dir: &Path, root: &Path) -> Result<Project> {
    let path = dir.join("pyproject.toml");
    if !path.is_file() {
        bail!(
            "{} has no pyproject.toml; name the application's folder with --project or with \
             python-app in [package.metadata.pyrmware] of the launcher's Cargo.toml",
            dir.display()
        );
    }
    let mut project = check(&Source::read(&path, root)?, dir)?;
    project.trace = Trace::of(dir)?;
    Ok(project)
}

pub(super) fn check(source: &Source, dir: &Path) -> Result<Project, Complaint> {
    let file: raw::PyProject = source.parse(elsewhere)?;
    let Some(project) = file.project else {
        return Err(source.missing(
            "tool.pyrmware",
            "there is no table [project]; an application needs one with name and version",
        ));
    };
    let ours = file.tool.pyrmware;
    refuse_dynamic(source, &project)?;
    Ok(Project {
        dir: dir.to_path_buf(),
        name: name(source, project.name.as_ref())?,
        version: version(source, project.version.as_ref())?,
        description: project.description.clone().unwrap_or_default(),
        license: license(&project),
        maintainer: maintainer(&project),
        requires_python: project.requires_python.clone().unwrap_or_default(),
        dependencies: project.dependencies.clone(),
        entry: entry(source, &project, ours.entry.as_ref())?,
        entry_points: entry_points(source, project)?,
        include: ours.include.iter().map(|text| pattern(source, text)).collect::<Result<_, _>>()?,
        sdists: ours.sdists.iter().map(|text| package(source, text)).collect::<Result<_, _>>()?,
        prune: prune(source, &ours.prune)?,
        trace: Trace::default(),
        verify_imports: ours.verify.imports.unwrap_or(true),
        budget: budget(source, &ours)?,
        leakcheck: leakcheck::check(source, ours.leakcheck)?,
        verify: ours.verify.command,
        optimize: optimize(source, &ours.optimize)?,
        protect: protect::check(source, &ours.protect, dir)?,
    })
}

fn elsewhere(path: &str) -> Option<String> {
    let key = path.strip_prefix("tool.pyrmware.")?;
    let table = match key {
        "memory" => ".memory",
        "package" => ".package",
        "device" => ".device.NAME",
        key if DEVICE_SIDE.contains(&key) => "",
        key if DEVICE.contains(&key) => ".device.NAME",
        _ => return None,
    };
    Some(format!("it belongs in app/Cargo.toml under [package.metadata.pyrmware{table}]"))
}

/// An SPDX expression; the table of old names a file or holds a text.
fn license(project: &raw::Project) -> String {
    project.license.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn maintainer(project: &raw::Project) -> Option<String> {
    let people = project.maintainers.iter().chain(&project.authors);
    let mut people =
        people.filter_map(|it| Some(format!("{} <{}>", it.name.as_ref()?, it.email.as_ref()?)));
    people.find(|person| is_person(person))
}

fn refuse_dynamic(source: &Source, project: &raw::Project) -> Result<(), Complaint> {
    const NEEDED: [&str; 7] = [
        "name",
        "version",
        "requires-python",
        "dependencies",
        "scripts",
        "gui-scripts",
        "entry-points",
    ];
    match project.dynamic.iter().find(|key| NEEDED.contains(&key.get_ref().as_str())) {
        None => Ok(()),
        Some(key) => Err(source
            .complain(
                key.span(),
                format!("{} is dynamic: only a build backend could tell it", key.get_ref()),
            )
            .help(format!("write {} into [project] itself", key.get_ref()))),
    }
}

fn name(source: &Source, name: Option<&Spanned<String>>) -> Result<String, Complaint> {
    let Some(name) = name else {
        return Err(source.missing("project", "[project] has no name"));
    };
    let text = name.get_ref();
    if is_package_name(text) {
        return Ok(text.clone());
    }
    Err(source
        .complain(name.span(), "this is no name for a project; the launcher is named after it")
        .help("accepted: ASCII letters, digits, and - _ . between them"))
}

fn version(source: &Source, version: Option<&Spanned<String>>) -> Result<String, Complaint> {
    let Some(version) = version else {
        return Err(source.missing("project", "[project] has no version"));
    };
    let text = version.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || "!+._-".contains(c);
    if text.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(plain)
    {
        return Ok(text.clone());
    }
    Err(source
        .complain(version.span(), "this is no version")
        .help("accepted: as PEP 440 has them, \"1.2.0\""))
}

fn entry(
    source: &Source,
    project: &raw::Project,
    entry: Option<&Spanned<String>>,
) -> Result<Entry, Complaint> {
    const KEY: &str = "entry in [tool.pyrmware]";
    let bad = |text: &Spanned<String>, what: &str| {
        source
            .complain(text.span(), format!("this is no {what}"))
            .help("accepted: \"module\", run as __main__, or \"module:function\"")
    };
    if let Some(text) = entry {
        return Entry::parse(text.get_ref()).ok_or_else(|| bad(text, "entry"));
    }
    let names = || project.scripts.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    match project.scripts.values().collect::<Vec<_>>().as_slice() {
        [script] => {
            Entry::parse(without_extras(script.get_ref())).ok_or_else(|| bad(script, "entry point"))
        }
        [] => Err(source
            .missing(
                "project",
                format!("nothing says what runs: there is no {KEY} and no [project.scripts]"),
            )
            .help("accepted: entry = \"module\" or entry = \"module:function\"")),
        _ => Err(source
            .missing(
                "project.scripts",
                format!("nothing says which of the scripts runs: {}", names()),
            )
            .help(format!("choose one with {KEY}: entry = \"module:function\""))),
    }
}

/// "module:function [extra]", as old projects write it.
fn without_extras(text: &str) -> &str {
    text.split_once('[').map_or(text, |(before, _)| before).trim()
}

fn entry_points(
    source: &Source,
    project: raw::Project,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Complaint> {
    let mut groups = BTreeMap::new();
    for (group, points) in project.entry_points {
        if let Some(table) = match group.get_ref().as_str() {
            "console_scripts" => Some("[project.scripts]"),
            "gui_scripts" => Some("[project.gui-scripts]"),
            _ => None,
        } {
            return Err(source
                .complain(group.span(), "this group has a table of its own")
                .help(format!("write it as {table}")));
        }
        groups.insert(group.into_inner(), points);
    }
    groups.insert("console_scripts".into(), project.scripts);
    groups.insert("gui_scripts".into(), project.gui_scripts);
    groups.retain(|_, points| !points.is_empty());
    let plain = |points: BTreeMap<String, Spanned<String>>| {
        points.into_iter().map(|(name, value)| (name, value.into_inner())).collect()
    };
    Ok(groups.into_iter().map(|(group, points)| (group, plain(points))).collect())
}

fn pattern(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    let path = text.get_ref();
    let inside = !path.is_empty()
        && !path.starts_with('/')
        && !path.contains('\\')
        && path.split('/').all(|part| part != "..");
    if inside {
        return Ok(path.clone());
    }
    Err(source
        .complain(text.span(), "this pattern leaves the project's folder")
        .help("accepted: paths below it, with / between folders and * ? ** as wildcards"))
}

fn package(source: &Source, text: &Spanned<String>) -> Result<String, Complaint> {
    match is_package_name(text.get_ref()) {
        true => Ok(text.get_ref().clone()),
        false => Err(source
            .complain(text.span(), "this is no name of a package")
            .help("accepted: names as in dependencies, without versions")),
    }
}

/// PEP 508's rule for names.
fn is_package_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn prune(source: &Source, prune: &raw::Prune) -> Result<Prune, Complaint> {
    let answers = prune.dynamic.values().flatten();
    for text in prune.keep.iter().chain(&prune.drop).chain(&prune.allow_missing).chain(answers) {
        let name = text.get_ref();
        let module = name.strip_suffix(".*").unwrap_or(name);
        if !matches!(Entry::parse(module), Some(Entry::Module(_))) {
            return Err(source
                .complain(text.span(), "this is no name of a module")
                .help("accepted: \"package.module\", or \"package.*\" for all below too"));
        }
    }
    if let Some(text) = prune
        .drop
        .iter()
        .find(|text| prune.keep.iter().any(|keep| keep.get_ref() == text.get_ref()))
    {
        return Err(source
            .complain(text.span(), "keep names this module too")
            .help("take it out of one of them"));
    }
    let plain = |list: &[Spanned<String>]| list.iter().map(|text| text.get_ref().clone()).collect();
    let site = |(site, answer): (&Spanned<String>, &Vec<Spanned<String>>)| {
        let module = site.get_ref().split(':').next().unwrap_or_default();
        match Entry::parse(module) {
            Some(Entry::Module(_)) => Ok((site.get_ref().clone(), plain(answer))),
            _ => Err(source.complain(site.span(), "this names no place in a module").help(
                "accepted: \"module:function\", \"module:Class.method\", \"module:line\", or \"module\" \
                 for every import by a computed name in it",
            )),
        }
    };
    Ok(Prune {
        level: prune.level.as_ref().map_or(Ok(Level::default()), |text| level(source, text))?,
        keep: plain(&prune.keep),
        drop: plain(&prune.drop),
        allow_missing: plain(&prune.allow_missing),
        dynamic: prune.dynamic.iter().map(site).collect::<Result<_, _>>()?,
    })
}

fn level(source: &Source, text: &Spanned<String>) -> Result<Level, Complaint> {
    let known = Level::NAMES.iter().find(|(name, _)| name == text.get_ref());
    let names = Level::NAMES.map(|(name, _)| format!("\"{name}\""));
    known.map(|(_, level)| *level).ok_or_else(|| {
        source
            .complain(text.span(), "there is no such level of pruning")
            .help(format!("accepted: {}", names.join(", ")))
    })
}

fn budget(source: &Source, ours: &raw::Pyrmware) -> Result<Budget, Complaint> {
    let size = ours.budget.size.as_ref().map(|value| size(source, value)).transpose()?;
    let startup = ours.budget.startup.as_ref();
    if let Some(value) = startup.filter(|_| ours.verify.command.is_none()) {
        return Err(source
            .complain(value.span(), "there is no command whose start could be measured")
            .help(
                "give the arguments of a self-test: command = [\"…\"] in [tool.pyrmware.verify]",
            ));
    }
    let startup = startup.map(|value| duration(source, value)).transpose()?;
    Ok(Budget { size, startup })
}

/// "80 ms", "1.5 s".
pub(super) fn duration(source: &Source, value: &Spanned<Value>) -> Result<Duration, Complaint> {
    let parsed = value.get_ref().as_str().and_then(|text| {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
        let number: f64 = number.trim().parse().ok()?;
        let seconds = match unit {
            "ms" => number / 1000.0,
            "s" => number,
            "min" => number * 60.0,
            "h" => number * 3600.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(seconds).ok()
    });
    parsed.filter(|duration| !duration.is_zero()).ok_or_else(|| {
        source
            .complain(value.span(), "this is no duration")
            .help("accepted: \"80 ms\", \"1.5 s\", \"10 min\" or \"24 h\"")
    })
}

fn optimize(source: &Source, raw: &raw::Optimize) -> Result<Optimize, Complaint> {
    let lazy_imports = match &raw.lazy_imports {
        Some(value) if value.get_ref().is_array() => {
            let names = value.get_ref().as_array().into_iter().flatten();
            let names: Option<Vec<&str>> = names.map(Value::as_str).collect();
            let is_module = |name: &&str| matches!(Entry::parse(name), Some(Entry::Module(_)));
            let names = names.filter(|names| names.iter().all(is_module));
            let names = names.ok_or_else(|| no_way(source, value, "names of packages"))?;
            LazyImports::Packages(names.into_iter().map(str::to_owned).collect())
        }
        Some(value) => match value.get_ref().as_str() {
            Some("auto") => LazyImports::Auto,
            Some("off") => LazyImports::Off,
            _ => return Err(no_way(source, value, "auto, off, [\"package\", …]")),
        },
        None => LazyImports::Auto,
    };
    let patterns = word(source, &raw.patterns, [("compile", true), ("keep", false)])?;
    let shape = raw::Shape {
        docstrings: raw.docstrings.clone(),
        assertions: raw.assertions.clone(),
        lines: raw.lines.clone(),
        columns: raw.columns.clone(),
        file_names: raw.file_names.clone(),
        names: raw.names.clone(),
    };
    let packages = raw.packages.iter().map(|(name, raw)| match Entry::parse(name.get_ref()) {
        Some(Entry::Module(module)) => Ok((module, shape_of(source, raw)?)),
        _ => Err(source
            .complain(name.span(), "this is no name of a package or module")
            .help("accepted: package, or \"package.module\", as they are imported")),
    });
    Ok(Optimize {
        shape: shape_of(source, &shape)?,
        packages: packages.collect::<Result<_, _>>()?,
        lazy_imports,
        patterns: patterns.unwrap_or(true),
    })
}

fn shape_of(source: &Source, raw: &raw::Shape) -> Result<Shape, Complaint> {
    let kept = |value| word(source, value, [("keep", true), ("strip", false)]);
    let docstrings =
        [("auto", Docstrings::Auto), ("keep", Docstrings::Keep), ("strip", Docstrings::Strip)];
    Ok(Shape {
        docstrings: word(source, &raw.docstrings, docstrings)?,
        assertions: kept(&raw.assertions)?,
        lines: kept(&raw.lines)?,
        columns: word(source, &raw.columns, [("strip", false), ("keep", true)])?,
        file_names: kept(&raw.file_names)?,
        names: kept(&raw.names)?,
    })
}

/// What a value's word stands for; none where there is no value.
fn word<T: Copy, const N: usize>(
    source: &Source,
    value: &Option<Spanned<Value>>,
    words: [(&str, T); N],
) -> Result<Option<T>, Complaint> {
    let Some(value) = value else { return Ok(None) };
    let known = words.iter().find(|(word, _)| value.get_ref().as_str() == Some(word));
    let accepted = || words.map(|(word, _)| word).join(", ");
    known.map(|(_, it)| Some(*it)).ok_or_else(|| no_way(source, value, &accepted()))
}

fn no_way(source: &Source, value: &Spanned<Value>, accepted: &str) -> Complaint {
    source
        .complain(value.span(), "this is no way to optimize")
        .help(format!("accepted: {accepted}"))
}

pub(super) fn size(source: &Source, value: &Spanned<Value>) -> Result<u64, Complaint> {
    let bytes = match value.get_ref() {
        Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        Value::String(text) => parse_size(text),
        _ => None,
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| {
        source.complain(value.span(), "this is no size").help(
            "accepted: a number of bytes, or \"12 MiB\" with one of B, kB, KiB, MB, MiB, GB, GiB",
        )
    })
}

/// "12 MiB", "1.5MB", "4096" -> bytes.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "KiB" => 1024.0,
        "MB" => 1e6,
        "MiB" => 1_048_576.0,
        "GB" => 1e9,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * factor).round() as u64)
}
