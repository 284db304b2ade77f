//! The one call of cargo that builds the launcher.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use sha2::{Digest, Sha256};
use xshell::{Shell, cmd};

use super::libpython;
use super::rustflags::{self, Flags};
use crate::dist::hex;
use crate::dist::pack::Packed;
use crate::dist::resolve::{LinkPlan, Plan};

/// The launcher's package and program.
const PACKAGE: &str = "pyrmware-launcher";
/// The library that the program is made of.
const LIBRARY: &str = "pyrmware_launcher";

/// What cargo has built.
pub struct Built {
    /// The program's bytes, with the payload among them.
    pub launcher: Vec<u8>,
    /// Digest of what it is made of besides the payload, wherever the linker has put that.
    pub code: String,
}

/// Builds the launcher around this payload and gives the program that cargo made.
///
/// The payload is always included from the same place, so that another one compiles main.rs and nothing else.
/// Nobody else builds there meanwhile.
///
/// # Errors
/// Cargo fails, with the compiler's messages; a file cannot be read or written.
pub fn build(plan: &Plan, packed: &Packed) -> Result<Built> {
    let (payload, sealed) = (&packed.payload, &packed.sealed);
    let paths = &plan.config.paths;
    let folder = paths.launcher_target(&id(plan));
    let _alone = lock(&folder)?;
    let included = folder.join("payload.zip");
    write_if_changed(&included, payload)?;
    let pyo3 = folder.join("pyo3-config.txt");
    write_if_changed(&pyo3, libpython::pyo3_config(plan).as_bytes())?;
    let exports = folder.join("exports.txt");
    write_if_changed(&exports, libpython::EXPORTS.as_bytes())?;
    let libraries = folder.join("lib");
    write_if_changed(&libraries.join("libgcc_s.so"), libpython::UNWINDER.as_bytes())?;
    let link = folder.join(format!("link-{}.txt", state(plan.link.library())?));
    let arguments = libpython::arguments(plan, &exports, &libraries).join("\n") + "\n";
    write_if_changed(&link, arguments.as_bytes())?;

    let sh = Shell::new()?;
    sh.change_dir(&paths.root);
    let (cargo, manifest) = (&plan.cargo, paths.app_manifest());
    let mut command = cmd!(
        sh,
        "{cargo} rustc --package {PACKAGE} --bin {PACKAGE} --release --message-format=json
         --manifest-path {manifest} --target-dir {folder}"
    );
    for feature in sealed.features() {
        command = command.args(["--features", feature]);
    }
    if plan.config.resolution.locked {
        command = command.arg("--locked");
    }
    if plan.config.resolution.offline {
        command = command.arg("--offline");
    }
    if let Some(target) = &plan.config.device.target {
        command = command.args(["--target", target]);
    }
    let cross = plan.cross.as_ref();
    if let Some((cross, linker)) = cross.and_then(|cross| Some((cross, cross.linker.as_ref()?))) {
        command = command.env(cross.target.cargo_variable("LINKER"), linker);
    }
    let files = || rustflags::from_files(&paths.root, &home().unwrap_or_default(), &plan.target);
    let variable = |name: &str| std::env::var(name).ok();
    command = match rustflags::join(&remap(plan), &plan.target, variable, files) {
        Flags::Encoded(flags) => command.env("CARGO_ENCODED_RUSTFLAGS", flags),
        Flags::Config(config) => command.args(["--config", &config]),
    };
    if matches!(plan.link, LinkPlan::StaticFixed(_)) {
        // For the last crate only: with it rustc asks the linker for a program at a fixed address.
        command = command.args(["--", "-C", "relocation-model=static"]);
    }
    if let Some(signer) = &sealed.signer {
        command = command.env("PYRMWARE_PUBLIC_KEY", signer.public());
    }
    let output = command
        .env("PYRMWARE_PAYLOAD", &included)
        .env("PYRMWARE_LINK", &link)
        .env("PYO3_CONFIG_FILE", &pyo3)
        .quiet()
        .ignore_status()
        .output()
        .with_context(|| format!("starting {} to build the launcher", cargo.display()))?;
    let (program, library) = program(&output)?;
    let read =
        |file: &Path| std::fs::read(file).with_context(|| format!("reading {}", file.display()));
    let mut code = Sha256::new_with_prefix(arguments);
    for file in [&link, &library, &paths.app().join("src/main.rs")] {
        code.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        code.update(read(file)?);
    }
    Ok(Built { launcher: read(&program)?, code: hex(&code.finalize()) })
}

