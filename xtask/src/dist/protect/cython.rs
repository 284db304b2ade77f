//! Cython: one shared object for each module, from its source through C.

use anyhow::{Context, Result};

use super::Sealed;
use super::native::{self, Folder, Said, Source, Tool, Workshop, finish};
use crate::config::Mode;
use crate::dist::parallel;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "Cython",
    mode: Mode::Cython,
    version: "3.3.1",
    packages: &["cython==3.3.1"],
    // The C is for the device's Python as for any.
    crosses: true,
    needs: &[("collections.abc", 0), ("types", 0)],
};

/// The C that Cython writes, and what becomes of it.
const C: &str = "module.c";
const OBJECT: &str = "module.so";

/// How the C is compiled: as the interpreter is, without a trace of where.
const FLAGS: [&str; 13] = [
    "-shared",
    "-fPIC",
    "-O2",
    "-g0",
    "-w",
    "-DNDEBUG",
    // Strings as they are: nothing is hidden by zlib, which the module would import when it starts.
    "-DCYTHON_COMPRESS_STRINGS=0",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
    "-Wl,-s",
    "-Wl,--build-id=none",
    "-Wl,-z,relro,-z,now",
];

/// Compiles the modules and puts the shared objects into the tree.
///
/// # Errors
/// There are no headers, no compiler, or Cython refuses a module.
pub fn run(workshop: &Workshop<'_>, sealed: &mut Sealed, sources: Vec<Source>) -> Result<()> {
    workshop.need_headers()?;
    let objects = parallel::each(&sources, |source| {
        let way = way(workshop, source);
        let known = [way.as_slice(), &FLAGS.map(str::to_owned)].concat();
        let made =
            workshop.made(&[source], &known, |folder| compile(workshop, folder, source, &way));
        made.map(|folder| folder.join(OBJECT))
    })?;
    for (source, object) in sources.iter().zip(objects) {
        native::replace(workshop.plan, sealed, source, &object?)?;
        sealed.called.insert(source.path.clone(), source.path.clone());
    }
    Ok(())
}

/// Cython's arguments. Annotations mean nothing to Python, and so nothing to what is compiled: as types for C,
/// `x: float` would make a number of another kind of it. A name that is nowhere is an error when it is asked for,
/// as ever, and not before: it may be one of another system's, `WindowsError`.
fn way(workshop: &Workshop<'_>, source: &Source) -> Vec<String> {
    let mut words = ["--lenient", "--module-name", &source.name].map(str::to_owned).to_vec();
    words.extend((!source.docstrings).then(|| "--no-docstrings".to_owned()));
    let own = [("language_level", "3"), ("annotation_typing", "False")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
    let asked = workshop.plan.config.project.protect.cython.clone();
    for (name, value) in own.chain(asked) {
        words.extend(["-X".to_owned(), format!("{name}={value}")]);
    }
    words
}

fn compile(
    workshop: &Workshop<'_>,
    folder: &Folder,
    source: &Source,
    way: &[String],
) -> Result<()> {
    let mut cython = workshop.command(folder)?;
    // By relative paths: they are what tracebacks show.
    cython.args(["-m", "cython"]).args(way).args(["-o", "../module.c"]).arg(&source.path);
    let said = finish(&mut cython)?;
    if !said.well {
        return Err(explain(workshop, source, &said));
    }
    let mut cc = workshop.compiler(folder);
    cc.current_dir(&folder.top).args(FLAGS).arg("-I").arg(&workshop.plan.interpreter.include);
    let said = finish(cc.args([C, "-o"]).arg(format!("out/{OBJECT}")))?;
    match said.well {
        true => Ok(()),
        false => Err(workshop.failed(&said)).with_context(|| {
            format!(
                "the C that Cython made of module {} does not compile; {}",
                source.name,
                TOOL.otherwise(&source.name)
            )
        }),
    }
}

/// What Cython says of the first place that it does not take: `path:line:column: why`.
fn explain(workshop: &Workshop<'_>, source: &Source, said: &Said) -> anyhow::Error {
    let place = format!("{}:", source.path);
    let found = said.text.lines().find_map(|line| {
        let (number, rest) = line.strip_prefix(&place)?.split_once(':')?;
        let (_, why) = rest.split_once(": ")?;
        Some((number.parse().ok()?, why))
    });
    match found {
        Some((line, why)) => TOOL.refuses(source, Some(line), why),
        None => workshop.failed(said).context(format!(
            "Cython cannot compile module {}; {}",
            source.name,
            TOOL.otherwise(&source.name)
        )),
    }
}
