//! The verbs that explain an image: what they say is what `dist` does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::task::Ended;
use crate::support::{self, Image};

fn explain(project: &Path, words: &[&str]) -> Ended {
    let (verb, rest) = words.split_first().expect("a verb");
    support::xtask().arg(verb).args(["-q", "--project"]).arg(project).args(rest).run()
}

fn kept(image: &Image) -> BTreeSet<String> {
    let modules = image.report["modules"]["kept"].as_array().expect("a list");
    modules.iter().map(|module| module["name"].as_str().expect("a name").to_owned()).collect()
}

fn names(list: &Value) -> BTreeSet<String> {
    let names = list.as_array().expect("a list").iter();
    names.map(|name| name.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn why_names_real_lines_from_the_module_to_the_entry() {
    let project = support::project("hello");
    let said = explain(&project, &["why", "re._parser"]).success().out();
    assert!(said.starts_with("re._parser: "), "{said}");
    assert!(said.contains(" <- hello.__main__:3 (top level); exclusive "), "{said}");
    let words = ["why", "--message-format", "json", "re._parser"];
    let answer = support::event(&explain(&project, &words).success(), "why");
    let plan = support::plan("hello");
    let prefix = Path::new(plan["interpreter"]["prefix"].as_str().expect("a prefix"));
    let version = plan["interpreter"]["version"].as_str().expect("a version");
    let minor = version.rsplit_once('.').expect("a patch").0;
    let mut asked = "re._parser".to_owned();
    for step in answer["path"].as_array().expect("steps") {
        let module = step["module"].as_str().expect("a name");
        let path = module.replace('.', "/");
        let folders = [prefix.join(format!("lib/python{minor}")), project.clone()];
        let file = folders
            .iter()
            .flat_map(|dir| {
                [format!("{path}.py"), format!("{path}/__init__.py")].map(|p| dir.join(p))
            })
            .find(|file| file.is_file())
            .unwrap_or_else(|| panic!("{module} has no file"));
        let text = fs::read_to_string(&file).expect("it can be read");
        let line = step["line"].as_u64().expect("a line") as usize;
        let line = text.lines().nth(line - 1).expect("it has that line");
        let last = asked.rsplit('.').next().expect("a part");
        assert!(line.contains("import") && line.contains(last), "{module}: {line}: {asked}");
        asked = module.to_owned();
    }
    assert_eq!(asked, "hello.__main__");
}

#[test]
fn why_knows_what_is_left_out_inside_libpython_and_nowhere() {
    let project = support::project("layout");
    let said = explain(&project, &["why", "layout.dropped", "sys", "winreg"]).success().out();
    assert!(
        said.contains("layout.dropped: left out: dropped by [tool.pyrmware.prune] drop\n"),
        "{said}"
    );
    assert!(
        said.contains("\nsys: the interpreter's own, costs nothing\n  asked for by\n"),
        "{said}"
    );
    assert!(said.contains("\nwinreg: nowhere: "), "{said}");
    let ended = explain(&project, &["why", "argparze"]).exits(1);
    assert!(ended.err().contains("there is no module argparze; did you mean argparse?"), "{ended}");
}

#[test]
fn what_if_says_what_the_rebuild_does() {
    let copy = support::copy_of("hello");
    let project = copy.path();
    let write = |path: &str, text: &str| fs::write(project.join(path), text).expect("written");
    let pyproject = fs::read_to_string(project.join("pyproject.toml")).expect("it can be read");
    write("hello/extra.py", "import colorsys\n");
    write("hello/late.py", "import hello.extra\n\n\ndef later():\n    import hello.more\n");
    write("hello/more.py", "");
    let main = project.join("hello/__main__.py");
    let text = fs::read_to_string(&main).expect("it can be read");
    let later = "\n\ndef later():\n    import hello.late\n    import hello.extra\n";
    fs::write(&main, text.replacen("\n\n\n", &format!("{later}\n\n"), 1) + later).expect("written");
    let words = |drop| ["what-if", "--message-format", "json", "--drop", drop, "--keep", "tomllib"];
    let what_if = |drop| support::event(&explain(project, &words(drop)).success(), "what-if");
    let images = tempfile::tempdir().expect("a folder");
    let dist = |out: &str| support::dist(project, &images.path().join(out)).run();
    let configure = |drop: &str| {
        let prune = format!("\n[tool.pyrmware.prune]\nkeep = [\"tomllib\"]\ndrop = [\"{drop}\"]\n");
        write("pyproject.toml", &format!("{pyproject}{prune}"));
    };

    let before = Image::of(&dist("before").success());
    let said = what_if("hello.extra");
    configure("hello.extra");
    let after = Image::of(&dist("after").success());
    let bytes = |image: &Image| image.report["bytes"]["payload"].as_i64().expect("a number");
    assert_eq!(said["bytes"].as_i64(), Some(bytes(&after) - bytes(&before)), "{said}");
    assert_eq!(names(&said["added"]), &kept(&after) - &kept(&before), "{said}");
    assert_eq!(names(&said["removed"]), &kept(&before) - &kept(&after), "{said}");
    assert!(names(&said["added"]).contains("tomllib._parser"), "{said}");
    assert!(names(&said["removed"]).contains("colorsys"), "{said}");
    assert_eq!(said["breaks"][0], "hello.late:1 (top level) needs hello.extra", "{said}");
    assert!(said["asks"][0].as_str().expect("a text").starts_with("hello.__main__:"), "{said}");

    write("pyproject.toml", &pyproject);
    let said = what_if("hello.modes");
    assert!(said["breaks"][0].as_str().expect("a text").starts_with("the start: hello."), "{said}");
    configure("hello.modes");
    let refused = dist("after").exits(1);
    assert!(refused.err().contains("cannot be left out"), "{refused}");
}

#[test]
fn size_adds_up_and_shows_what_has_changed() {
    let copy = support::copy_of("hello");
    let project = copy.path();
    let numbers = project.join("numbers.json");
    let save = ["size", "--message-format", "json", "--save", numbers.to_str().expect("UTF-8")];
    let said = support::event(&explain(project, &save).success(), "size");
    let bytes = |value: &Value| value["bytes"].as_i64().expect("a number");
    let packages = said["packages"].as_object().expect("a table");
    assert_eq!(packages.values().map(bytes).sum::<i64>(), bytes(&said["payload"]));
    let exclusive = packages["collections"]["exclusive"].as_i64().expect("a number");
    assert!(exclusive >= bytes(&packages["collections"]), "{said}");

    fs::write(project.join("hello/more.py"), format!("TEXT = {:?}\n", "x".repeat(5000)))
        .expect("written");
    let main = project.join("hello/__main__.py");
    let text = fs::read_to_string(&main).expect("it can be read");
    fs::write(&main, format!("import hello.more\n{text}")).expect("written");
    let compare = ["size", "--compare", numbers.to_str().expect("UTF-8")];
    let said = explain(project, &compare).success().out();
    assert!(said.contains("\n+ hello.more"), "{said}");
    let line = said.lines().find(|line| line.starts_with("hello ")).expect("the application's");
    assert!(line.contains("+5.") && line.contains("KiB"), "{said}");
    let words = [&compare[..], &["--message-format", "json"]].concat();
    let said = support::event(&explain(project, &words).success(), "size-difference");
    assert!(bytes(&said["packages"]["hello"]) > 5000, "{said}");
    assert_eq!(said["added"], serde_json::json!(["hello.more"]));
}

#[test]
fn size_fails_over_the_budget() {
    let copy = support::copy_of("hello");
    let pyproject = copy.path().join("pyproject.toml");
    let text = fs::read_to_string(&pyproject).expect("it can be read");
    for (budget, code) in [("2 MiB", 1), ("200 MiB", 0)] {
        let budget = format!("{text}\n[tool.pyrmware.budget]\nsize = \"{budget}\"\n");
        fs::write(&pyproject, budget).expect("it is written");
        let ended = explain(copy.path(), &["size", "--budget"]).exits(code);
        assert!(ended.out().contains("\npayload "), "{ended}");
        assert_eq!(ended.err().contains("[tool.pyrmware.budget] allows 2.0 MiB"), code == 1);
    }
}

#[test]
fn the_modules_lock_is_kept_up_to_date_where_it_is_wanted() {
    let copy = support::copy_of("hello");
    let project = copy.path();
    let images = tempfile::tempdir().expect("a folder");
    let lock = project.join("pyrmware.modules.lock");
    let dist = |flags: &[&str]| support::dist(project, images.path()).args(flags).run();
    dist(&["--locked"]).success();
    assert!(!lock.exists(), "nobody asked for it");
    explain(project, &["size", "--lock"]).success();
    let text = fs::read_to_string(&lock).expect("it is there");
    dist(&["--locked"]).success();
    assert_eq!(fs::read_to_string(&lock).expect("it is there"), text);
    assert!(text.contains("\nhello.modes ") && text.contains(" hello.__main__ (top level)\n"));

    let chain = project.join("hello/chain.py");
    let source = fs::read_to_string(&chain).expect("it can be read");
    fs::write(&chain, format!("import colorsys\n{source}")).expect("it is written");
    let refused = dist(&["--locked"]).exits(1);
    assert!(refused.err().contains("--locked forbids to write it"), "{refused}");
    assert!(refused.err().contains("\n+ colorsys "), "{refused}");
    assert!(refused.err().contains("\n- hello.chain "), "{refused}");
    let ended = dist(&[]).success();
    assert!(ended.err().contains("Updated pyrmware.modules.lock: 1 more, 1 changed"), "{ended}");
    dist(&["--locked"]).success();

    let other = text.replacen("# Python 3.", "# Python 2.", 1);
    fs::write(&lock, &other).expect("it is written");
    let ended = dist(&["--locked"]).success();
    assert!(ended.err().contains("pyrmware.modules.lock is for Python 2."), "{ended}");
    assert_eq!(fs::read_to_string(&lock).expect("it is there"), other);
}

#[test]
fn startup_says_what_was_loaded_and_for_whom() {
    let image = support::image("hello");
    let project = support::project("hello");
    assert!(image.report["startup"]["ready"].is_u64(), "as verify has seen it");
    let words = ["startup", "-q", "--message-format", "json", "--runs", "3", "--out"];
    let task = || support::xtask().args(words).arg(&image.folder).arg("--project").arg(&project);
    let said = support::event(&task().run().success(), "startup");
    let number = |value: &Value| value.as_u64().expect("a number");
    assert_eq!(said["runs"].as_array().expect("a list").len(), 3);
    assert!(said["runs"].as_array().expect("a list").contains(&said["ready"]));
    assert!(number(&said["ready"]) <= number(&said["end"]), "{said}");
    let spans = said["spans"].as_array().expect("a list");
    let modes = spans.iter().find(|span| span["module"] == "hello.modes").expect("it was loaded");
    assert_eq!((modes["by"].as_str(), modes["line"].as_u64()), (Some("__main__"), Some(3)));
    assert_eq!(said["ready"], modes["end"]);
    let own: u64 = spans.iter().map(|span| number(&span["own"])).sum();
    let outer = spans.iter().filter(|span| span["depth"] == 0);
    let outer: u64 = outer.map(|span| number(&span["end"]) - number(&span["start"])).sum();
    assert!(own.abs_diff(outer) <= spans.len() as u64, "{own} is not {outer}");
    let packages = said["packages"].as_object().expect("a table");
    assert_eq!(packages.values().map(number).sum::<u64>(), own);
    assert!(names(&said["unused"]["modules"]).contains("hello.broken"), "{said}");

    let report = fs::read(image.folder.join("report.json")).expect("it is there");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["startup"]["spans"], said["spans"]);
    let record = image.folder.join("record");
    let nowhere = image.folder.join("no/such/folder");
    let start = |file: &Path| {
        image.alone().task().env("PYRMWARE_STARTUP", file).args(["--exit", "3"]).run().exits(3)
    };
    let ended = start(&nowhere);
    assert!(ended.err().contains("hello: the start is not recorded: "), "{ended}");
    assert_eq!(start(&record).err(), "");
    let read = task().arg("--read").arg(&record).run().success();
    assert!(support::event(&read, "startup")["ready"].as_u64() > Some(0), "{read}");
    let said = task().args(["--", "--exit", "3"]).run().success();
    assert_eq!(
        support::event(&said, "message")["message"],
        "the launcher ended with exit status: 3"
    );
}

#[test]
fn a_start_over_its_budget_fails_with_what_became_slower() {
    let copy = support::copy_of("hello");
    let images = tempfile::tempdir().expect("a folder");
    let pyproject = copy.path().join("pyproject.toml");
    let text = fs::read_to_string(&pyproject).expect("it can be read");
    let dist = |budget: &str| {
        let budget = format!("{text}\n[tool.pyrmware.budget]\nstartup = \"{budget}\"\n");
        fs::write(&pyproject, budget).expect("it is written");
        support::dist(copy.path(), images.path()).run()
    };
    let image = Image::of(&dist("100 s").success());
    assert!(image.report["startup"]["packages"]["hello"].is_u64(), "{}", image.report["startup"]);
    let modes = copy.path().join("hello/modes.py");
    let source = fs::read_to_string(&modes).expect("it can be read");
    fs::write(&modes, format!("{source}\ntime.sleep(0.3)\n")).expect("it is written");
    let refused = dist("250 ms").exits(1);
    assert!(refused.err().contains(" to the first line of main, and startup in "), "{refused}");
    let slower = refused.err().split("since the last image:\n").nth(1).expect("a list").to_owned();
    let first = slower.lines().next().expect("a line").trim();
    let by = first.strip_suffix(" ms  hello").and_then(|by| by.parse::<f64>().ok());
    assert!(by.is_some_and(|by| by > 200.0), "{refused}");
}

#[test]
fn what_a_trace_has_seen_is_told() {
    let copy = support::copy_of("hello");
    let project = copy.path();
    fs::write(project.join("pyrmware.trace"), "locale\ncolorsys\n").expect("it is written");
    let said = explain(project, &["why", "locale", "colorsys", "hello.broken"]).success().out();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("; exclusive ")).collect();
    assert!(lines[0].starts_with("locale: hello.modes:"), "{said}");
    assert!(lines[0].ends_with("; traced"), "{said}");
    assert!(lines[1].starts_with("colorsys: seen by the trace; exclusive "), "{said}");
    assert!(lines[2].ends_with("; not traced"), "{said}");
    let said = explain(project, &["what-if", "--drop", "colorsys"]).success().out();
    assert!(
        said.ends_with("BREAKS traced: the application was seen to import colorsys\n"),
        "{said}"
    );
}
