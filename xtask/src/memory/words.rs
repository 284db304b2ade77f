//! Numbers for people, and text that is safe in a page.

use super::report::Verdict;
use crate::ui;

/// Text of others inside a page: nothing in it is markup.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            char if char.is_control() => safe.push('\u{fffd}'),
            char => safe.push(char),
        }
    }
    safe
}

/// Bytes that may be less than none.
pub fn bytes(bytes: f64) -> String {
    let sign = if bytes < 0.0 { "−" } else { "" };
    format!("{sign}{}", ui::bytes(bytes.abs() as u64))
}

/// `1,234,567`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12 s`, `14 min`, `3 h 5 min`, `4 d 6 h`.
pub fn duration(seconds: f64) -> String {
    let total = seconds.max(0.0) as u64;
    let two = |large: u64, name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {name}"),
        small => format!("{large} {name} {small} {small_name}"),
    };
    match total {
        0..120 => format!("{total} s"),
        120..7200 => format!("{} min", total / 60),
        7200..172_800 => two(total / 3600, "h", total % 3600 / 60, "min"),
        _ => two(total / 86400, "d", total % 86400 / 3600, "h"),
    }
}

/// As [`duration`], rounded up: a bound must still be one.
fn at_most(seconds: f64) -> String {
    let unit = if seconds < 120.0 {
        1.0
    } else if seconds < 172_800.0 {
        60.0
    } else {
        3600.0
    };
    duration((seconds / unit).ceil() * unit)
}

/// A verdict as a sentence: how fast, how sure, how long. Empty where it has no numbers.
pub fn verdict(verdict: &Verdict) -> String {
    let pieces = match verdict.kind.as_str() {
        "fd leak" => Some("open files"),
        "task leak" => Some("tasks"),
        "thread leak" => Some("threads"),
        _ => None,
    };
    let amount = |amount: f64| match pieces {
        Some(_) => format!("{amount:.1}"),
        None => bytes(amount),
    };
    let Some(rate) = verdict.per_hour else { return String::new() };
    let what = pieces.map_or_else(String::new, |pieces| format!(" {pieces}"));
    let mut text = format!("Grows by {}{what} an hour", amount(rate));
    if let Some(least) = verdict.per_hour_at_least {
        text += &format!(", at least {}", amount(least));
    }
    if let Some(window) = verdict.window_seconds {
        text += &format!(", as seen over {}", duration(window));
    }
    text.push('.');
    if let (Some(time), true) = (verdict.seconds_to_limit, verdict.kind != "warm-up") {
        text += &format!(" The limit is {} away", duration(time));
        if let Some(most) = verdict.seconds_to_limit_at_most {
            text += &format!(", {} at most", at_most(most));
        }
        text.push('.');
    }
    if let Some(headroom) = verdict.headroom {
        let headroom = match pieces {
            Some(pieces) => format!("{headroom:.0} {pieces}"),
            None => bytes(headroom),
        };
        text += &format!(" {headroom} are left.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_as_people_say_them() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (119.0, "119 s"),
            (900.0, "15 min"),
            (7200.0, "2 h"),
            (11_100.0, "3 h 5 min"),
            (367_200.0, "4 d 6 h"),
            (-1.0, "0 s"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!((number(7), number(1_234_567)), ("7".into(), "1,234,567".into()));
    }

    #[test]
    fn nothing_of_others_is_markup() {
        assert_eq!(escape("<b a='\"&\n"), "&lt;b a=&#39;&quot;&amp;\u{fffd}");
    }

    #[test]
    fn a_verdict_is_a_sentence_in_its_own_units() {
        let leak = Verdict {
            kind: "leak".into(),
            per_hour: Some(3_670_016.0),
            per_hour_at_least: Some(3_040_870.0),
            headroom: Some(44_040_192.0),
            seconds_to_limit: Some(43_200.0),
            seconds_to_limit_at_most: Some(52_138.0),
            window_seconds: Some(7200.0),
            ..Verdict::default()
        };
        assert_eq!(
            verdict(&leak),
            "Grows by 3.5 MiB an hour, at least 2.9 MiB, as seen over 2 h. The limit is 12 h away, \
             14 h 29 min at most. 42.0 MiB are left."
        );
        let files = Verdict { kind: "fd leak".into(), per_hour: Some(60.0), ..Verdict::default() };
        assert_eq!(verdict(&files), "Grows by 60.0 open files an hour.");
        assert_eq!(verdict(&Verdict::default()), "");
    }
}
