//! The application's own folder: where its packages are, its metadata, its entry.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use super::names::{csv, glob, hint, is_identifier, normalise};
use super::walk::list;
use super::{Content, Distribution, Kind, Origin, Resource, Tree};
use crate::config::Project;

/// The folder that the application's packages are in: `src/` where that has some, else the project's own.
pub fn root(project: &Project) -> PathBuf {
    let src = project.dir.join("src");
    let is_package = |(name, folder): (String, bool)| {
        (folder && is_identifier(&name) && src.join(&name).join("__init__.py").is_file())
            || (!folder && name.strip_suffix(".py").is_some_and(is_identifier))
            || (folder && is_identifier(&name) && name == top(project))
    };
    let is_layout = !src.join("__init__.py").is_file()
        && list(&src).is_ok_and(|names| names.into_iter().any(is_package));
    if is_layout { src } else { project.dir.clone() }
}

fn top(project: &Project) -> &str {
    let module = project.entry.module();
    module.split('.').next().unwrap_or(module)
}

/// Whether a name at the top of the project belongs to the project's making, not to the application.
pub fn skips(project: &Project, dir: &Path, name: &str, folder: bool) -> bool {
    let stem = name.strip_suffix(".py").unwrap_or(name);
    if stem == top(project) {
        return false;
    }
    let habit = match folder {
        true => matches!(
            name,
            "test"
                | "tests"
                | "testing"
                | "doc"
                | "docs"
                | "build"
                | "dist"
                | "venv"
                | "env"
                | "node_modules"
                | "target"
                | "benchmarks"
                | "examples"
        ),
        false => matches!(
            name,
            "setup.py"
                | "conftest.py"
                | "noxfile.py"
                | "tasks.py"
                | "fabfile.py"
                | "dodo.py"
                | "versioneer.py"
        ),
    };
    habit
        || name.starts_with('.')
        || name.ends_with(".egg-info")
        || (folder && dir.join(name).join("pyvenv.cfg").is_file())
}

/// Adds the metadata that an installer would have written, so that `importlib.metadata` knows the application.
pub fn describe(project: &Project, tree: &mut Tree) {
    let mut modules: Vec<String> = tree
        .modules
        .iter()
        .filter(|(name, module)| module.origin == Origin::Application && !name.contains('.'))
        .map(|(name, _)| name.clone())
        .collect();
    modules.sort();
    let info =
        format!("{}-{}.dist-info", normalise(&project.name).replace('-', "_"), project.version);
    let mut files = vec![("METADATA", metadata(project))];
    if !project.entry_points.is_empty() {
        files.push(("entry_points.txt", entry_points(project)));
    }
    files.push(("RECORD", String::new()));
    for (name, text) in files {
        let resource = Resource {
            content: Content::Bytes(text.into_bytes()),
            origin: Origin::Application,
            package: None,
        };
        tree.resources.insert(format!("{info}/{name}"), resource);
    }
    let record = record(tree).into_bytes();
    if let Some(resource) = tree.resources.get_mut(&format!("{info}/RECORD")) {
        resource.content = Content::Bytes(record);
    }
    let distribution = Distribution {
        name: project.name.clone(),
        version: project.version.clone(),
        modules,
        info,
        entry_points: project.entry_points.clone(),
    };
    tree.distributions.insert(normalise(&project.name), distribution);
}

fn metadata(project: &Project) -> String {
    let mut text =
        format!("Metadata-Version: 2.1\nName: {}\nVersion: {}\n", project.name, project.version);
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            // A value of several lines would end the headers.
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "{key}: {value}");
        }
    };
    line("Summary", &project.description);
    line("Requires-Python", &project.requires_python);
    for dependency in &project.dependencies {
        line("Requires-Dist", dependency);
    }
    text
}

/// Every file of the application; pack leaves what ships.
fn record(tree: &Tree) -> String {
    let modules =
        tree.modules.values().filter(|m| m.origin == Origin::Application && m.file.is_some());
    let resources = tree.resources.iter().filter(|(_, r)| r.origin == Origin::Application);
    let mut paths: Vec<&str> = modules
        .map(|module| module.path.as_str())
        .chain(resources.map(|(path, _)| path.as_str()))
        .collect();
    paths.sort_unstable();
    paths.iter().map(|path| format!("{},,\n", csv(path))).collect()
}

