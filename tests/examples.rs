//! Examples of image builds and of updates: what they call, name and install is there. Yocto, Buildroot and OpenWrt
//! themselves are too large for a test; `app/examples/README.md` says how far they were tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use md5::{Digest, Md5};

use crate::package::packages;
use crate::support;
use crate::support::task::Task;

/// Path in `app/examples` -> text.
fn examples() -> BTreeMap<String, String> {
    let top = support::ROOT.join("app/examples");
    let files = walkdir::WalkDir::new(&top).into_iter().map(|entry| entry.expect("it is listed"));
    let files = files.filter(|entry| entry.file_type().is_file());
    let text = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(&top).expect("it is below").display().to_string();
        (path, fs::read_to_string(entry.path()).expect("it is text"))
    };
    files.map(text).collect()
}

/// The recipes, each with how it writes the folder of service files and the application's name.
const RECIPES: [(&str, &str, &str, &[&str]); 3] = [
    (
        "yocto/meta-pyrmware/classes-recipe/pyrmware.bbclass",
        "$services/",
        "${PYRMWARE_NAME}",
        &["systemd", "sysv"],
    ),
    (
        "buildroot/package/device-console/device-console.mk",
        "/usr/share/device-console/init/",
        "device-console",
        &["openrc", "systemd", "sysv"],
    ),
    (
        "openwrt/device-console/Makefile",
        "/usr/share/device-console/init/",
        "device-console",
        &["procd"],
    ),
];

#[test]
fn scripts_are_scripts() {
    let scripts = examples().into_iter().filter(|(_, text)| text.starts_with("#!/bin/sh\n"));
    let scripts: Vec<String> = scripts.map(|(path, _)| path).collect();
    assert!(scripts.len() >= 5, "{scripts:?}");
    for path in scripts {
        let path = support::ROOT.join("app/examples").join(path);
        Task::new("sh").arg("-n").arg(path).run().success();
    }
}

#[test]
fn recipes_ask_for_what_package_has() {
    let help = support::xtask().args(["package", "--help"]).run().success();
    let examples = examples();
    for (recipe, ..) in RECIPES {
        let text = examples[recipe].replace("\\\n", " ");
        let call = text.lines().find(|line| line.contains("xtask package ")).expect("it calls it");
        let (_, arguments) = call.split_once("xtask package ").expect("it does");
        let flags: BTreeSet<&str> =
            arguments.split_whitespace().filter(|word| word.starts_with("--")).collect();
        assert!(flags.contains("--frozen"), "{recipe}: {flags:?}");
        for flag in flags {
            assert!(help.out().contains(flag), "{recipe}: {flag}");
        }
    }
}

#[test]
fn recipes_install_what_a_tree_has() {
    let listed = Task::new("tar").arg("-tf").arg(&packages("1.0", "host")["tar"]).run().success();
    let tree: BTreeSet<String> = listed.out().lines().map(str::to_owned).collect();
    let examples = examples();
    for (recipe, folder, name, inits) in RECIPES {
        let mut found = BTreeSet::new();
        for (at, _) in examples[recipe].match_indices(folder) {
            let rest = &examples[recipe][at + folder.len()..];
            let file = rest.split_whitespace().next().unwrap_or_default().replace(name, "ticker");
            let path = format!("usr/share/ticker/init/{file}");
            assert!(tree.contains(&path), "{recipe}: {path} of {tree:?}");
            found.extend(file.split('/').next().map(str::to_owned));
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), inits, "{recipe}");
    }
}

#[test]
fn recipes_are_of_the_sample() {
    let project = fs::read_to_string(support::ROOT.join("python-app/pyproject.toml"));
    let project: toml::Table = project.expect("the sample").parse().expect("a table");
    let of_project = |key: &str| project["project"][key].as_str().expect("a text").to_owned();
    let (name, version) = (of_project("name"), of_project("version"));
    let examples = examples();
    let recipe = format!("yocto/meta-pyrmware/recipes-app/{name}/{name}_{version}.bb");
    let license = fs::read(support::ROOT.join("LICENSE")).expect("the licence");
    let sum: String = Md5::digest(license).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(examples[&recipe].contains(&format!("file://LICENSE;md5={sum}\"")), "{sum}");
    let line = format!("DEVICE_CONSOLE_VERSION = {version}\n");
    assert!(examples[RECIPES[1].0].contains(&line), "{line}");
    let line = format!("PKG_NAME:={name}\nPKG_VERSION:={version}\n");
    assert!(examples[RECIPES[2].0].contains(&line), "{line}");
    let line = format!("  {name}-{version}.tar.xz\n");
    assert!(examples[&format!("buildroot/package/{name}/{name}.hash")].ends_with(&line), "{line}");
}
