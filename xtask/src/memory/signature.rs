//! Signatures, as the launcher's snapshots write them: `app.rooms{str}<Room>.clients[]<method>.__self__`.

/// One step of a signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The way there: `.name`, `{'key'}`, `{str}`, `[]`, ` awaits `; of the first step the root's name.
    pub edge: String,
    /// What is there, where the way does not say it.
    pub kind: Option<String>,
    /// Whether the step is taken again and again, as along a linked list.
    pub repeated: bool,
}

/// A signature's steps, the root first. Whatever the text is: something comes out, and nothing is lost.
pub fn steps(signature: &str) -> Vec<Step> {
    let mut rest = signature;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let length = if steps.is_empty() { root(rest) } else { edge(rest) };
        let (edge, after) = rest.split_at(length);
        let (kind, after) = kind(after);
        let repeated = after.starts_with('*');
        rest = if repeated { &after[1..] } else { after };
        steps.push(Step { edge: edge.to_owned(), kind: kind.map(str::to_owned), repeated });
    }
    steps
}

/// The signature that it shares with those that have other keys.
pub fn general(signature: &str) -> String {
    let step = |step: Step| {
        let edge = if step.edge.starts_with("{'") { "{str}" } else { &step.edge };
        let kind = step.kind.map_or_else(String::new, |kind| format!("<{kind}>"));
        let star = if step.repeated { "*" } else { "" };
        format!("{edge}{kind}{star}")
    };
    steps(signature).into_iter().map(step).collect()
}

/// Whether what has one signature is held by what has the other, or is it.
pub fn is_below(signature: &str, holder: &str) -> bool {
    let (signature, holder) = (steps(signature), steps(holder));
    let Some((last, before)) = holder.split_last() else { return false };
    signature.len() >= holder.len()
        && signature[..before.len()] == *before
        // What is held is named by its type only where the way goes on.
        && signature[before.len()].edge == last.edge
}

/// Bytes of the root: a function that runs (`task client()`), or the first part of a dotted name.
fn root(text: &str) -> usize {
    let bytes = text.as_bytes();
    let stop = bytes.iter().enumerate().position(|(at, byte)| match byte {
        b'[' | b'{' => true,
        b'<' => at > 0 && bytes[at - 1] != b'.',
        b'(' => bytes[at + 1..].starts_with(b")"),
        _ => false,
    });
    match stop {
        Some(at) if bytes[at] == b'(' => at + 2,
        stop => {
            let name = &text[..stop.unwrap_or(text.len())];
            let dot = name.char_indices().skip(1).find(|(_, char)| *char == '.');
            dot.map_or(name.len(), |(at, _)| at).max(first(text))
        }
    }
}

/// Bytes of a step's way.
fn edge(text: &str) -> usize {
    if text.starts_with("{'") {
        let ends = text.match_indices("'}").map(|(at, _)| at + 2);
        let is_end = |at: &usize| {
            text[*at..].is_empty() || text[*at..].starts_with(['.', '<', '{', '[', '*', '…', ' '])
        };
        return ends.filter(|at| *at > 3).find(is_end).unwrap_or(text.len());
    }
    if text.starts_with('{') {
        return text.find('}').map_or(text.len(), |at| at + 1);
    }
    if text.starts_with('[') {
        return text.find(']').map_or(text.len(), |at| at + 1);
    }
    if let Some(rest) = text.strip_prefix(" awaits ") {
        return text.len() - rest.len();
    }
    if let Some(rest) = text.strip_prefix(".<") {
        return rest.find('>').map_or(text.len(), |at| at + 3);
    }
    let start = first(text);
    text[start..].find(['.', '<', '{', '[', '*', '…', ' ']).map_or(text.len(), |at| start + at)
}

/// Bytes of the first character.
fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// `<Type>` at the beginning, which may have brackets inside: `<outer.<locals>.run()>`.
fn kind(text: &str) -> (Option<&str>, &str) {
    let mut depth = 0;
    if !text.starts_with('<') {
        return (None, text);
    }
    for (at, char) in text.char_indices() {
        match char {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (Some(&text[1..at]), &text[at + 1..]);
        }
    }
    (Some(&text[1..]), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps as `edge:kind*`.
    fn told(signature: &str) -> Vec<String> {
        let told = |step: Step| {
            let kind = step.kind.map_or_else(String::new, |kind| format!(":{kind}"));
            format!("{}{kind}{}", step.edge, if step.repeated { "*" } else { "" })
        };
        steps(signature).into_iter().map(told).collect()
    }

    #[test]
    fn every_form_of_a_step_is_known() {
        for (signature, steps) in [
            ("app.history[]", &["app", ".history", "[]"][..]),
            ("app.all{'a'}<Client>.session", &["app", ".all", "{'a'}:Client", ".session"]),
            ("app.all{<int>}{'x.y'}", &["app", ".all", "{<int>}", "{'x.y'}"]),
            ("app.seen{item}", &["app", ".seen", "{item}"]),
            ("app.all{'it'}s'}<X>.y", &["app", ".all", "{'it'}s'}:X", ".y"]),
            (
                "p.Page.render<_lru_cache_wrapper>.<cache>{key}[]<Page>.session",
                &[
                    "p",
                    ".Page",
                    ".render:_lru_cache_wrapper",
                    ".<cache>",
                    "{key}",
                    "[]:Page",
                    ".session",
                ],
            ),
            ("a.head<Node>.next<Node>*.session", &["a", ".head:Node", ".next:Node*", ".session"]),
            ("task client().session", &["task client()", ".session"]),
            (
                "task connection() awaits <handle()>.session",
                &["task connection()", " awaits :handle()", ".session"],
            ),
            ("outer.<locals>.work().mine[]", &["outer.<locals>.work()", ".mine", "[]"]),
            ("a.f<outer.<locals>.g()>.x", &["a", ".f:outer.<locals>.g()", ".x"]),
            ("<interpreter>{'x'}", &["<interpreter>", "{'x'}"]),
            ("a.b…[]<X>.y", &["a", ".b", "…", "[]:X", ".y"]),
        ] {
            assert_eq!(told(signature), steps, "{signature}");
        }
    }

    #[test]
    fn anything_is_taken_apart_and_nothing_is_lost() {
        for text in
            ["", "<", "{'", "{", "[", "…", "é.<", "a<b", "\u{1f600}", "..", "''}", " awaits "]
        {
            let whole: String = steps(text)
                .into_iter()
                .map(|step| {
                    step.edge + &step.kind.map_or_else(String::new, |kind| format!("<{kind}"))
                })
                .collect();
            assert!(text.replace('>', "").starts_with(&whole.replace('>', "")), "{text}: {whole}");
        }
    }

    #[test]
    fn keys_are_what_signatures_share() {
        assert_eq!(general("a.b{'x'}<C>.next<C>*"), "a.b{str}<C>.next<C>*");
    }

    #[test]
    fn what_is_held_is_below_its_holder() {
        let holder = "a.filter<Condition>.func<method>.__self__";
        assert!(is_below("a.filter<Condition>.func<method>.__self__<Client>.session", holder));
        assert!(is_below(holder, holder));
        assert!(!is_below("a.filter<Condition>.func<method>", holder));
        assert!(!is_below("a.filter<Condition>.func<function>.__self__", holder));
        assert!(!is_below("a", ""));
    }
}
