//! A unit that may do what the application is configured to do, and nothing else.

use std::fmt::Write as _;
use std::time::Duration;

use crate::package::contents::Contents;
use crate::package::service::Service;

/// What root alone could do, which no service of a user needs.
const CONFINED: &str = "\
ProtectSystem=strict
PrivateTmp=yes
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
NoNewPrivileges=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0027
";

/// Whoever runs as root has a reason, which is not known here.
const ROOT: &str = "\
ProtectSystem=full
PrivateTmp=yes
ProtectHome=yes
LockPersonality=yes
SystemCallArchitectures=native
";

/// The unit, the user that it runs as, and who may open the machine's watchdog.
pub fn install(contents: &mut Contents, service: &Service) {
    let name = &service.name;
    contents.file(&format!("usr/lib/systemd/system/{name}.service"), 0o644, unit(service));
    let Some(user) = &service.user else { return };
    // No word for who it is: that would be one more text to escape.
    let line = format!("u {user} - - /\n");
    contents.file(&format!("usr/lib/sysusers.d/{name}.conf"), 0o644, line);
    if let Some(device) = service.device.as_ref().and_then(|path| path.strip_prefix("/dev/")) {
        let rule = format!("KERNEL==\"{device}\", GROUP=\"{user}\", MODE=\"0660\"\n");
        contents.file(&format!("usr/lib/udev/rules.d/60-{name}.rules"), 0o644, rule);
    }
}

/// The unit's text.
pub fn unit(service: &Service) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}={value}");
    };
    let words = service.arguments.iter().map(|word| format!(" {}", quoted(word)));
    line("ExecStart", &(quoted(&service.command) + &words.collect::<String>()));
    line("EnvironmentFile", &format!("-/etc/{}/environment", service.name));
    line("Type", if service.notify { "notify" } else { "exec" });
    line("NotifyAccess", "main");
    if let Some(time) = service.watchdog {
        line("WatchdogSec", &seconds(time));
    }
    line("Restart", "on-failure");
    // The launcher asks for it by this code, whatever else `Restart` may be set to.
    line("RestartForceExitStatus", "75");
    line("RestartSec", &seconds(service.restart));
    if service.zygote {
        line("KillMode", "mixed");
    }
    if let Some(time) = service.stop {
        line("TimeoutStopSec", &seconds(time));
    }
    if let Some(bytes) = service.memory_max {
        line("MemoryMax", &bytes.to_string());
    }
    if let Some(user) = &service.user {
        line("User", user);
        line("Group", user);
    }
    if let Some(state) = &service.state {
        line("StateDirectory", state);
        line("StateDirectoryMode", "0750");
    }
    if !service.runtime.is_empty() {
        line("RuntimeDirectory", &joined(service.runtime.iter().cloned()));
    }
    if !service.writable.is_empty() {
        line("ReadWritePaths", &joined(service.writable.iter().map(|path| format!("-{path}"))));
    }
    if let Some(name) = &service.credential {
        line("LoadCredential", &format!("{name}:/etc/credstore/{name}"));
    }
    if service.keyring {
        line("KeyringMode", "shared");
    }
    text += &confinement(service);
    for more in &service.unit {
        let _ = writeln!(text, "{more}");
    }
    // A device has nobody who would reset a unit that was started too often.
    format!(
        "[Unit]\nDescription={}\nAfter=network.target\nStartLimitIntervalSec=0\n\n\
         [Service]\n{text}\n[Install]\nWantedBy=multi-user.target\n",
        service.summary.replace('%', "%%")
    )
}

fn confinement(service: &Service) -> String {
    if service.user.is_none() {
        return ROOT.to_owned();
    }
    let capabilities = match service.low_port {
        Some(_) => {
            "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        }
        None => "CapabilityBoundingSet=\n",
    };
    let devices = match &service.device {
        Some(device) => format!("DevicePolicy=closed\nDeviceAllow={device} rw\n"),
        None => "PrivateDevices=yes\n".to_owned(),
    };
    format!("{CONFINED}{capabilities}{devices}")
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

/// A word as systemd reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let escaped = word.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('%', "%%").replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_what_is_configured_and_nothing_else() {
        let service = Service {
            name: "app".into(),
            summary: "50% app".into(),
            command: "/usr/bin/app".into(),
            arguments: vec!["--word".into(), "a $b \"c\" 5%".into()],
            user: Some("app".into()),
            restart: Duration::from_secs(1),
            ..Service::default()
        };
        let plain = unit(&service);
        assert!(plain.contains("Description=50%% app\n"), "{plain}");
        let command = "ExecStart=/usr/bin/app --word \"a $$b \\\"c\\\" 5%%\"\n";
        assert!(plain.contains(command), "{plain}");
        for key in ["Type=exec\n", "CapabilityBoundingSet=\n", "PrivateDevices=yes\n"] {
            assert!(plain.contains(key), "{key} in {plain}");
        }
        for key in ["MemoryMax", "MemoryHigh", "KillMode", "WatchdogSec", "State", "ReadWrite"] {
            assert!(!plain.contains(key), "{key} in {plain}");
        }

        let full = unit(&Service {
            notify: true,
            watchdog: Some(Duration::from_millis(2500)),
            device: Some("/dev/watchdog0".into()),
            zygote: true,
            state: Some("app".into()),
            writable: ["/data".to_owned()].into(),
            low_port: Some(80),
            memory_max: Some(1024),
            unit: vec!["ProtectHome=no".into()],
            ..service.clone()
        });
        for key in [
            "Type=notify\n",
            "WatchdogSec=2.5s\n",
            "KillMode=mixed\n",
            "DeviceAllow=/dev/watchdog0 rw\n",
            "StateDirectory=app\n",
            "ReadWritePaths=-/data\n",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE\n",
            "MemoryMax=1024\n",
            "ProtectHome=no\n\n[Install]",
        ] {
            assert!(full.contains(key), "{key} in {full}");
        }
        assert!(!full.contains("PrivateDevices"), "{full}");

        let root = unit(&Service { user: None, ..service });
        assert!(!root.contains("User=") && !root.contains("CapabilityBoundingSet"), "{root}");
    }
}
