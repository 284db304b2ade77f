//! Starting again: parent, zygote and worker, and what happens when each of them ends.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::live::{Live, kill};
use crate::support::workspace::{dist, workspace};
use crate::support::{self, Alone};

/// Says who it is, then does what its first argument says.
const STEADY: &str = include_str!("restart/steady.py");

/// A launcher of it with these tables; its project is in a folder that is given back.
fn steady(name: &str, source: &str, tables: &str) -> (TempDir, Alone) {
    let project = tempfile::tempdir().expect("a folder can be made");
    let table = "[project]\nname = \"steady\"\nversion = \"1\"\nrequires-python = \">=3.10\"\n\
                 [tool.pyrmware]\nentry = \"steady:main\"\n";
    fs::write(project.path().join("pyproject.toml"), table).expect("it is written");
    fs::write(project.path().join("steady.py"), source).expect("it is written");
    let folder = workspace(name, "", tables);
    let alone = dist(&folder, project.path(), "host").alone();
    (project, alone)
}

/// What the application says of itself when it starts.
#[derive(Debug)]
struct Main {
    pid: i32,
    parent: i32,
    at: u64,
    private: u64,
    last: String,
}

fn main_line(live: &mut Live) -> Main {
    let line = live.line("main ");
    let mut words = line.split_whitespace().skip(1);
    let mut next = || words.next().expect("a word");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    Main {
        pid: number(next()) as i32,
        parent: number(next()) as i32,
        at: number(next()),
        private: number(next()),
        last: words.collect::<Vec<_>>().join(" "),
    }
}

const LOOSE: &str = "[package.metadata.pyrmware.memory]
hard = \"200 MiB\"
interval = \"100 ms\"
grace = \"1 s\"
restart = \"zygote\"
[package.metadata.pyrmware.service]
heartbeat = \"5 s\"
restarts = 0
back-off = \"0 s\"
";

#[test]
fn a_zygote_keeps_the_application_running_whatever_ends() {
    let name = format!("pyrmware-restart-{}", std::process::id());
    let tables = format!("{LOOSE}listen = [\"unix:@{name}\"]\n");
    let (_project, alone) = steady("zygote", STEADY, &tables);
    it_behaves_as_without(&alone);
    what_is_killed_starts_again(&alone);
    zygotes_come_back(&alone);
    who_hangs_is_replaced(&alone);
    a_client_during_the_restart_is_served(&alone, &name);
    nothing_survives_the_parent(&alone);
    hoards_are_ended(&alone);
    the_last_worker_s_files_are_whole(&alone);
    forks_may_fail(&alone);
}

/// Exit codes, signals, and what the process sees of itself.
fn it_behaves_as_without(alone: &Alone) {
    let (code, lines) = Live::start(alone, &["exit", "7"], &[]).end();
    assert_eq!((code, lines.len()), (7, 1), "{lines:?}");
    let (code, lines) = Live::start(alone, &["raise"], &[]).end();
    assert_eq!(code, 1, "{lines:?}");
    // The two streams are in no order.
    assert!(lines.iter().any(|line| line == "ValueError: a fault"), "{lines:?}");

    for (mode, signal, expected) in [
        ("wait", libc::SIGTERM, -libc::SIGTERM),
        ("wait", libc::SIGINT, -libc::SIGINT),
        ("handle", libc::SIGTERM, 5),
    ] {
        let mut live = Live::start(alone, &[mode], &[]);
        let main = main_line(&mut live);
        assert_eq!((main.parent, main.last.as_str()), (live.pid(), "None"));
        live.signal(libc::SIGUSR1);
        assert_eq!(live.line("still"), format!("still {}", main.pid));
        live.signal(signal);
        let (code, lines) = live.end();
        assert_eq!(code, expected, "{mode} {signal}: {lines:?}");
    }

    let mut live = Live::start(alone, &["random"], &[]);
    let first = (main_line(&mut live), live.line("random"));
    assert_eq!(comm(first.0.pid), "steady");
    assert_eq!(comm(live.pid()), "steady:parent");
    kill(first.0.pid, libc::SIGKILL);
    let second = (main_line(&mut live), live.line("random"));
    assert_ne!(first.1, second.1, "each worker has random numbers of its own");
    live.signal(libc::SIGTERM);
    assert_eq!(live.end().0, -libc::SIGTERM);
}

