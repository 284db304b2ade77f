//! `cargo xtask memory`: what launchers have reported, as a page.

use std::fs;
use std::path::PathBuf;

use crate::support::{self, ROOT, golden};

fn reports() -> PathBuf {
    ROOT.join("tests/golden/memory/reports")
}

#[test]
fn reports_become_one_page_and_a_summary() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("deep/memory.html");
    let ended =
        support::xtask().arg("memory").arg(reports()).arg("--out").arg(&out).run().success();
    assert_eq!(ended.out(), format!("{}\n", out.display()));
    golden::check("memory/summary.txt", &ended.err());

    let page = fs::read_to_string(&out).expect("the page is there");
    for text in [
        "<h1>gateway 1.2: memory</h1>",
        "Run 2 of 2<small>2 h 20 min, process 412</small>",
        "Run 1 of 2<small>15 min, process 412, over its hard limit at the end</small>",
        "device pg-700 · Python 3.11.2 · 1.00 GiB of the machine · the run before ended for: memory",
        "above the chart: ceiling 1.00 GiB",
        "hard 64.0 MiB</text>",
        "6.0 open files an hour",
        "declared dead because",
        "useless: it gives next to nothing back",
        "failed 3 times",
        "×40, 1.9 KiB, +20 an hour",
        "2 objects that live are reached from nowhere",
        "gateway.log.lines",
        "in the first look",
    ] {
        assert!(page.contains(text), "{text}:\n{page}");
    }
    // One box for what both signatures share, and nothing of a device is markup.
    assert_eq!(page.matches("<rect").count(), 7, "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    for outside in ["<script", "http://", "https://", "NaN", "inf,"] {
        assert!(!page.contains(outside), "{outside}:\n{page}");
    }
}

#[test]
fn a_report_of_today_is_enough() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("memory.html");
    let words = ["memory", "--message-format", "json", "--out"];
    let file = reports().join("memory-000004-hard.json");
    let ended = support::xtask().args(words).arg(&out).arg(file).run().success();
    let said = support::event(&ended, "memory");
    assert_eq!((&said["reports"], &said["runs"]), (&1.into(), &1.into()), "{said}");
    assert_eq!(said["page"].as_str(), out.to_str());
    assert!(
        fs::read_to_string(&out).expect("it is there").contains("over the hard limit of 64.0 MiB")
    );
}

#[test]
fn what_is_no_report_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("it is made");
        fs::write(&file, text).expect("it is written");
    };
    write("cut.json", "{\"app\": \"gateway\", \"reas");
    write("other.json", "{\"name\": \"gateway\"}");
    write("typed.json", "{\"app\": \"a\", \"reason\": \"soft\", \"uptime\": 1, \"rss\": \"much\"}");
    write("later.json", "{\"format\": 2, \"app\": \"a\", \"reason\": \"soft\", \"uptime\": 1}");
    write("empty/readme.txt", "");
    let mut text = String::new();
    for name in ["absent.json", "cut.json", "other.json", "typed.json", "later.json", "empty"] {
        let out = folder.path().join("memory.html");
        let task = support::xtask().arg("memory").arg(folder.path().join(name));
        let ended = task.arg("--out").arg(&out).run().exits(1);
        assert_eq!(ended.out(), "");
        assert!(!out.exists(), "{ended}");
        text += &ended.err().replace(&folder.path().display().to_string(), "[folder]");
    }
    golden::check("memory/errors.txt", &text);
}
