//! `dist --container ENGINE --image NAME`: the whole pipeline inside a container, for what is to be built with an
//! image's C library, Python and compilers; or, with `--inside sdists`, only packages that are built from source.
//!
//! The container sees the workspace, the application, the target folder and cargo's caches at the places where they
//! are here, and Rust as it is here: the image has to bring Python, a C compiler, and pip
//! or uv for dependencies. It has a target folder of
//! its own, for what another image has compiled does not run there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::config::{Builder, Config, Flags};
use crate::dist::resolve;
use crate::python::{remedy, sysroot};
use crate::target::Target;
use crate::ui::{self, Ui};

/// In which container to build.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Container {
    /// Build in a container of this engine
    #[arg(long = "container", value_name = "podman|docker", requires = "image")]
    engine: Option<Engine>,
    /// The container's image: it has Python with its library, a C compiler, and pip or uv
    #[arg(long, value_name = "NAME", requires = "engine")]
    image: Option<String>,
    /// What is done inside; all else is done here
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, requires = "engine")]
    inside: Inside,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Inside {
    /// The whole build
    #[default]
    All,
    /// Packages that are built from source: the image is of the device's kind, with its Python, pip and a compiler
    Sdists,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Podman,
    Docker,
}

/// Variables that mean the same inside. Cargo sets further ones for its own children, which do not.
const PASSED: [&str; 16] = [
    "CARGO_HTTP_CAINFO",
    "CARGO_TERM_COLOR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_COLOR",
    "NO_PROXY",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PYRMWARE_KEY_FILE",
    "PYRMWARE_RESOLVER",
    "PYRMWARE_SIGN_PASSWORD",
    "RUSTC",
    "RUSTFLAGS",
    "SOURCE_DATE_EPOCH",
    "SSL_CERT_FILE",
    "UV_DEFAULT_INDEX",
];

/// Those of them that name a file, which is there as here: a company's certificates, a key.
const FILES: [&str; 4] = ["CARGO_HTTP_CAINFO", "PIP_CERT", "PYRMWARE_KEY_FILE", "SSL_CERT_FILE"];

/// Where Rust is: what the container gets of it, and in which target folder it works.
struct Places {
    /// `rustc --print sysroot`: of the one that cargo is beside, and of the one in `RUSTC`, if that is said.
    rust: Vec<PathBuf>,
    /// Cargo's caches and configuration.
    cargo_home: PathBuf,
    /// Cargo's target folder inside.
    target: PathBuf,
}

impl Container {
    /// Whether there is to be one, for the whole build.
    pub fn has_everything(&self) -> bool {
        self.engine.is_some() && self.inside == Inside::All
    }

    /// Where packages are built from source, if that is what it is for.
    ///
    /// # Errors
    /// There is no such engine or image, or the image is for other machines than the device is.
    pub fn builder(&self, config: &Config) -> Result<Option<Builder>> {
        let (Some(engine), Some(image), Inside::Sdists) = (self.engine, &self.image, self.inside)
        else {
            return Ok(None);
        };
        let program = engine.find()?;
        let is_for = architecture(&program, image)?;
        let device = match &config.device.target {
            Some(target) => in_go(Target::of(target)?.debian),
            None => here(),
        };
        ensure!(
            is_for == device,
            "{image} is for {is_for}, and device {} for {device}: what is built from source there would not run on it",
            config.device.name
        );
        let id = ask_image(&program, image, "{{.Id}}")?;
        let run = engine.run(config.resolution.offline);
        Ok(Some(Builder { engine: program, run, image: image.clone(), id }))
    }

