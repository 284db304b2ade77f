//! `RECORD` of a distribution, reduced to what ships, so that `importlib.metadata.files()` names
//! nothing that is not there.

/// What became of a file that `RECORD` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipped {
    /// As it was: hash and size hold.
    Unchanged,
    /// In another form (compiled, rewritten): hash and size are left empty, as the format allows.
    Changed,
    /// Not at all.
    No,
}

/// Reduces a `RECORD`. Its lines keep their order: an installer sorts them or not, always the same way.
pub fn reduced(record: &str, shipped: impl Fn(&str) -> Shipped) -> String {
    let mut out = String::new();
    for line in record.lines().filter(|line| !line.trim().is_empty()) {
        let path = path_of(line);
        match shipped(&path) {
            Shipped::Unchanged => out.push_str(line),
            Shipped::Changed if path.contains(['"', ',']) => {
                out.push_str(&format!("\"{}\",,", path.replace('"', "\"\"")));
            }
            Shipped::Changed => out.push_str(&format!("{path},,")),
            Shipped::No => continue,
        }
        out.push('\n');
    }
    out
}

/// The first field of a line of CSV.
fn path_of(line: &str) -> String {
    let Some(quoted) = line.strip_prefix('"') else {
        return line.split(',').next().unwrap_or(line).to_owned();
    };
    let mut path = String::new();
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        // A quote inside is doubled; a single one ends the field.
        if c == '"' && rest.next() != Some('"') {
            break;
        }
        path.push(c);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_ships_and_empties_what_changed() {
        let record = "../../bin/flask,sha256=a,1\r\n\
                      flask/__init__.py,sha256=b,2\r\n\
                      flask/py.typed,sha256=c,0\r\n\
                      \r\n\
                      \"odd,\"\"name\"\".py\",sha256=d,3\r\n\
                      \"data,1.txt\",sha256=e,4\r\n\
                      flask/cli.py,sha256=f,5\r\n";
        let shipped = |path: &str| match path {
            "flask/__init__.py" | "odd,\"name\".py" => Shipped::Changed,
            "flask/py.typed" | "data,1.txt" => Shipped::Unchanged,
            _ => Shipped::No,
        };
        assert_eq!(
            reduced(record, shipped),
            "flask/__init__.py,,\nflask/py.typed,sha256=c,0\n\"odd,\"\"name\"\".py\",,\n\"data,1.txt\",sha256=e,4\n"
        );
    }
}
