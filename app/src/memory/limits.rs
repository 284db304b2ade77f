//! How much memory there is, and how much of it the application may have.

use std::fs;
use std::path::Path;

/// Bytes, or a part of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Bytes.
    Bytes(u64),
    /// Of a hundred.
    Percent(u64),
}

impl Amount {
    /// `1048576` or `70%`.
    pub fn parse(text: &str) -> Option<Amount> {
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().map(Amount::Percent),
            None => text.parse().ok().map(Amount::Bytes),
        }
    }

    /// In bytes.
    pub fn of(self, ceiling: u64) -> u64 {
        match self {
            Amount::Bytes(bytes) => bytes,
            Amount::Percent(percent) => (u128::from(ceiling) * u128::from(percent) / 100) as u64,
        }
    }
}

/// What there is at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Bytes.
    pub bytes: u64,
    /// Who says so.
    pub source: Source,
}

/// Where a ceiling comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A memory control group, of version 2 or 1.
    Cgroup,
    /// The machine: `MemTotal`.
    Machine,
}

/// The lowest limit of the control groups around this process, else the machine's memory; none without `/proc`.
pub fn ceiling() -> Option<Ceiling> {
    within(Path::new("/"))
}

fn within(root: &Path) -> Option<Ceiling> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    let machine = Ceiling { bytes: total * 1024, source: Source::Machine };
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        // "0::/a/b" of version 2, "7:memory:/a/b" of version 1.
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let mount = root.join(mount);
        let group = mount.join(group.trim_start_matches('/'));
        let around = group.ancestors().take_while(|folder| folder.starts_with(&mount));
        // "max", or a number near 2^63 where there is none.
        let limit = |folder: &Path| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok();
        around.filter_map(limit).min()
    });
    let lowest = limits.min().filter(|limit: &u64| *limit < machine.bytes);
    Some(lowest.map_or(machine, |bytes| Ceiling { bytes, source: Source::Cgroup }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<Ceiling> {
        let root = std::env::temp_dir().join(format!("pyrmware-limits-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = within(&root);
        let _ = fs::remove_dir_all(&root);
        found
    }

    #[test]
    fn the_lowest_limit_around_the_process_counts() {
        let meminfo = ("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
        let machine = Ceiling { bytes: 2 << 20, source: Source::Machine };
        let group = |bytes| Some(Ceiling { bytes, source: Source::Cgroup });
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[meminfo]), Some(machine));
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let inner = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        let outer = ("sys/fs/cgroup/a/memory.max", "1048576\n");
        assert_eq!(found(&[meminfo, own, inner]), Some(machine));
        assert_eq!(found(&[meminfo, own, inner, outer]), group(1 << 20));
        let old = ("proc/self/cgroup", "9:cpu,memory:/c\n1:name=systemd:/d\n");
        let limit = ("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "4096\n");
        let none = ("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(found(&[meminfo, old, limit]), group(4096));
        assert_eq!(found(&[meminfo, old, none]), Some(machine));
    }

    #[test]
    fn amounts_are_bytes_or_parts() {
        assert_eq!(Amount::parse("70%").map(|amount| amount.of(1000)), Some(700));
        assert_eq!(Amount::parse("70").map(|amount| amount.of(1000)), Some(70));
        assert_eq!(Amount::parse("%"), None);
        assert_eq!(Amount::parse("-1"), None);
    }
}
