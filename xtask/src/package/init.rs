//! `Service -> files`: one way for each of those that start services. All of them read variables of the
//! application's environment from one file, `/etc/NAME/environment`, where there is one.

mod systemd;

use super::contents::Contents;
use super::service::Service;
use crate::config::Init;

/// Adds the files of this kind where the system looks for them.
pub fn install(contents: &mut Contents, service: &Service, init: Init) {
    let name = &service.name;
    match init {
        Init::Systemd => systemd::install(contents, service),
        other => contents.file(&format!("etc/init.d/{name}"), 0o755, script(service, other)),
    }
}

/// Adds the file of this kind to a folder of examples.
pub fn show(contents: &mut Contents, service: &Service, init: Init, folder: &str) {
    let (end, mode, text) = match init {
        Init::Systemd => (".service", 0o644, systemd::unit(service)),
        other => ("", 0o755, script(service, other)),
    };
    contents.file(&format!("{folder}/{}/{}{end}", init.name(), service.name), mode, text);
}

fn script(service: &Service, init: Init) -> String {
    let template = match init {
        Init::Sysv => include_str!("init/sysv.sh"),
        Init::Openrc => include_str!("init/openrc.sh"),
        Init::Procd => include_str!("init/procd.sh"),
        Init::Systemd => "",
    };
    let arguments: Vec<String> = service.arguments.iter().map(|word| quoted(word)).collect();
    let (user, owner) = match &service.user {
        Some(user) => (user.clone(), format!("{user}:{user}")),
        None => ("root".to_owned(), "root:root".to_owned()),
    };
    let folders = folders(service).map(|folder| prepared(&quoted(&folder), &owner, init));
    let folders: String = folders.collect();
    let seconds = |time: std::time::Duration| time.as_secs_f64().ceil().to_string();
    let stop = service.stop.map_or("15".to_owned(), seconds);
    let values = [
        ("@NAME@", service.name.clone()),
        ("@SUMMARY@", service.summary.clone()),
        ("@QUOTED_SUMMARY@", quoted(&service.summary)),
        ("@COMMAND@", quoted(&service.command)),
        // A space before each, so that none leaves nothing behind.
        ("@ARGUMENTS@", arguments.iter().map(|word| format!(" {word}")).collect()),
        ("@QUOTED_ARGUMENTS@", quoted(&arguments.join(" "))),
        ("@USER@", user),
        ("@OWNER@", owner.clone()),
        // A line of its own in the template.
        ("@FOLDERS@\n", folders),
        ("@STOP@", stop),
        ("@RESTART@", seconds(service.restart)),
    ];
    let filled = |text: String, (mark, value): &(&str, String)| text.replace(mark, value);
    values.iter().fold(template.to_owned(), filled)
}

/// The folders that have to be there before the start, and belong to the user.
fn folders(service: &Service) -> impl Iterator<Item = String> {
    let state = service.state.iter().map(|name| format!("/var/lib/{name}"));
    let runtime = service.runtime.iter().map(|name| format!("/run/{name}"));
    state.chain(runtime).chain(service.writable.iter().cloned())
}

/// A line that makes a folder.
fn prepared(folder: &str, owner: &str, init: Init) -> String {
    match init {
        Init::Openrc => format!("    checkpath -d -m 0750 -o {owner} {folder} || return 1\n"),
        _ => format!(
            "    mkdir -p {folder} && chmod 0750 {folder} && chown {owner} {folder} || return 1\n"
        ),
    }
}

/// A word as the shell reads it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        Service {
            name: "app".into(),
            summary: "It's an app".into(),
            command: "/usr/bin/app".into(),
            arguments: vec!["--name".into(), "a b".into()],
            user: Some("app".into()),
            state: Some("app".into()),
            ..Service::default()
        }
    }

    #[test]
    fn scripts_are_filled_in_and_words_stay_words() {
        for init in [Init::Sysv, Init::Openrc, Init::Procd] {
            let text = script(&service(), init);
            assert!(!text.contains('@') || init == Init::Sysv, "{text}");
            assert!(!text.contains("@NAME@") && !text.contains("@STOP@"), "{text}");
            assert!(text.contains("/var/lib/app"), "{text}");
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("--port=80"), "--port=80");
        let text = script(&service(), Init::Procd);
        assert!(text.contains("command /usr/bin/app --name 'a b'\n"), "{text}");
    }

    #[test]
    fn examples_lie_in_a_folder_for_each_kind() {
        let mut contents = Contents::default();
        for init in Init::ALL {
            show(&mut contents, &service(), init, "usr/share/app/init");
        }
        let files: Vec<&str> = contents.files().map(|(path, _)| path).collect();
        assert_eq!(
            files,
            [
                "usr/share/app/init/openrc/app",
                "usr/share/app/init/procd/app",
                "usr/share/app/init/systemd/app.service",
                "usr/share/app/init/sysv/app",
            ]
        );
    }
}
