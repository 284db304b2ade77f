//! What is left of stderr when paths, sources and addresses are not the same. As `shape()` in
//! `tests/apps/check.py`, in the words of `tests/apps/README.md`.

/// The shape of what a process wrote to stderr, line by line.
pub fn of(stderr: &str) -> String {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in stderr.lines() {
        let bare = without_bars(line);
        if let Some((path, name)) = frame(bare) {
            inside = true;
            let ours = ["/runpy.py", "<string>"].iter().any(|end| path.ends_with(end));
            if !ours && !path.starts_with("<frozen") {
                lines.push(format!("  in {}", name.unwrap_or("-")));
            }
        } else if let Some(warning) = warning(bare) {
            inside = true;
            lines.push(warning.to_owned());
        } else if !(inside && bare.starts_with("  ")) {
            inside = false;
            lines.push(without_folders(&without_addresses(bare)));
        }
    }
    lines.join("\n")
}

/// The same without the functions of tracebacks.
pub fn without_frames(stderr: &str) -> String {
    let shape = of(stderr);
    shape.lines().filter(|line| !line.starts_with("  in ")).collect::<Vec<_>>().join("\n")
}

/// An exception group draws bars on the left of what is inside it.
fn without_bars(line: &str) -> &str {
    let start = line.len().min(12);
    match line.get(..start).and_then(|head| head.rfind('|')) {
        Some(bar) if line[..bar].chars().all(|c| " +|-".contains(c)) => {
            let rest = &line[bar + 1..];
            rest.strip_prefix(' ').unwrap_or(rest)
        }
        _ => line,
    }
}

/// `  File "path", line 1, in name` -> (path, name).
fn frame(line: &str) -> Option<(&str, Option<&str>)> {
    let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
    match rest.split_once(", in ") {
        Some((_, name)) => Some((path, Some(name))),
        None => rest.chars().all(|c| c.is_ascii_digit()).then_some((path, None)),
    }
}

/// `path:1: UserWarning: text` -> `UserWarning: text`.
fn warning(line: &str) -> Option<&str> {
    let (place, rest) = line.split_once(": ")?;
    let (path, number) = place.rsplit_once(':')?;
    let category = rest.split(": ").next()?;
    // Code without a file's name has its module's.
    let module = ["<module ", "<frozen "].iter().find_map(|head| path.strip_prefix(head));
    let path = module.unwrap_or(path);
    let plain = |text: &str| text.chars().all(|c| c == '_' || c.is_alphanumeric());
    let is_place = !path.is_empty()
        && !path.contains(char::is_whitespace)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit());
    (is_place && category.ends_with("Warning") && plain(category)).then_some(rest)
}

/// `0x7f…` -> `0x`.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split("0x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("0x");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    text
}

/// `'/home/x/app.py'` -> `'app.py'`.
fn without_folders(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('/') {
        let before = rest[..at].chars().next_back().or(text.chars().next_back());
        let absolute = !before.is_some_and(|c| c == '/' || c == '_' || c.is_alphanumeric());
        let end = rest[at..]
            .find(|c: char| c.is_whitespace() || c == '\'' || c == '"')
            .map_or(rest.len(), |length| at + length);
        let last = rest[at..end].rfind('/').map_or(at, |length| at + length);
        text.push_str(&rest[..at]);
        if !(absolute && last > at) {
            text.push_str(&rest[at..=last]);
        }
        rest = &rest[last + 1..];
    }
    text.push_str(rest);
    text
}

#[test]
fn what_differs_between_two_machines_is_gone_and_the_rest_is_there() {
    let text = "\
Traceback (most recent call last):
  File \"<frozen runpy>\", line 198, in _run_module_as_main
  File \"/usr/lib/python3.11/runpy.py\", line 1, in _run_code
  File \"/home/x/app.py\", line 3, in main
    start()
    ^^^^^^^
  + Exception Group Traceback (most recent call last):
  |   File \"/home/x/app.py\", line 3, in inner
  | ValueError: bad <object at 0x7fab12>
/home/x/app.py:7: UserWarning: take care
  warnings.warn(\"take care\")
<module app.main>:7: DeprecationWarning: take more care
cannot open '/home/x/data.json' or a/b/c";
    let shape = "\
Traceback (most recent call last):
  in main
  in inner
ValueError: bad <object at 0x>
UserWarning: take care
DeprecationWarning: take more care
cannot open 'data.json' or a/b/c";
    assert_eq!(of(text), shape);
}