/// A thousand workers in a row, as fast as they start.
fn what_is_killed_starts_again(alone: &Alone) {
    const TIMES: usize = 1000;
    let mut live = Live::start(alone, &["wait"], &[]);
    let mut pids = BTreeSet::new();
    let mut open = 0;
    for time in 0..TIMES {
        let main = main_line(&mut live);
        assert!(pids.insert(main.pid), "{main:?}");
        assert_eq!(main.parent, live.pid(), "{main:?}");
        assert_eq!(main.last, if time == 0 { "None" } else { "'signal 9'" });
        if time == 1 {
            open = descriptors(live.pid());
        }
        kill(main.pid, libc::SIGKILL);
    }
    main_line(&mut live);
    assert_eq!(descriptors(live.pid()), open, "no descriptor is left open");
    assert_eq!(children(live.pid()).len(), 2, "no zombie is left");
    let zygote = zygote(live.pid(), 0);
    assert!(children(zygote).is_empty(), "nor one of the zygote's");
    live.signal(libc::SIGTERM);
    assert_eq!(live.end().0, -libc::SIGTERM);
}

/// A hundred zygotes, while one worker lives on.
fn zygotes_come_back(alone: &Alone) {
    const TIMES: usize = 100;
    let mut live = Live::start(alone, &["wait"], &[]);
    let main = main_line(&mut live);
    let mut last = 0;
    for _ in 0..TIMES {
        last = zygote(live.pid(), last);
        kill(last, libc::SIGKILL);
    }
    live.signal(libc::SIGUSR1);
    assert_eq!(live.line("still"), format!("still {}", main.pid), "the worker lives on");
    // Its end is seen, and the last zygote makes the next one.
    kill(main.pid, libc::SIGKILL);
    let next = main_line(&mut live);
    assert_eq!((next.parent, next.last.as_str()), (live.pid(), "'signal 9'"));
    assert_eq!(children(live.pid()).len(), 2, "no zombie is left");
    live.signal(libc::SIGTERM);
    assert_eq!(live.end().0, -libc::SIGTERM);
}

fn who_hangs_is_replaced(alone: &Alone) {
    let mut live = Live::start(alone, &["beat"], &[]);
    let main = main_line(&mut live);
    kill(main.pid, libc::SIGSTOP);
    let next = main_line(&mut live);
    assert_eq!(next.last, "'hang'", "{next:?}");
    let (code, lines) = live.end();
    assert_eq!(code, 0, "{lines:?}");
    let text = lines.join("\n");
    assert!(text.contains("no heartbeat within 5 s: the application is ended"), "{text}");

    // A crash says where it was.
    let mut live = Live::start(alone, &["beat"], &[]);
    let main = main_line(&mut live);
    kill(main.pid, libc::SIGSEGV);
    live.line("Fatal Python error: Segmentation fault");
    assert_eq!(main_line(&mut live).last, "'signal 11'");
    assert_eq!(live.end().0, 0);
}

fn a_client_during_the_restart_is_served(alone: &Alone, name: &str) {
    let mut live = Live::start(alone, &["listen"], &[]);
    let main = main_line(&mut live);
    assert_eq!(live.line("True"), format!("1 unix-@{name} True"));
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    let connect = || UnixStream::connect_addr(&address).expect("somebody listens");
    let answer = |mut client: UnixStream| {
        let mut text = String::new();
        client.read_to_string(&mut text).expect("it is served");
        text
    };
    assert_eq!(answer(connect()), format!("served by {}", main.pid));
    // It stops, so that it serves nobody any more, and a client comes before it ends.
    kill(main.pid, libc::SIGSTOP);
    support::until("it stops", || (state(main.pid) == Some('T')).then_some(()));
    let client = connect();
    kill(main.pid, libc::SIGKILL);
    let next = main_line(&mut live);
    assert_eq!(answer(client), format!("served by {}", next.pid));

    // The address is taken.
    let (code, lines) = Live::start(alone, &[], &[]).end();
    assert_eq!(code, 78);
    let text =
        format!("<3>steady: cannot listen on unix:@{name}: Address already in use (os error 98)");
    assert_eq!(lines, [text]);
    live.signal(libc::SIGTERM);
    assert_eq!(live.end().0, -libc::SIGTERM);
}

