//! Where packages come from when only pip was told: uv does not read pip's configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Values of pip's settings by long option name: "find-links" -> ["/opt/wheels"].
type Settings = BTreeMap<&'static str, Vec<String>>;

const OPTIONS: [(&str, &str); 5] = [
    // pip's name, uv's.
    ("index-url", "--default-index"),
    ("extra-index-url", "--index"),
    ("find-links", "--find-links"),
    ("trusted-host", "--allow-insecure-host"),
    ("no-index", "--no-index"),
];

/// Gives uv what pip was told, unless uv was told something itself.
pub(super) fn hand_over(command: &mut Command, project: &Path) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if uv_is_configured(project, &variable) {
        return;
    }
    let mut settings = Settings::new();
    for file in pip_files(&variable) {
        merge(&mut settings, &std::fs::read_to_string(file).unwrap_or_default());
    }
    for (name, _) in OPTIONS.into_iter().chain([("cert", "")]) {
        let value = variable(&format!("PIP_{}", name.to_ascii_uppercase().replace('-', "_")));
        settings.extend(value.map(|value| (name, words(&value))));
    }
    if let (Some(cert), None) =
        (settings.get("cert").and_then(|values| values.first()), variable("SSL_CERT_FILE"))
    {
        command.env("SSL_CERT_FILE", cert);
    }
    command.args(arguments(&settings));
}

fn arguments(settings: &Settings) -> Vec<String> {
    let mut arguments = Vec::new();
    for (pip, uv) in OPTIONS {
        for value in settings.get(pip).into_iter().flatten() {
            match pip {
                "no-index"
                    if matches!(
                        value.to_ascii_lowercase().as_str(),
                        "1" | "true" | "yes" | "on"
                    ) =>
                {
                    arguments.push(uv.to_owned());
                }
                "no-index" => {}
                // pip ignores a folder that is not there; uv does not.
                "find-links" if !value.contains("://") && !Path::new(value).exists() => {}
                _ => arguments.extend([uv.to_owned(), value.clone()]),
            }
        }
    }
    arguments
}

fn words(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

/// Whether somebody told uv where packages come from.
fn uv_is_configured(project: &Path, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    const VARIABLES: [&str; 6] = [
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_CONFIG_FILE",
    ];
    let home = std::env::home_dir().unwrap_or_default();
    let user = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let files =
        [project.join("uv.toml"), user.join("uv/uv.toml"), PathBuf::from("/etc/uv/uv.toml")];
    let text = std::fs::read_to_string(project.join("pyproject.toml")).unwrap_or_default();
    let table: Option<toml::Table> = text.parse().ok();
    let uv = table.as_ref().and_then(|table| table.get("tool")?.get("uv"));
    let in_project = ["index", "index-url", "extra-index-url", "find-links", "no-index", "pip"];
    VARIABLES.iter().any(|name| variable(name).is_some())
        || files.iter().any(|file| file.is_file())
        || uv.is_some_and(|uv| in_project.iter().any(|key| uv.get(key).is_some()))
}

/// pip's configuration files, the stronger later.
fn pip_files(variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    let user = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let mut files = vec![
        PathBuf::from("/etc/xdg/pip/pip.conf"),
        PathBuf::from("/etc/pip.conf"),
        home.join(".pip/pip.conf"),
        user.join("pip/pip.conf"),
    ];
    files.extend(variable("PIP_CONFIG_FILE").map(PathBuf::from));
    files
}

/// Adds what `[global]` and `[install]` of an ini file say.
fn merge(settings: &mut Settings, text: &str) {
    let mut section = "";
    let mut current: Option<&'static str> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        // A value goes on in lines that are indented.
        if line.starts_with(char::is_whitespace) {
            if let Some(values) = current.and_then(|name| settings.get_mut(name)) {
                values.extend(words(trimmed));
            }
            continue;
        }
        current = None;
        if let Some(name) = trimmed.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            section = if matches!(name, "global" | "install") { name } else { "" };
        } else if let (Some((name, value)), false) = (trimmed.split_once('='), section.is_empty()) {
            let name = name.trim().replace('_', "-");
            let known =
                OPTIONS.iter().map(|(pip, _)| *pip).chain(["cert"]).find(|known| *known == name);
            if let Some(known) = known {
                settings.insert(known, words(value));
                current = Some(known);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_s_configuration_becomes_uv_s_options() {
        let mut settings = Settings::new();
        merge(
            &mut settings,
            "[list]\nindex-url = https://no.invalid\n[global]\nno_index = false\n# x\nindex-url = https://a.invalid\n",
        );
        merge(
            &mut settings,
            "[install]\nindex-url = https://b.invalid/simple\nextra-index-url =\n    https://c.invalid\n    https://d.invalid\nfind-links = /nonexistent\ncert = /c.pem\n",
        );
        assert_eq!(
            arguments(&settings),
            [
                "--default-index",
                "https://b.invalid/simple",
                "--index",
                "https://c.invalid",
                "--index",
                "https://d.invalid"
            ]
        );
        assert_eq!(settings["cert"], ["/c.pem"]);
    }

    #[test]
    fn uv_s_own_configuration_wins() {
        let project = tempfile::tempdir().unwrap();
        let nothing = |_: &str| None;
        let file = project.path().join("pyproject.toml");
        std::fs::write(&file, "[tool.uv]\nmanaged = true\n").unwrap();
        // Whether this machine has a uv.toml is not this test's business.
        let before = uv_is_configured(project.path(), &nothing);
        std::fs::write(&file, "[[tool.uv.index]]\nurl = 'https://a.invalid'\n").unwrap();
        assert!(uv_is_configured(project.path(), &nothing));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(uv_is_configured(project.path(), &nothing), before);
        let variable = |name: &str| (name == "UV_INDEX").then(|| "https://a.invalid".to_owned());
        assert!(uv_is_configured(project.path(), &variable));
    }
}
