//! Launchers that are configured otherwise than this workspace's.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Image;

/// A clone of the workspace whose launcher has this configuration. It keeps its place, and all such
/// clones share a target folder, so that the launcher's dependencies are compiled once.
pub fn workspace(name: &str, ours: &str, device: &str) -> PathBuf {
    let folder = super::scratch().join("workspaces").join(name);
    // Sources that are gone must not stay.
    let _ = fs::remove_dir_all(&folder);
    super::clone_into(&folder);
    configure(&folder, ours, device);
    folder
}

/// Gives the launcher of a clone another configuration, for which nothing is compiled anew.
pub fn configure(folder: &Path, ours: &str, device: &str) {
    let manifest = "app/Cargo.toml";
    let text = fs::read_to_string(super::ROOT.join(manifest)).expect("it can be read");
    let table = "[package.metadata.pyrmware]\n";
    assert!(text.contains(table), "{text}");
    let text = text.replace(table, &format!("{table}{ours}"));
    fs::write(folder.join(manifest), format!("{text}\n{device}")).expect("it is written");
}

/// `cargo xtask dist --device DEVICE` of a project there.
pub fn dist(workspace: &Path, project: &Path, device: &str) -> Image {
    let target = super::scratch().join("workspaces/target");
    share_tools(&target.join("pyrmware"));
    let task = super::xtask()
        .cwd(workspace)
        .args(["dist", "--message-format", "json", "--device", device, "--project"])
        .arg(project)
        .args(super::python())
        .env("CARGO_TARGET_DIR", target);
    Image::of(&task.run().success())
}

/// What is installed into this workspace's target folder is the clones', too: nothing is fetched twice.
pub fn share_tools(to: &Path) {
    let tools = super::scratch().with_file_name("pyrmware").join("tools");
    for folder in [&tools, to] {
        fs::create_dir_all(folder).expect("a folder is made");
    }
    match std::os::unix::fs::symlink(&tools, to.join("tools")) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            panic!("cannot share tools: {error}")
        }
        _ => {}
    }
}
