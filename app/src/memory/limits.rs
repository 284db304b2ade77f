//! How much memory there is, and how much of it the application may have.

use std::fs;
use std::path::{Path, PathBuf};

use super::look;

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
    /// Bytes of it that are in use and that the kernel cannot simply take back.
    pub usage: Option<u64>,
}

impl Ceiling {
    /// What a process can have that uses so much now: all processes of a control group share its limit, and
    /// all of a machine its memory.
    pub fn left_beside_others(&self, own: u64) -> u64 {
        self.bytes.saturating_sub(self.usage.map_or(0, |usage| usage.saturating_sub(own)))
    }
}

/// Where a ceiling comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A memory control group, of version 2 or 1.
    Cgroup,
    /// The machine: `MemTotal`.
    Machine,
}

/// The machine's memory, and the lowest limit of the control groups around this process where that is below it;
/// nothing without `/proc`. Limits change while a process runs. Costs some ten microseconds.
pub fn ceilings() -> Vec<Ceiling> {
    within(Path::new("/")).into_iter().flatten().collect()
}

/// The folder of the control group of version 2 that this process is in.
pub fn group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups
        .lines()
        .find_map(|line| Hierarchy::of(line).filter(|it| it.0.limit == V2.limit))
        .map(|(hierarchy, group)| Path::new("/").join(hierarchy.mount).join(group))
}

/// The files of one version of control groups.
struct Hierarchy {
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    files: [&'static str; 2],
}

const V2: Hierarchy = Hierarchy {
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    files: ["inactive_file ", "active_file "],
};

const V1: Hierarchy = Hierarchy {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    files: ["total_inactive_file ", "total_active_file "],
};

impl Hierarchy {
    /// What a line of `/proc/self/cgroup` says of memory: "0::/a/b" of version 2, "7:memory:/a/b" of version 1.
    fn of(line: &str) -> Option<(&'static Hierarchy, &str)> {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        let hierarchy = match controllers {
            "" => &V2,
            names if names.split(',').any(|name| name == "memory") => &V1,
            _ => return None,
        };
        Some((hierarchy, group.trim_start_matches('/')))
    }

    /// The group with the lowest limit among this one and those around it: its limit and its folder.
    fn lowest(
        &'static self,
        root: &Path,
        group: &str,
    ) -> Option<(u64, PathBuf, &'static Hierarchy)> {
        let mount = root.join(self.mount);
        let group = mount.join(group);
        let around = group.ancestors().take_while(|folder| folder.starts_with(&mount));
        // "max", or a number near 2^63 where there is none.
        let limits = around.filter_map(|folder| {
            let limit = number(&folder.join(self.limit))?;
            Some((limit, folder.to_owned(), self))
        });
        limits.min_by_key(|(limit, ..)| *limit)
    }

    /// Bytes that a group uses and that the kernel cannot simply take back.
    fn used(&self, folder: &Path, mapped: u64) -> Option<u64> {
        let usage = number(&folder.join(self.usage))?;
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let value = |name| -> Option<u64> {
            stat.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
        };
        let files: u64 = self.files.into_iter().filter_map(value).sum();
        Some(usage.saturating_sub(files.saturating_sub(mapped)))
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The machine's, and the control group's. Both count pages of files as free, but for those that this process
/// runs and reads: without them it would wait for the disk all the time.
fn within(root: &Path) -> [Option<Ceiling>; 2] {
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let mapped = bytes_after(&status, "RssFile:").unwrap_or(0);
    let Some(machine) = machine(root, mapped) else { return [None, None] };
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let lowest = groups.lines().filter_map(Hierarchy::of);
    let lowest = lowest.filter_map(|(hierarchy, group)| hierarchy.lowest(root, group));
    let lowest = lowest.min_by_key(|(limit, ..)| *limit);
    let group =
        lowest.filter(|(limit, ..)| *limit < machine.bytes).map(|(bytes, folder, hierarchy)| {
            Ceiling { bytes, source: Source::Cgroup, usage: hierarchy.used(&folder, mapped) }
        });
    [Some(machine), group]
}

fn machine(root: &Path, mapped: u64) -> Option<Ceiling> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let bytes = bytes_after(&meminfo, "MemTotal:")?;
    // Kernels before 3.14 do not say what is available.
    let available = bytes_after(&meminfo, "MemAvailable:");
    let usage = available.map(|available| bytes.saturating_sub(available.saturating_sub(mapped)));
    Some(Ceiling { bytes, source: Source::Machine, usage })
}

/// The bytes after a name, of lines such as "MemTotal:     2048 kB".
fn bytes_after(text: &str, name: &str) -> Option<u64> {
    look::bytes(text.lines().find_map(|line| line.strip_prefix(name))?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// The control group's where there is one, else the machine's.
    fn found(files: &[(&str, &str)]) -> Option<Ceiling> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(format!("pyrmware-limits-{}-{}", own.0, own.1));
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let [machine, group] = within(&root);
        let _ = fs::remove_dir_all(&root);
        group.or(machine)
    }

    #[test]
    fn the_lowest_limit_around_the_process_counts() {
        let meminfo = ("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
        let machine = Ceiling { bytes: 2 << 20, source: Source::Machine, usage: None };
        let group = |bytes| Some(Ceiling { bytes, source: Source::Cgroup, usage: None });
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
    fn what_a_group_uses_is_without_files_but_for_those_of_this_process() {
        let meminfo = ("proc/meminfo", "MemTotal:        2048 kB\n");
        let used = |files: &[(&str, &str)]| found(&[&[meminfo], files].concat()).unwrap();
        let new = used(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "1000000\n"),
            ("sys/fs/cgroup/a/memory.current", "700000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 90000\nactive_file 112400\n"),
            ("proc/self/status", "RssAnon:\t 400 kB\nRssFile:\t 100 kB\n"),
        ]);
        assert_eq!(new.usage, Some(600_000));
        // Others have 200000 of it.
        assert_eq!(new.left_beside_others(400_000), 800_000);
        assert_eq!(new.left_beside_others(700_000), 1_000_000);
        let old = used(&[
            ("proc/self/cgroup", "3:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "700000\n"),
            ("sys/fs/cgroup/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 200000\n"),
        ]);
        assert_eq!(old.usage, Some(500_000));
    }

    #[test]
    fn what_a_machine_uses_is_what_it_cannot_give_and_what_this_process_runs() {
        let meminfo =
            ("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  700 kB\n");
        let own = ("proc/self/status", "VmRSS:\t 300 kB\nRssAnon:\t 200 kB\nRssFile:\t 100 kB\n");
        assert_eq!(found(&[meminfo]).unwrap().usage, Some(300 * 1024));
        let machine = found(&[meminfo, own]).unwrap();
        assert_eq!(machine.usage, Some(400 * 1024));
        assert_eq!(machine.left_beside_others(200 * 1024), 800 * 1024);
    }

    #[test]
    fn amounts_are_bytes_or_parts() {
        assert_eq!(Amount::parse("70%").map(|amount| amount.of(1000)), Some(700));
        assert_eq!(Amount::parse("70").map(|amount| amount.of(1000)), Some(70));
        assert_eq!(Amount::parse("%"), None);
        assert_eq!(Amount::parse("-1"), None);
    }
}