    /// `dist` with these flags, inside.
    ///
    /// # Errors
    /// There is no such engine or image, or the container cannot be started.
    pub fn dist(&self, flags: &Flags, ui: &Ui) -> Result<ExitCode> {
        let (Some(engine), Some(image)) = (self.engine, &self.image) else {
            bail!("say in which container: --container podman --image NAME");
        };
        let config = Config::load(flags)?;
        let program = engine.find()?;
        let architecture = architecture(&program, image)?;
        let target = config.paths.target.join("container").join(folder_name(image, &architecture));
        let places = Places { rust: resolve::rust_sysroots()?, cargo_home: cargo_home()?, target };
        for folder in [&places.target.join("home"), config.out.parent().unwrap_or(&config.out)] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let foreign = !is_this_machine(&architecture);
        let mut command = Command::new(&program);
        command.args(engine.run(config.resolution.offline));
        for (folder, mode) in mounts(&config, &places, foreign) {
            command.arg("--volume").arg(volume(&folder, mode));
        }
        for (name, value) in variables(&places) {
            let mut text = OsString::from(format!("{name}="));
            text.push(value);
            command.arg("--env").arg(text);
        }
        let passed = passed().filter(|name| !foreign || *name != "RUSTC");
        command.args(passed.flat_map(|name| ["--env", name]));
        command.arg("--workdir").arg(&config.paths.root).arg(image).args(inside(&places)?);
        command.args(words(std::env::args_os().skip(1), &config));
        ui.status("Entering", format_args!("{image} ({architecture}) by {}", program.display()));
        let status =
            command.status().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(match status.code() {
            Some(0) => ExitCode::SUCCESS,
            // The engines' own numbers: they have said why.
            Some(code @ 125..=127) => {
                bail!("{} has not started dist: exit code {code}", program.display())
            }
            _ => ExitCode::FAILURE,
        })
    }
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Engine::Podman => "podman",
            Engine::Docker => "docker",
        }
    }

    fn find(self) -> Result<PathBuf> {
        let package = match self {
            Engine::Podman => "podman",
            Engine::Docker => "docker.io",
        };
        which::which(self.name()).with_context(|| {
            format!(
                "there is no {} on PATH, which --container asks for; remedy: {}",
                self.name(),
                remedy::install(&[package.to_owned()])
            )
        })
    }

    /// How it is told to run a container, which has no network where there is to be none.
    fn run(self, offline: bool) -> Vec<String> {
        let mut words =
            ["run", "--rm", "--security-opt", "label=disable"].map(str::to_owned).to_vec();
        words.extend(self.user());
        if offline {
            words.extend(["--network=none", "--pull=never"].map(str::to_owned));
        }
        words
    }

    /// What is written belongs to whoever has started this.
    fn user(self) -> Vec<String> {
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        match self {
            // It is the container's root already.
            Engine::Podman if user.is_root() => Vec::new(),
            Engine::Podman => vec!["--userns=keep-id".to_owned()],
            Engine::Docker => vec![format!("--user={}:{}", user.as_raw(), group.as_raw())],
        }
    }
}

/// Has packages built from source, of which `requirements` are in a file of that name in `folder`; gives the wheels,
/// which are there then. A Python of this minor version does it; `epoch` is the date of what it writes.
///
/// # Errors
/// The container cannot be started; what pip has to say.
pub fn wheels(
    builder: &Builder,
    python: &str,
    folder: &Path,
    requirements: &str,
    epoch: u64,
) -> Result<Vec<PathBuf>> {
    /// pip takes the shell's place, so that a signal ends it.
    const SCRIPT: &str = r#"
for python in "python$1" python3; do
    if "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
        exec "$python" -m pip wheel --no-deps --require-hashes --no-input --disable-pip-version-check \
            --wheel-dir wheels --requirement "$2"
    fi
done
echo "the image has no Python $1" >&2
exit 1
"#;
    let Builder { engine, run, image, .. } = builder;
    let out = folder.join("wheels");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut command = Command::new(engine);
    command.args(run).arg("--volume").arg(volume(folder, "rw"));
    let named = named_files().map(|file| (file, "ro"));
    for (file, mode) in outermost(named.collect()) {
        command.arg("--volume").arg(volume(&file, mode));
    }
    command
        .args(passed().filter(|name| !name.starts_with("RUST")).flat_map(|name| ["--env", name]));
    command.arg("--env").arg(format!("HOME={}", folder.display()));
    command.arg("--env").arg(format!("SOURCE_DATE_EPOCH={epoch}"));
    command.arg("--workdir").arg(folder).arg(image);
    command.args(["sh", "-c", SCRIPT.trim(), "sh", python, requirements]).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {}", engine.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow::Error::msg(ui::last_lines(&said, SHOWN))
            .context(format!("cannot build packages from source in a container of {image}")));
    }
    let entries = out.read_dir().with_context(|| format!("cannot list {}", out.display()))?;
    let mut wheels: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    wheels.sort();
    Ok(wheels)
}

/// So many lines of what went wrong are shown.
const SHOWN: usize = 20;

/// As Go calls it: "amd64".
fn architecture(program: &Path, image: &str) -> Result<String> {
    ask_image(program, image, "{{.Architecture}}")
}

