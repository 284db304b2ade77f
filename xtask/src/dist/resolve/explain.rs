//! What went wrong, out of what a tool says: the act, the name, the remedy; the tool's own words below.

use super::tool::{Tool, Tools};

/// What was being done.
pub(in crate::dist) enum Act {
    /// Choosing versions.
    Lock,
    /// Installing what is locked, by this file's name.
    Install(String),
    /// Reading `uv.lock`.
    Export,
    /// Installing a tool of this name and version, which no lock names.
    Tool(String),
}

/// The tool's explanation under a headline of ours.
pub(super) fn failure(tool: &Tool, tools: &Tools, act: &Act, said: &str) -> anyhow::Error {
    let place = Place {
        app: &tools.config.project.name,
        python: &tools.interpreter.short_version(),
        platform: tools
            .interpreter
            .markers
            .get("platform_machine")
            .map(String::as_str)
            .unwrap_or_default(),
        offline: tools.config.resolution.offline,
        tool: if tool.is_uv() { "uv" } else { "pip" },
    };
    anyhow::Error::msg(shorten(said)).context(headline(&place, act, said))
}

struct Place<'a> {
    app: &'a str,
    python: &'a str,
    platform: &'a str,
    offline: bool,
    tool: &'a str,
}

fn headline(place: &Place, act: &Act, said: &str) -> String {
    let Place { app, python, platform, tool, .. } = place;
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    if has(&["lockfile at `uv.lock` needs to be updated", "the lockfile"])
        && matches!(act, Act::Export)
    {
        return "uv.lock is older than the dependencies of pyproject.toml; run `uv lock`"
            .to_owned();
    }
    if place.offline
        && has(&["network was disabled", "not found in the cache", "No matching distribution"])
    {
        return format!(
            "--offline, and {tool} has not all of the dependencies here; run once without --offline"
        );
    }
    const NETWORK: [&str; 6] = [
        "error sending request",
        "Failed to fetch",
        "dns error",
        "Failed to establish a new connection",
        "Temporary failure in name resolution",
        "Connection refused",
    ];
    if has(&NETWORK) {
        return "cannot reach the package index; check the network and the proxy's variables"
            .to_owned();
    }
    if has(&["Hash mismatch", "DO NOT MATCH THE HASHES"]) {
        let file = match act {
            Act::Install(file) => file.as_str(),
            _ => "the lock",
        };
        return format!(
            "a package is not the one that {file} names: its hash differs; find out who changed it, then lock again"
        );
    }
    if let Some(name) = quoted_after(said, "Wheels are required for `") {
        return format!(
            "`{name}` comes as source only; `sdists = [\"{name}\"]` in [tool.pyrmware] allows building it"
        );
    }
    if said.contains("no wheels with a matching") {
        let name = word_before(said, " has no wheels with a matching");
        return format!(
            "`{name}` has no wheel for Python {python} on {platform}; lock a version that has one"
        );
    }
    if has(&[
        "Failed to download and build",
        "Failed to build",
        "metadata-generation-failed",
        "build_wheel",
    ]) {
        return format!(
            "cannot build a package from source, as `sdists` in [tool.pyrmware] allows, with {tool}"
        );
    }
    if let (Some(name), "pip") = (rest_after(said, "No matching distribution found for "), *tool) {
        let bare = name.split(['=', '<', '>', '!', '~', '[', ' ']).next().unwrap_or(name);
        return format!(
            "pip finds no `{name}` that Python {python} on {platform} can use: no such version, or no wheel; if it comes as source only, `sdists = [\"{bare}\"]` in [tool.pyrmware] allows building it"
        );
    }
    if has(&["No solution found", "ResolutionImpossible"]) {
        return match act {
            Act::Lock => format!("the dependencies of {app} cannot be satisfied"),
            Act::Tool(name) => format!("{name} is not to be had for Python {python}"),
            _ => "what is locked cannot be installed".to_owned(),
        };
    }
    match act {
        Act::Lock => format!("{tool} cannot lock the dependencies of {app}"),
        Act::Install(file) => format!("{tool} cannot install what {file} names"),
        Act::Export => "uv cannot read uv.lock".to_owned(),
        Act::Tool(name) => {
            format!("{tool} cannot install {name}, which [tool.pyrmware.protect] needs")
        }
    }
}