/// Until the file is closed.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let act = || format!("locking {}", path.display());
    std::fs::create_dir_all(folder).with_context(act)?;
    let file = File::create(&path).with_context(act)?;
    file.lock().with_context(act)?;
    Ok(file)
}

/// The program and the library in it among cargo's messages, or what the compiler and cargo have to say.
fn program(output: &std::process::Output) -> Result<(PathBuf, PathBuf)> {
    let (mut program, mut library, mut complaints) = (None, None, String::new());
    for message in Message::parse_stream(output.stdout.as_slice()) {
        match message.context("reading cargo's messages")? {
            Message::CompilerMessage(message) => {
                complaints.push_str(message.message.rendered.as_deref().unwrap_or_default());
            }
            Message::CompilerArtifact(artifact) if artifact.target.name == PACKAGE => {
                program = artifact.executable;
            }
            Message::CompilerArtifact(artifact) if artifact.target.name == LIBRARY => {
                library = artifact.filenames.into_iter().find(|f| f.extension() == Some("rlib"));
            }
            _ => {}
        }
    }
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("building the launcher failed:\n{complaints}{}", stderr.trim_end());
    }
    let built = program.zip(library);
    let (program, library) =
        built.context("cargo built no launcher, although it says that it succeeded")?;
    Ok((program.into(), library.into()))
}

/// Launchers of different interpreters and devices have target folders of their own: switching
/// between them builds nothing again.
fn id(plan: &Plan) -> String {
    let mut hash = Sha256::new();
    hash.update(plan.interpreter.prefix.as_os_str().as_encoded_bytes());
    hash.update(format!("{:?} {}", plan.link, plan.target));
    format!(
        "{}-{}-{}",
        plan.config.device.name,
        plan.interpreter.full_version,
        hex(&hash.finalize()[..4])
    )
}

/// Changes with the file: cargo does not look at what the linker's arguments name.
fn state(file: &Path) -> Result<String> {
    let metadata = file.metadata().with_context(|| format!("reading {}", file.display()))?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(format!("{} {}", metadata.len(), modified.as_nanos()));
    Ok(hex(&hash.finalize()[..8]))
}

/// Panic messages name source files: the same ones on every machine. Of several that match, rustc
/// takes the last.
fn remap(plan: &Plan) -> Vec<String> {
    let paths = &plan.config.paths;
    let folders = [
        (rustup_home(), "/rustup"),
        (Some(paths.root.clone()), "/pyrmware"),
        (Some(paths.target.clone()), "/target"),
        (home(), "/cargo"),
    ];
    folders
        .into_iter()
        .filter_map(|(from, to)| Some(format!("--remap-path-prefix={}={to}", from?.display())))
        .collect()
}

/// Cargo's home.
pub fn home() -> Option<PathBuf> {
    home_of("CARGO_HOME", ".cargo")
}

/// Rustup's home, where the compiler and the standard library's sources may be.
pub fn rustup_home() -> Option<PathBuf> {
    home_of("RUSTUP_HOME", ".rustup")
}

fn home_of(variable: &str, folder: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(folder)))
}

/// Leaves an unchanged file's time alone, so that cargo builds nothing again.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let act = || format!("writing {}", path.display());
    let folder = path.parent().with_context(act)?;
    std::fs::create_dir_all(folder).with_context(act)?;
    std::fs::write(path, content).with_context(act)
}