/// What the engine says of an image, which is fetched where it is not there.
fn ask_image(program: &Path, image: &str, what: &str) -> Result<String> {
    let ask = || {
        Command::new(program)
            .args(["image", "inspect", "--format", what, image])
            .output()
            .with_context(|| format!("cannot start {}", program.display()))
    };
    let mut output = ask()?;
    if !output.status.success() {
        let pulled = Command::new(program).args(["pull", "--quiet", image]).output();
        let pulled = pulled.with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(
            pulled.status.success(),
            "{} has no image {image} and cannot pull it\n{}",
            program.display(),
            String::from_utf8_lossy(&pulled.stderr).trim_end()
        );
        output = ask()?;
    }
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success() && !said.is_empty(),
        "{} does not say what {image} is\n{}",
        program.display(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(said)
}

fn is_this_machine(architecture: &str) -> bool {
    here() == architecture && std::env::consts::OS == "linux"
}

/// This machine, as Go calls it.
fn here() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// As Go calls what Debian calls so.
fn in_go(debian: &'static str) -> &'static str {
    if debian == "armhf" { "arm" } else { debian }
}

fn folder_name(image: &str, architecture: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("{}-{architecture}", image.chars().map(plain).collect::<String>())
}

fn cargo_home() -> Result<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    named.or_else(home).context("neither CARGO_HOME nor HOME says where cargo's caches are")
}

/// Folders that are there as here.
fn mounts(config: &Config, places: &Places, foreign: bool) -> Vec<(PathBuf, &'static str)> {
    let paths = &config.paths;
    let out = config.out.parent().unwrap_or(&config.out).to_owned();
    let written = [&paths.root, &paths.target, &config.project.dir, &places.cargo_home, &out];
    let mut all: Vec<_> = written.into_iter().map(|folder| (folder.clone(), "rw")).collect();
    let protect = &config.project.protect;
    let keys = [protect.key_file.clone(), protect.sign.clone()].into_iter().flatten();
    let named = named_files();
    let rust = places.rust.iter().filter(|_| !foreign).cloned();
    // Any other Python is the image's own.
    let sysroot = config.device.python.as_deref().and_then(sysroot::root_of);
    all.extend(
        keys.chain(named)
            .chain(rust)
            .chain(sysroot)
            .filter(|path| path.is_absolute())
            .map(|path| (path, "ro")),
    );
    outermost(all)
}

/// Files that variables name which the container gets.
fn named_files() -> impl Iterator<Item = PathBuf> {
    let named = FILES.iter().filter_map(|name| std::env::var_os(name).map(PathBuf::from));
    named.filter(|file| file.is_absolute() && file.is_file())
}

/// The names of variables that the engine hands on: it takes the values, which nobody then sees in lists of
/// processes.
fn passed() -> impl Iterator<Item = &'static str> {
    PASSED.into_iter().filter(|name| std::env::var_os(name).is_some())
}

/// Without those that are inside of others.
fn outermost(mut all: Vec<(PathBuf, &'static str)>) -> Vec<(PathBuf, &'static str)> {
    all.sort();
    let mut kept: Vec<(PathBuf, &'static str)> = Vec::new();
    for (folder, mode) in all {
        let covers = |(outer, its): &(PathBuf, &str)| {
            folder.starts_with(outer) && (*its == mode || *its == "rw")
        };
        if !kept.iter().any(covers) {
            kept.push((folder, mode));
        }
    }
    kept
}

fn volume(folder: &Path, mode: &str) -> OsString {
    let mut text = folder.as_os_str().to_owned();
    text.push(":");
    text.push(folder);
    text.push(":");
    text.push(mode);
    text
}

fn variables(places: &Places) -> [(&'static str, OsString); 3] {
    [
        ("CARGO_HOME", places.cargo_home.clone().into()),
        ("CARGO_TARGET_DIR", places.target.clone().into()),
        ("HOME", places.target.join("home").into()),
    ]
}

/// This program itself, where the image's C library can run it, else the one that cargo builds there. The shell is
/// the container's first process, whom no signal ends that it does not await: it passes on what a terminal sends.
const SCRIPT: &str = r#"
PATH="$1:$PATH" own=$2; shift 2
trap 'kill "$!"' INT TERM
if "$own" --version >/dev/null 2>&1; then CARGO="$(command -v cargo)" "$own" "$@" &
else cargo xtask "$@" &
fi
wait "$!"
"#;

fn inside(places: &Places) -> Result<Vec<OsString>> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let words = ["sh", "-c", SCRIPT.trim(), "sh"].map(OsString::from);
    let cargo = places.rust.first().map(|rust| rust.join("bin")).unwrap_or_default();
    Ok(words.into_iter().chain([cargo.into(), own.into()]).collect())
}

/// The command line inside: this one, with absolute paths.
fn words(given: impl Iterator<Item = OsString>, config: &Config) -> Vec<OsString> {
    const REPLACED: [&str; 5] = ["--container", "--image", "--inside", "--project", "--out"];
    let (mut words, mut skip) = (Vec::new(), false);
    for word in given {
        let text = word.to_string_lossy();
        let (name, has_value) = match text.split_once('=') {
            Some((name, _)) => (name, true),
            None => (&*text, false),
        };
        let replaced = REPLACED.contains(&name);
        if !replaced && !skip {
            words.push(word.clone());
        }
        skip = replaced && !has_value;
    }
    let folders = [("--project", &config.project.dir), ("--out", &config.out)];
    words.extend(folders.into_iter().flat_map(|(name, path)| [name.into(), path.into()]));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_are_in_others_are_not_mounted_twice() {
        let all =
            [("/w", "rw"), ("/w/target", "rw"), ("/r", "ro"), ("/r/key", "ro"), ("/w/sign", "ro")];
        let all = all.map(|(folder, mode)| (PathBuf::from(folder), mode));
        let found: Vec<String> = outermost(all.into())
            .into_iter()
            .map(|(folder, mode)| volume(&folder, mode).into_string().unwrap())
            .collect();
        assert_eq!(found, ["/r:/r:ro", "/w:/w:rw"]);
    }

    #[test]
    fn images_have_folders_of_their_own() {
        assert_eq!(folder_name("localhost/base:12", "arm64"), "localhost-base-12-arm64");
    }
}
