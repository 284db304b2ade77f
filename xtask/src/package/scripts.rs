//! What happens when a package is installed, upgraded and removed: one shell program for each moment, in which
//! `$action` is `install`, `upgrade`, `remove` or `purge`, as the format's own first lines have found out.
//!
//! Roots that are being made for another machine have no tools that would run, or none at all: users are
//! lines and services are links there, which are written as such.

use super::contents::Contents;
use super::service::Service;
use crate::config::Init;

/// The programs of one package, each without its first line; empty ones need not be there.
#[derive(Debug, Default)]
pub struct Scripts {
    /// After files are in their place.
    pub settle: String,
    /// Before files go.
    pub stop: String,
    /// After files are gone.
    pub gone: String,
}

/// `root` is where the package is installed, empty on the device itself.
const ROOT: &str = "\
root=
for place in \"${D:-}\" \"${IPKG_INSTROOT:-}\" \"${DPKG_ROOT:-}\"; do
    case \"$place\" in
        /?*) root=\"${place%/}\" ;;
    esac
done
# Debian's, which remembers what an administrator has switched off; it serves dpkg alone.
helper=
if [ -z \"$root\" ] && [ -n \"${DPKG_MAINTSCRIPT_PACKAGE:-}\" ]; then
    helper=$(command -v deb-systemd-helper) || true
fi
";

impl Scripts {
    /// What it takes for these to start the service.
    pub fn of(service: &Service, inits: &[Init]) -> Scripts {
        let mut scripts = Scripts::default();
        if inits.is_empty() {
            return scripts;
        }
        scripts.settle = ROOT.to_owned();
        scripts.stop = ROOT.to_owned();
        scripts.gone = ROOT.to_owned();
        if let Some(user) = &service.user {
            scripts.settle += &USER.replace("@USER@", user);
        }
        for init in inits {
            let [settle, stop, gone] = match init {
                Init::Systemd => SYSTEMD,
                Init::Sysv => SYSV,
                Init::Openrc => OPENRC,
                Init::Procd => PROCD,
            };
            scripts.settle += settle;
            scripts.stop += stop;
            scripts.gone += gone;
        }
        if let Some(state) = &service.state {
            let line =
                "if [ \"$action\" = purge ]; then\n    rm -rf \"$root/var/lib/@STATE@\"\nfi\n";
            scripts.gone += &line.replace("@STATE@", state);
        }
        for script in [&mut scripts.settle, &mut scripts.stop, &mut scripts.gone] {
            *script = script.replace("@NAME@", &service.name);
        }
        scripts
    }
}

/// Adds a script with its first lines to what a package says of itself, unless nothing follows them.
pub fn add(control: &mut Contents, name: &str, first: &str, body: &str) {
    if let Some(text) = script(first, body) {
        control.file(name, 0o755, text);
    }
}

/// A script with its first lines; none where nothing follows them.
pub fn script(first: &str, body: &str) -> Option<String> {
    (!body.is_empty()).then(|| format!("#!/bin/sh\nset -e\n{first}{body}exit 0\n"))
}

/// systemd knows the same user from its own file, if it is there; nobody can log in as that.
const USER: &str = r#"if ! grep -q '^@USER@:' "$root/etc/passwd" 2>/dev/null; then
    if [ -z "$root" ] && command -v systemd-sysusers >/dev/null &&
        [ -e /usr/lib/sysusers.d/@NAME@.conf ]; then
        systemd-sysusers @NAME@.conf
    else
        mkdir -p "$root/etc"
        touch "$root/etc/passwd" "$root/etc/group"
        id=999
        while grep -q "^[^:]*:[^:]*:$id:" "$root/etc/passwd" "$root/etc/group"; do
            id=$((id - 1))
        done
        if ! grep -q '^@USER@:' "$root/etc/group"; then
            echo "@USER@:x:$id:" >>"$root/etc/group"
        fi
        group=$(sed -n 's/^@USER@:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")
        echo "@USER@:*:$id:$group::/:/bin/false" >>"$root/etc/passwd"
    fi
fi
"#;

/// Where Debian's helper is not, a service is switched on once, when it is installed.
const SYSTEMD: [&str; 3] = [
    r#"wants="$root/etc/systemd/system/multi-user.target.wants"
if [ -n "$helper" ]; then
    "$helper" unmask @NAME@.service >/dev/null || true
    if "$helper" --quiet was-enabled @NAME@.service; then
        "$helper" enable @NAME@.service >/dev/null || true
    else
        "$helper" update-state @NAME@.service >/dev/null || true
    fi
elif [ "$action" = install ]; then
    mkdir -p "$wants"
    ln -sf /usr/lib/systemd/system/@NAME@.service "$wants/@NAME@.service"
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    if [ -e /usr/lib/udev/rules.d/60-@NAME@.rules ] && command -v udevadm >/dev/null; then
        udevadm control --reload || true
        udevadm trigger --subsystem-match=watchdog || true
    fi
    # Debian's asks whether services may be started here at all.
    control=$(command -v deb-systemd-invoke || command -v systemctl)
    if [ "$action" = install ]; then
        "$control" start @NAME@.service || true
    elif systemctl --quiet is-active @NAME@.service; then
        "$control" restart @NAME@.service || true
    fi
fi
"#,
    r#"if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl stop @NAME@.service || true
fi
if [ -z "$helper" ]; then
    rm -f "$root/etc/systemd/system/multi-user.target.wants/@NAME@.service"
fi
"#,
    r#"if [ -n "$helper" ]; then
    if [ "$action" = purge ]; then
        "$helper" purge @NAME@.service >/dev/null || true
        "$helper" unmask @NAME@.service >/dev/null || true
    else
        "$helper" mask @NAME@.service >/dev/null || true
    fi
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
"#,
];

/// Nothing is started where no init of this kind runs: in a root that is being made, or under systemd.
const SYSV: [&str; 3] = [
    r#"if [ -z "$root" ] && command -v update-rc.d >/dev/null; then
    update-rc.d @NAME@ defaults >/dev/null
    if [ -p /run/initctl ] && [ ! -d /run/systemd/system ]; then
        if [ "$action" = install ]; then
            invoke-rc.d @NAME@ start || true
        else
            invoke-rc.d @NAME@ try-restart || true
        fi
    fi
fi
"#,
    r#"if [ -z "$root" ] && [ ! -d /run/systemd/system ] && [ -x /etc/init.d/@NAME@ ]; then
    control=$(command -v invoke-rc.d) || control=
    if [ -n "$control" ]; then
        "$control" @NAME@ stop || true
    else
        /etc/init.d/@NAME@ stop || true
    fi
fi
"#,
    r#"if [ "$action" = purge ] && [ -z "$root" ] && command -v update-rc.d >/dev/null; then
    update-rc.d @NAME@ remove >/dev/null
fi
"#,
];

const OPENRC: [&str; 3] = [
    r#"if [ "$action" = install ]; then
    mkdir -p "$root/etc/runlevels/default"
    ln -sf /etc/init.d/@NAME@ "$root/etc/runlevels/default/@NAME@"
fi
if [ -z "$root" ] && [ -e /run/openrc/softlevel ]; then
    if [ "$action" = install ]; then
        rc-service @NAME@ start || true
    else
        rc-service --ifstarted @NAME@ restart || true
    fi
fi
"#,
    r#"if [ -z "$root" ] && [ -e /run/openrc/softlevel ]; then
    rc-service --ifstarted @NAME@ stop || true
fi
rm -f "$root/etc/runlevels/default/@NAME@"
"#,
    "",
];

const PROCD: [&str; 3] = [
    r#"if [ "$action" = install ]; then
    mkdir -p "$root/etc/rc.d"
    ln -sf ../init.d/@NAME@ "$root/etc/rc.d/S95@NAME@"
    ln -sf ../init.d/@NAME@ "$root/etc/rc.d/K10@NAME@"
fi
if [ -z "$root" ] && [ -e /etc/rc.d/S95@NAME@ ] && pidof procd >/dev/null 2>&1; then
    /etc/init.d/@NAME@ restart || true
fi
"#,
    r#"if [ -z "$root" ] && pidof procd >/dev/null 2>&1; then
    /etc/init.d/@NAME@ stop || true
fi
rm -f "$root/etc/rc.d/S95@NAME@" "$root/etc/rc.d/K10@NAME@"
"#,
    "",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_starts_it_means_nothing_to_do() {
        let scripts = Scripts::of(&Service::default(), &[]);
        assert_eq!(script("", &scripts.settle), None);
    }

    #[test]
    fn every_script_is_a_shell_s() {
        let service = Service {
            name: "app".into(),
            user: Some("app".into()),
            state: Some("app".into()),
            ..Service::default()
        };
        for init in Init::ALL {
            let scripts = Scripts::of(&service, &[init]);
            for body in [scripts.settle, scripts.stop, scripts.gone] {
                let text = script("action=install\n", &body).unwrap();
                assert!(!text.contains('@'), "{text}");
                let checked = std::process::Command::new("sh").args(["-n", "-c", &text]).status();
                assert!(checked.unwrap().success(), "{text}");
            }
        }
    }
}
