//! `report.html`: one file without network that shows report.json.

use serde_json::Value;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const FLAME: &str = include_str!("flame.js");

/// The page with the report inside.
pub fn page(report: &Value) -> String {
    // Inside a script element only "<" could end it.
    let data = report.to_string().replace('<', "\\u003c");
    PAGE.replacen("/*STYLE*/", STYLE, 1)
        .replacen("/*SCRIPT*/", SCRIPT, 1)
        .replacen("/*FLAME*/", FLAME, 1)
        .replacen("/*DATA*/", &data, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_report_cannot_leave_its_element() {
        let page = page(&json!({"app": "</script><script>alert(1)</script>"}));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("\\u003c/script>\\u003cscript>alert(1)"));
    }

    #[test]
    fn every_part_is_in_its_place() {
        let page = page(&json!({"startup": null}));
        for part in ["/*STYLE*/", "/*SCRIPT*/", "/*FLAME*/", "/*DATA*/"] {
            assert!(!page.contains(part), "{part}");
        }
        assert!(page.find("const report =") < page.find("const start = report.startup"));
    }

    #[test]
    fn the_page_asks_nobody() {
        let page = page(&json!({}));
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            let allowed = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!allowed.contains(outside), "{outside}");
        }
    }
}