fn nothing_survives_the_parent(alone: &Alone) {
    let mut live = Live::start(alone, &["wait"], &[]);
    let main = main_line(&mut live);
    let zygote = zygote(live.pid(), 0);
    live.signal(libc::SIGKILL);
    assert_eq!(live.end().0, -libc::SIGKILL);
    // Both have the streams open until they are about to end, which the kernel takes its time for.
    for pid in [main.pid, zygote] {
        support::until("its end", || (!is_running(pid)).then_some(()));
    }
}

/// What programs rely on at their end is done for a worker that is followed by another, too.
fn the_last_worker_s_files_are_whole(alone: &Alone) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (code, lines) =
        Live::start(alone, &["hold", folder.path().to_str().expect("a path")], &[]).end();
    let text = lines.join("\n");
    assert_eq!(code, 0, "{text}");
    for line in [
        "atexit was called",
        "bytes were written",
        "packed was written",
        "text was written",
        "thread was waited for",
    ] {
        assert!(lines.iter().any(|said| said == line), "{line}: {text}");
    }
}

fn hoards_are_ended(alone: &Alone) {
    let (code, lines) = Live::start(alone, &["hoard"], &[]).end();
    let text = lines.join("\n");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("is over the hard limit of 200.0 MiB: starts again"), "{text}");
    assert!(lines.iter().any(|line| line.ends_with("'memory'")), "{text}");

    let Some(group) = Group::new("memory") else { return };
    group.limit(["memory.max", "memory.limit_in_bytes"], &(80 << 20).to_string());
    let (code, lines) = group.start(alone, "oom").end();
    let text = lines.join("\n");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("has ended (signal 9): oom; starts again"), "{text}");
    assert!(lines.iter().any(|line| line.ends_with("'oom'")), "{text}");
}

fn forks_may_fail(alone: &Alone) {
    let Some(group) = Group::new("pids") else { return };
    let mut live = group.start(alone, "wait");
    let main = main_line(&mut live);
    // Parent and zygote, and nothing else.
    group.limit(["pids.max"; 2], "2");
    kill(main.pid, libc::SIGKILL);
    live.line("no worker can be made: Resource temporarily unavailable");
    group.limit(["pids.max"; 2], "max");
    assert_eq!(main_line(&mut live).last, "'signal 9'");
    live.signal(libc::SIGTERM);
    assert_eq!(live.end().0, -libc::SIGTERM);
}

#[test]
fn the_next_worker_is_faster_and_smaller_than_a_fresh_start() {
    let (_project, zygote) = steady("zygote-speed", STEADY, LOOSE);
    let (_project, fresh) = steady("fresh-speed", STEADY, &LOOSE.replace("zygote", "exec"));
    let mut live = Live::start(&zygote, &["wait"], &[]);
    let mut main = main_line(&mut live);
    let [mut again, mut cold] = [const { Vec::new() }; 2];
    let [mut private, mut whole] = [0; 2];
    // One after the other, so that what else the machine does falls on both.
    for _ in 0..25 {
        let at = crate::support::live::monotonic();
        kill(main.pid, libc::SIGKILL);
        main = main_line(&mut live);
        again.push(main.at - at);
        private = main.private;
        let mut fresh = Live::start(&fresh, &["wait"], &[]);
        let first = main_line(&mut fresh);
        cold.push(first.at - fresh.since);
        whole = first.private;
    }
    // The least of each: what else the machine does only adds to it, and adds more to what wakes more processes.
    let [again, cold] = [again, cold].map(|times| times.into_iter().min().expect("one"));
    assert!(again < cold / 2, "{again} ns after a kill, {cold} ns from nothing");
    assert!(private <= whole, "{private} KiB of its own, {whole} KiB when it is started anew");
}

