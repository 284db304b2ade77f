//! An application whose dependencies are made here, and what `plan` says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
pub const TOOLS: [&str; 2] = ["uv", "pip"];

/// An application with dependencies, and a target folder of its own.
pub struct App {
    pub folder: TempDir,
    pub target: TempDir,
}

/// What `plan` answered.
pub struct Answer {
    pub plan: Option<serde_json::Value>,
    /// stderr, with the folders of the test named.
    pub said: String,
}

impl App {
    pub fn new(dependencies: &[&str]) -> App {
        let app = App { folder: TempDir::new().unwrap(), target: TempDir::new().unwrap() };
        let work = app.target.path().join("pyrmware");
        fs::create_dir(&work).unwrap();
        std::os::unix::fs::symlink(tools(), work.join("tools")).unwrap();
        app.project(dependencies, "");
        app
    }

    /// Writes pyproject.toml; `more` goes below `[tool.pyrmware]`.
    pub fn project(&self, dependencies: &[&str], more: &str) {
        let text = format!(
            "[project]\nname = \"app\"\nversion = \"1\"\nrequires-python = \">=3.10\"\ndependencies = {dependencies:?}\n\
             [tool.pyrmware]\nentry = \"app\"\n{more}\n"
        );
        self.write("pyproject.toml", &text);
        self.write("app.py", "");
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Runs `plan` with the tool, the packages of [`packages`], and no index.
    pub fn plan(&self, tool: &str, arguments: &[&str]) -> Answer {
        self.plan_in(&[("PYRMWARE_RESOLVER", tool)], arguments)
    }

    pub fn plan_in(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
        let mut command = Command::new(XTASK);
        command.args(["plan", "--color", "never", "--message-format", "json", "--project"]);
        command.arg(self.folder.path()).args(arguments);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["PIP_", "UV_", "PYO3_", "SOURCE_DATE"].iter().any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command.env("CARGO_TARGET_DIR", self.target.path());
        command
            .env("PIP_FIND_LINKS", packages())
            .env("PIP_NO_INDEX", "1")
            .env("PIP_CONFIG_FILE", "/dev/null");
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        let plan = String::from_utf8(output.stdout).unwrap();
        let last = plan.lines().rfind(|line| line.contains("\"reason\":\"plan\""));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(if last.is_some() { 0 } else { 1 }), "{said}");
        Answer {
            plan: last.map(|line| serde_json::from_str(line).unwrap()),
            said: said.replace(&self.folder.path().display().to_string(), "APP"),
        }
    }

    /// Every file below the only installed folder.
    pub fn site(&self) -> BTreeMap<String, Vec<u8>> {
        let sites = self.target.path().join("pyrmware/cache/site");
        let sites: Vec<PathBuf> =
            fs::read_dir(sites).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(sites.len(), 1, "nothing is left beside the folder: {sites:?}");
        let files = walkdir::WalkDir::new(&sites[0]).into_iter().map(|entry| entry.unwrap());
        files
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(&sites[0]).unwrap().display().to_string();
                (path, fs::read(entry.path()).unwrap())
            })
            .collect()
    }
}

impl Answer {
    #[track_caller]
    pub fn dependencies(&self) -> Vec<String> {
        let Some(plan) = &self.plan else { panic!("{}", self.said) };
        let list = plan["dependencies"].as_array().unwrap().iter();
        list.map(|item| {
            format!("{} {}", item["name"].as_str().unwrap(), item["version"].as_str().unwrap())
        })
        .collect()
    }

    #[track_caller]
    pub fn notes(&self) -> String {
        let Some(plan) = &self.plan else { panic!("{}", self.said) };
        plan["notes"].to_string()
    }

    /// The plan failed, and its message has all of these.
    #[track_caller]
    pub fn fails(&self, texts: &[&str]) {
        assert!(self.plan.is_none(), "it did not fail");
        for text in texts {
            assert!(self.said.contains(text), "missing: {text}\nin: {}", self.said);
        }
    }
}

/// The folder of the packages.
pub fn packages() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/resolve/packages.py");
        let made = Command::new("python3").arg(script).arg(folder.path()).status().unwrap();
        assert!(made.success());
        folder
    });
    folder.path()
}

/// The tools folder of the workspace, with uv in it or on PATH.
pub fn tools() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let target = Path::new(XTASK).parent().and_then(Path::parent).unwrap();
        let folder = target.join("pyrmware/tools");
        fs::create_dir_all(&folder).unwrap();
        if !folder.join("uv/bin/uv").exists() && Command::new("uv").arg("--version").output().is_err() {
            // uv is fetched as everybody's first `dist` fetches it: the only use of the network here.
            let app = TempDir::new().unwrap();
            fs::write(
                app.path().join("pyproject.toml"),
                "[project]\nname = \"app\"\nversion = \"1\"\ndependencies = [\"prt-beta\"]\n[tool.pyrmware]\nentry = \"app\"\n",
            )
            .unwrap();
            fs::write(app.path().join("app.py"), "").unwrap();
            let mut links = packages().as_os_str().to_owned();
            if let Some(more) = std::env::var_os("PIP_FIND_LINKS") {
                links.push(" ");
                links.push(more);
            }
            let output = Command::new(XTASK)
                .args(["plan", "--project"])
                .arg(app.path())
                .envs([("PYRMWARE_RESOLVER", "uv".as_ref()), ("PIP_FIND_LINKS", links.as_os_str())])
                .env("CARGO_TARGET_DIR", target)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        folder
    })
}

/// `name==version` with the hash of one of the packages.
pub fn pinned(requirement: &str, file: &str) -> String {
    use sha2::Digest;
    let bytes = fs::read(packages().join(file)).unwrap();
    let hash: String =
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{requirement} --hash=sha256:{hash}\n")
}
