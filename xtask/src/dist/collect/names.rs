//! Names: of distributions, patterns over module names, near misses for error messages.

/// A distribution's name as PEP 503 compares it.
pub fn normalise(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if !matches!(c, '-' | '_' | '.') {
            out.extend(c.to_lowercase());
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    out
}

/// Whether `text` is one Python identifier (close enough: ASCII rules plus any letter).
pub fn is_identifier(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// Whether `text` is identifiers joined by dots.
pub fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

/// The packages above a dotted name, outermost first: `a`, `a.b` for `a.b.c`.
pub fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(move |(at, _)| &name[..at])
}

/// A module and the packages that it lies in, the longest name first: `a.b`, `a` for `a.b`.
pub fn outward(module: &str) -> impl Iterator<Item = &str> {
    let above = module.rmatch_indices('.').map(|(at, _)| &module[..at]);
    std::iter::once(module).chain(above)
}

/// The module of a source inside a launcher: `a.b` of `a/b.py`, `a` of `a/__init__.py`; none of other files.
pub fn module_of(path: &str) -> Option<String> {
    let stem = path.strip_suffix(".py")?;
    Some(stem.strip_suffix("/__init__").unwrap_or(stem).replace('/', "."))
}

/// Whether a module name fits a pattern of `[tool.pyrmware.prune]`: `name`, or `name.*` for it and all below.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(".*") {
        None => pattern == name,
        Some(package) => is_within(name, package),
    }
}

/// Whether `name` is `package` or below it.
pub fn is_within(name: &str, package: &str) -> bool {
    name.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Up to three names that `name` may have been meant to be, nearest first.
pub fn similar<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 3)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= 1 + name.chars().count() / 4)
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// ", did you mean a or b?", or nothing.
pub fn hint<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    match similar(name, candidates).as_slice() {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Whether a path fits a glob: `*`, `?` inside one folder, `**` over any number of folders.
pub fn glob(pattern: &str, path: &str) -> bool {
    fn folders(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**", rest @ ..], _) => (0..=path.len()).any(|skip| folders(rest, &path[skip..])),
            ([first, rest @ ..], [name, below @ ..]) => {
                wildcard(first.as_bytes(), name.as_bytes()) && folders(rest, below)
            }
            _ => false,
        }
    }
    let split = |text: &'_ str| -> Vec<String> { text.split('/').map(str::to_owned).collect() };
    let (pattern, path) = (split(pattern), split(path));
    let pattern: Vec<&str> = pattern.iter().map(String::as_str).filter(|p| *p != ".").collect();
    folders(&pattern, &path.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether `text` fits a pattern of plain bytes, `*` and `?`.
pub fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| wildcard(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, below @ ..]) => wildcard(rest, below),
        ([byte, rest @ ..], [first, below @ ..]) => byte == first && wildcard(rest, below),
        _ => false,
    }
}

/// A field of a CSV line.
pub fn csv(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_compare_as_pep_503_says() {
        assert_eq!(normalise("Foo._-Bar"), "foo-bar");
    }

    #[test]
    fn patterns_take_one_module_or_all_below() {
        assert!(fits("a.b", "a.b") && !fits("a.b", "a.b.c"));
        assert!(fits("a.*", "a") && fits("a.*", "a.b.c") && !fits("a.*", "ab"));
    }

    #[test]
    fn globs_stay_inside_a_folder_unless_doubled() {
        assert!(glob("data/*.json", "data/a.json") && !glob("data/*.json", "data/x/a.json"));
        assert!(glob("data/**/*.json", "data/a.json") && glob("./data/**", "data/x/a.json"));
        assert!(glob("?.txt", "a.txt") && !glob("?.txt", "ab.txt"));
    }

    #[test]
    fn near_misses_are_offered_nearest_first() {
        let names = ["device_console", "device_consul", "json"];
        assert_eq!(
            similar("device_consol", names.into_iter()),
            ["device_console", "device_consul"]
        );
        assert!(similar("xml", names.into_iter()).is_empty());
    }
}