#[test]
fn short_runs_are_counted_over_starts_until_it_gives_up() {
    let reports = tempfile::tempdir().expect("a folder can be made");
    let tables = format!(
        "[package.metadata.pyrmware.memory]\nhard = \"1 GiB\"\nrestart = \"zygote\"\nreport-dir = {:?}\n\
         [package.metadata.pyrmware.service]\nrestarts = 2\nback-off = \"10 ms\"\n",
        reports.path().display()
    );
    let thread = "import os\nif os.environ.get('THREAD'):\n    import threading\n    \
                  threading.Thread(target=threading.Event().wait, daemon=True).start()\n";
    let (_project, alone) = steady("breaker", &format!("{thread}{STEADY}"), &tables);
    let mut live = Live::start(&alone, &["wait"], &[]);
    for _ in 0..3 {
        let main = main_line(&mut live);
        kill(main.pid, libc::SIGSEGV);
    }
    let (code, lines) = live.end();
    assert_eq!(code, 75, "{lines:?}");
    let text = lines.join("\n");
    assert!(text.contains("<3>steady: ended 3 times in a row within minutes; gives up"), "{text}");
    // Whoever starts it again learns why, and that it has to wait.
    let mut live = Live::start(&alone, &["wait"], &[]);
    let waits = live.line("ended 3 times in a row within minutes; starts in");
    assert!(waits.starts_with("<4>steady: "), "{waits}");
    let main = main_line(&mut live);
    assert_eq!(main.last, "'signal 11'");
    kill(main.pid, libc::SIGKILL);
    assert_eq!(live.end().0, 75);
    // An end of its own is a new beginning.
    assert_eq!(Live::start(&alone, &["exit", "0"], &[]).end().0, 0);
    let (code, lines) = Live::start(&alone, &["exit", "3"], &[]).end();
    assert_eq!(code, 3);
    assert!(lines.len() == 1 && lines[0].ends_with("None"), "{lines:?}");

    // What cannot be forked is not, and starts anew.
    let mut live = Live::start(&alone, &["wait"], &[("THREAD", "1")]);
    let text = "restart = \"zygote\" is not possible: the imports have started 1 thread; starts anew each time";
    live.line(text);
    let first = main_line(&mut live);
    kill(first.pid, libc::SIGKILL);
    let second = main_line(&mut live);
    assert_eq!((second.parent, second.last.as_str()), (live.pid(), "'signal 9'"));
    assert_eq!(children(live.pid()), [second.pid], "there is no zygote");
    live.signal(libc::SIGTERM);
    let (code, lines) = live.end();
    assert_eq!(code, -libc::SIGTERM);
    assert_eq!(lines.iter().filter(|line| line.contains(text)).count(), 1, "{lines:?}");
}

/// A control group for one process and its children.
struct Group(PathBuf);

impl Group {
    /// None where this machine does not let one be made, which is told: only a device image shows it then.
    fn new(controller: &str) -> Option<Group> {
        let roots = [format!("/sys/fs/cgroup/{controller}"), "/sys/fs/cgroup".to_owned()];
        let found = roots.iter().find_map(|root| {
            let folder = Path::new(root).join(format!("pyrmware-test-{}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            let group = Group(folder);
            let files = ["memory.max", "memory.limit_in_bytes", "pids.max"];
            let has = |file: &&str| file.starts_with(controller) && group.0.join(file).exists();
            files.iter().any(has).then_some(group)
        });
        if found.is_none() {
            eprintln!("no control group of {controller} can be made here: not tested");
        }
        found
    }

    fn limit(&self, files: [&str; 2], value: &str) {
        let file = files.iter().map(|file| self.0.join(file)).find(|file| file.exists());
        fs::write(file.expect("one of both"), value).expect("the limit is set");
    }

    fn start(&self, alone: &Alone, mode: &str) -> Live {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ > \"$1/cgroup.procs\" && exec \"$2\" \"$3\"", "sh"]);
        command.arg(&self.0).arg(&alone.launcher).arg(mode);
        Live::of(command, &[])
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It is empty when all that ran in it has ended.
        let _ = fs::remove_dir(&self.0);
    }
}

fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn is_running(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// What the kernel says that it does: `R`, `S`, `T`, `Z` and the like.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// Children that have not been waited for, the oldest first.
fn children(pid: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("it is there").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<i32> = pids
        .filter(|child| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
            parent.and_then(|parent| parent.parse().ok()) == Some(pid)
        })
        .collect();
    found.sort_unstable();
    found
}

/// The zygote of a parent, when it is another one than this.
fn zygote(parent: i32, last: i32) -> i32 {
    let is_new = |pid: &i32| *pid != last && comm(*pid).ends_with(":zygote");
    support::until("another zygote", || children(parent).into_iter().find(is_new))
}
