//! What distributions and packages bring for those who read: it goes with the docstrings.

use crate::dist::collect::Origin;

/// Whether a resource is made for readers only.
pub fn is_one(path: &str, origin: &Origin) -> bool {
    match origin {
        // The image folder has one bill of materials of everything.
        Origin::Dependency(_) => path.contains(".dist-info/sboms/"),
        Origin::Stdlib => path.ends_with(".rst"),
        Origin::Application | Origin::Runtime => false,
    }
}

/// A distribution's `METADATA` without its description, which is what its page on an index shows.
pub fn undescribed(metadata: &str) -> String {
    let mut out = String::new();
    let mut described = false;
    for line in metadata.lines().take_while(|line| !line.is_empty()) {
        // It is what follows the fields, or one of them, which goes on in indented lines.
        described =
            line.starts_with("Description:") || (described && line.starts_with([' ', '\t']));
        if !described {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_and_descriptions_go() {
        let fields = "Metadata-Version: 2.1\nName: demo\n";
        let license = "License: one\n        two\nRequires-Dist: x\n";
        let old = format!("{fields}Description: A\n        B\n         \n        C\n{license}");
        assert_eq!(undescribed(&old), format!("{fields}{license}"));
        let new = format!("{fields}{license}\n# Demo\n\nName: none\n");
        assert_eq!(undescribed(&new), format!("{fields}{license}"));
    }
}