/// What stands between the text and the next backtick.
fn quoted_after<'a>(said: &'a str, text: &str) -> Option<&'a str> {
    said.split_once(text)?.1.split('`').next()
}

/// What stands between the text and the end of its line.
fn rest_after<'a>(said: &'a str, text: &str) -> Option<&'a str> {
    said.split_once(text)?.1.lines().next().map(str::trim)
}

fn word_before<'a>(said: &'a str, text: &str) -> &'a str {
    said.split_once(text).and_then(|(before, _)| before.rsplit(' ').next()).unwrap_or("a package")
}

/// The lines that explain, without progress and prefixes.
fn shorten(said: &str) -> String {
    const NOISE: [&str; 9] = [
        "Using CPython",
        "Resolved ",
        "Prepared ",
        "Downloading ",
        "Collecting ",
        "Looking in ",
        "WARNING: Retrying",
        "WARNING: Running pip as",
        "[notice]",
    ];
    let lines = said.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    let telling =
        lines.filter(|line| !NOISE.iter().any(|noise| line.trim_start().starts_with(noise)));
    let mut lines: Vec<&str> = telling
        .map(|line| {
            let line = line.trim_start();
            ["error: ", "ERROR: ", "cause: "]
                .iter()
                .find_map(|prefix| line.strip_prefix(prefix))
                .unwrap_or(line)
        })
        .collect();
    const MOST: usize = 16;
    if lines.len() > MOST {
        // How it began and how it ended; what is between repeats itself.
        lines.splice(MOST / 2..lines.len() - MOST / 2, ["…"]);
    }
    if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(tool: &str, offline: bool, act: &Act, text: &str) -> String {
        headline(
            &Place { app: "console", python: "3.11", platform: "x86_64", offline, tool },
            act,
            text,
        )
    }

    #[test]
    fn headlines_name_the_cause_and_the_remedy() {
        let install = Act::Install("pylock.toml".to_owned());
        for (tool, offline, act, text, expected) in [
            (
                "uv",
                false,
                &Act::Lock,
                "error: No solution found when resolving dependencies\n  cause: Because a and b",
                "the dependencies of console cannot be satisfied",
            ),
            (
                "uv",
                true,
                &install,
                "error: No solution found when resolving dependencies\n  cause: Because six was not found in the cache",
                "--offline, and uv has not all of the dependencies here; run once without --offline",
            ),
            (
                "uv",
                false,
                &install,
                "error: Failed to fetch: https://host.invalid/six\n  cause: tcp connect error",
                "cannot reach the package index; check the network and the proxy's variables",
            ),
            (
                "uv",
                false,
                &Act::Lock,
                "error: No solution found\nhint: Wheels are required for `gamma` because building from source is disabled",
                "`gamma` comes as source only; `sdists = [\"gamma\"]` in [tool.pyrmware] allows building it",
            ),
            (
                "uv",
                false,
                &install,
                "cause: Because delta==1.0 has no wheels with a matching platform tag (e.g., `x`) and you require it",
                "`delta==1.0` has no wheel for Python 3.11 on x86_64; lock a version that has one",
            ),
            (
                "pip",
                false,
                &install,
                "ERROR: Could not find a version\nERROR: No matching distribution found for delta==1.0\n",
                "pip finds no `delta==1.0` that Python 3.11 on x86_64 can use: no such version, or no wheel; if it comes as source only, `sdists = [\"delta\"]` in [tool.pyrmware] allows building it",
            ),
            (
                "pip",
                false,
                &install,
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
                "a package is not the one that pylock.toml names: its hash differs; find out who changed it, then lock again",
            ),
            (
                "uv",
                false,
                &Act::Export,
                "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.",
                "uv.lock is older than the dependencies of pyproject.toml; run `uv lock`",
            ),
            ("uv", false, &Act::Export, "error: boom", "uv cannot read uv.lock"),
        ] {
            assert_eq!(said(tool, offline, act, text), expected);
        }
    }

    #[test]
    fn the_tool_s_words_are_kept_and_shortened() {
        assert_eq!(
            shorten("Using CPython 3.11.2\nerror: No solution\n  cause: Because x\n\nhint: y\n"),
            "No solution\nBecause x\nhint: y"
        );
        let long = (0..100).map(|n| format!("line {n}\n")).collect::<String>();
        assert_eq!(shorten(&long).lines().count(), 17);
        assert_eq!(shorten(""), "it said nothing");
    }
}
