//! The application `gate` in several versions, and updates from one to the other.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Image;
use super::workspace::{self, workspace};

/// Does what its arguments say.
pub const SOURCE: &str = include_str!("gate/gate.py");

/// Takes updates from a folder that no machine has: `PYRMWARE_UPDATE_DIR` names another one.
pub const UPDATE: &str = "[package.metadata.pyrmware.update]
dir = \"/nonexistent/gate\"
ready-within = \"2 s\"
";

/// Where versions of it are built, with one key for all of them.
pub struct Gate {
    project: TempDir,
    workspace: PathBuf,
}

impl Gate {
    /// A launcher with these tables. `name`: of a workspace that nobody else has.
    pub fn new(name: &str, tables: &str) -> Gate {
        let project = tempfile::tempdir().expect("a folder can be made");
        let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a key pair");
        let secret = pair.sk.to_box(None).expect("a secret key").into_string();
        fs::write(project.path().join("key"), secret).expect("it is written");
        Gate { project, workspace: workspace(name, "", tables) }
    }

    /// The folder of the project.
    pub fn project(&self) -> &Path {
        self.project.path()
    }

    /// The workspace that builds it.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The launcher of this version, with the update to it beside.
    pub fn dist(&self, version: &str) -> Image {
        self.write(version);
        workspace::dist(&self.workspace, self.project.path(), "host")
    }

    /// The project is of this version from now on.
    pub fn write(&self, version: &str) {
        let table = format!(
            "[project]\nname = \"gate\"\nversion = \"{version}\"\nrequires-python = \">=3.10\"\n\
             [tool.pyrmware]\nentry = \"gate:main\"\n[tool.pyrmware.protect]\nsign = \"key\"\n"
        );
        let source = SOURCE.replace("VERSION = \"0\"", &format!("VERSION = \"{version}\""));
        fs::write(self.project.path().join("pyproject.toml"), table).expect("it is written");
        fs::write(self.project.path().join("gate.py"), source).expect("it is written");
    }

    /// The update to this version.
    pub fn update(&self, version: &str) -> Vec<u8> {
        let image = self.dist(version);
        let file = image.report["update"].as_str().expect("there is an update").to_owned();
        fs::read(image.folder.join(file)).expect("it can be read")
    }
}