fn entry_points(project: &Project) -> String {
    let mut text = String::new();
    for (group, names) in &project.entry_points {
        let _ = writeln!(text, "[{group}]");
        for (name, value) in names {
            let _ = writeln!(text, "{name} = {value}");
        }
        text.push('\n');
    }
    text
}

/// Adds the files that `include` names. Patterns are relative to the project, in the `src/` layout to
/// `src` as well; a file's path inside the payload is what it is for the code beside it, without `src/`.
///
/// # Errors
/// A pattern that leaves the project or matches nothing.
pub fn include(project: &Project, tree: &mut Tree) -> Result<()> {
    let src = root(project);
    for pattern in &project.include {
        if pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
            bail!(
                "[tool.pyrmware] include: {pattern:?} leaves the project; \
                 give a pattern relative to {}",
                project.dir.display()
            );
        }
        let mut found = matching(&project.dir, pattern)?;
        if src != project.dir {
            found.extend(matching(&src, pattern)?);
        }
        if found.is_empty() {
            bail!(
                "[tool.pyrmware] include: {pattern:?} matches no file in {}; \
                 mend the pattern or remove it",
                project.dir.display()
            );
        }
        for file in found {
            let path = file.strip_prefix(&src).or_else(|_| file.strip_prefix(&project.dir));
            let Some(path) = path.ok().and_then(Path::to_str) else {
                bail!("[tool.pyrmware] include: the path {} is not UTF-8", file.display());
            };
            tree.resources.entry(path.to_owned()).or_insert(Resource {
                content: Content::File(file.clone()),
                origin: Origin::Application,
                package: None,
            });
        }
    }
    Ok(())
}

/// The files below a folder that fit a pattern; a folder's name stands for everything in it.
fn matching(folder: &Path, pattern: &str) -> Result<BTreeSet<PathBuf>> {
    let fixed = pattern.split('/').take_while(|part| !part.contains(['*', '?']));
    let start =
        fixed.filter(|part| *part != ".").fold(folder.to_owned(), |dir, part| dir.join(part));
    let below = format!("{}/**", pattern.trim_end_matches('/'));
    let mut found = BTreeSet::new();
    if !start.exists() {
        return Ok(found);
    }
    for entry in WalkDir::new(&start).follow_links(true) {
        let entry = entry.with_context(|| format!("cannot read {}", start.display()))?;
        let path = entry.path().strip_prefix(folder).ok().and_then(Path::to_str);
        if entry.file_type().is_file()
            && path.is_some_and(|path| glob(pattern, path) || glob(&below, path))
        {
            found.insert(entry.into_path());
        }
    }
    Ok(found)
}

/// Checks that what the entry names is there and can run.
///
/// # Errors
/// With the file that was looked for and similar names.
pub fn check_entry(project: &Project, tree: &Tree) -> Result<()> {
    let entry = &project.entry;
    let name = entry.module();
    let own = || {
        tree.modules
            .iter()
            .filter(|(_, module)| module.origin == Origin::Application)
            .map(|(name, _)| name.as_str())
    };
    let path = root(project).join(name.replace('.', "/"));
    let Some(module) = tree.modules.get(name) else {
        bail!(
            "[tool.pyrmware] entry = \"{entry}\": there is no module {name}: \
             neither {0}.py nor {0}/__init__.py nor a dependency has it{1}",
            path.display(),
            hint(name, own())
        );
    };
    let runs_package = matches!(entry, pyrmware_payload::Entry::Module(_)) && module.package;
    if runs_package && !tree.modules.contains_key(&format!("{name}.__main__")) {
        bail!(
            "[tool.pyrmware] entry = \"{entry}\" is a package and there is no {}/__main__.py to run; \
             add it, or name a function: \"{name}.module:function\"",
            path.display()
        );
    }
    if module.kind == Kind::Namespace && !module.package {
        bail!("[tool.pyrmware] entry = \"{entry}\" is a folder without modules");
    }
    Ok(())
}
