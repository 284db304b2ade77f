//! What a licence is called, and which ones are accepted: SPDX expressions, judged by a list.

use std::collections::BTreeMap;

use spdx::{Expression, LicenseReq, ParseMode};

/// What a part of an image says about its licence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct License {
    /// An SPDX expression, or what its metadata says in words; empty when it says nothing.
    pub name: String,
    /// Whether `name` is an SPDX expression.
    pub spdx: bool,
    /// File name -> text.
    pub texts: BTreeMap<String, String>,
}

/// Classifiers of PyPI, and what people write instead of an expression, where there is no doubt what is meant.
/// "BSD License" is not here: there are several.
const WORDS: [(&str, &str); 28] = [
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache software license", "Apache-2.0"),
    ("apache software license 2.0", "Apache-2.0"),
    ("boost software license 1.0 (bsl-1.0)", "BSL-1.0"),
    ("eclipse public license 2.0 (epl-2.0)", "EPL-2.0"),
    ("european union public licence 1.2 (eupl 1.2)", "EUPL-1.2"),
    ("gnu affero general public license v3", "AGPL-3.0-only"),
    ("gnu affero general public license v3 or later (agplv3+)", "AGPL-3.0-or-later"),
    ("gnu general public license v2 (gplv2)", "GPL-2.0-only"),
    ("gnu general public license v2 or later (gplv2+)", "GPL-2.0-or-later"),
    ("gnu general public license v3 (gplv3)", "GPL-3.0-only"),
    ("gnu general public license v3 or later (gplv3+)", "GPL-3.0-or-later"),
    ("gnu lesser general public license v2 (lgplv2)", "LGPL-2.0-only"),
    ("gnu lesser general public license v2 or later (lgplv2+)", "LGPL-2.0-or-later"),
    ("gnu lesser general public license v3 (lgplv3)", "LGPL-3.0-only"),
    ("gnu lesser general public license v3 or later (lgplv3+)", "LGPL-3.0-or-later"),
    ("historical permission notice and disclaimer (hpnd)", "HPND"),
    ("isc license", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("mit license", "MIT"),
    ("mit no attribution license (mit-0)", "MIT-0"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("the mit license", "MIT"),
    ("the unlicense (unlicense)", "Unlicense"),
    ("universal permissive license (upl)", "UPL-1.0"),
];

/// Deprecated names and `/` for `OR` are in use; what is no name is none.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    allow_slash_as_or_operator: true,
    allow_imprecise_license_names: false,
    allow_postfix_plus_on_gpl: true,
    allow_unknown: false,
};

impl License {
    /// What somebody has written: an expression, words that mean one, or other words.
    pub fn stated(text: &str) -> License {
        let words = text.trim();
        let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(words));
        let name = match (known, Expression::parse_mode(words, MODE)) {
            (Some((_, expression)), _) => Some((*expression).to_owned()),
            // "MIT/Apache-2.0", as crates wrote it before SPDX.
            (None, Ok(_)) => Some(words.replace('/', " OR ").replace("  ", " ")),
            (None, Err(_)) => None,
        };
        let spdx = name.is_some();
        License { name: name.unwrap_or_else(|| words.to_owned()), spdx, texts: BTreeMap::new() }
    }
}

/// Which licences may be in something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only these; none: all that are not denied.
    pub allow: Option<Vec<String>>,
    /// None of these: `GPL-3.0` are all its forms.
    pub deny: Vec<String>,
}

impl Rules {
    /// Whether a licence leaves a choice of what is accepted.
    ///
    /// # Errors
    /// It does not; with the reason, which follows the name.
    pub fn check(&self, license: &License) -> Result<(), String> {
        let name = &license.name;
        if *self == Rules::default() {
            return Ok(());
        }
        if name.is_empty() {
            return match self.allow {
                Some(_) => Err("names no licence".to_owned()),
                None => Ok(()),
            };
        }
        let mut why = Vec::new();
        let mut accepts = |terms: &Terms| {
            let refused = self.refuses(terms);
            why.extend(refused.clone());
            refused.is_none()
        };
        let accepted = match Expression::parse_mode(name, MODE) {
            Ok(expression) => expression.evaluate(|part| accepts(&Terms::of(part))),
            Err(_) => accepts(&Terms::words(name)),
        };
        if accepted {
            return Ok(());
        }
        why.sort();
        why.dedup();
        Err(format!("is {name:?}: {}", why.join(", ")))
    }

    fn refuses(&self, terms: &Terms) -> Option<String> {
        let names = |term: &&String| terms.any.iter().any(|name| name.eq_ignore_ascii_case(term));
        if let Some(term) = self.deny.iter().find(names) {
            return Some(format!("{term} is denied"));
        }
        if terms.vague
            && let Some(family) = family(&terms.full)
            // It may be what is denied.
            && let Some(term) = self.deny.iter().find(|term| term.starts_with(&format!("{family}-")))
        {
            return Some(format!("that may be {term}, which is denied"));
        }
        let allowed = |list: &Vec<String>| {
            list.iter().any(|term| {
                term.eq_ignore_ascii_case(&terms.full) || (!terms.has_exception && names(&term))
            })
        };
        match &self.allow {
            Some(list) if !allowed(list) => Some(format!("{} is not allowed", terms.full)),
            _ => None,
        }
    }
}

/// A licence without choices, by all that it is called.
struct Terms {
    /// As it is written.
    full: String,
    /// Also without an exception, and without `-only` and `-or-later`.
    any: Vec<String>,
    has_exception: bool,
    /// Whether it is in words.
    vague: bool,
}

impl Terms {
    fn of(part: &LicenseReq) -> Terms {
        let full = part.to_string();
        let alone = part.license.to_string();
        let base = ["-only", "-or-later", "+"].iter().find_map(|end| alone.strip_suffix(end));
        let any = [Some(full.as_str()), Some(&alone), base].into_iter().flatten();
        Terms {
            any: any.map(str::to_owned).collect(),
            has_exception: part.addition.is_some(),
            vague: false,
            full,
        }
    }

    fn words(text: &str) -> Terms {
        let full = text.to_owned();
        // Several classifiers of one distribution.
        let any = text.split(", ").chain([text]).map(str::to_owned).collect();
        Terms { full, any, has_exception: false, vague: true }
    }
}

/// Which of GNU's licences words are about.
fn family(words: &str) -> Option<&'static str> {
    let words = words.to_ascii_lowercase();
    [
        ("AGPL", ["agpl", "affero general public"]),
        ("LGPL", ["lgpl", "lesser general public"]),
        ("GPL", ["gpl", "general public"]),
    ]
    .into_iter()
    .find_map(|(family, signs)| signs.iter().any(|sign| words.contains(sign)).then_some(family))
}

/// Whether a rule can name this: a licence of SPDX's list, with an exception or not, or words.
///
/// # Errors
/// What is wrong with it.
pub fn check_term(text: &str) -> Result<(), String> {
    let looks = |c: char| c.is_ascii_alphanumeric() || "-.+".contains(c);
    match Expression::parse_mode(text, MODE) {
        Ok(expression) if expression.requirements().count() == 1 => Ok(()),
        Ok(_) => Err("a rule names one licence, not a choice of them".to_owned()),
        Err(_) if text.is_empty() => Err("a licence is missing".to_owned()),
        // Words of a METADATA have spaces; this is meant to be a name.
        Err(_) if text.chars().all(looks) => {
            Err("SPDX's list has no such licence; see spdx.org/licenses".to_owned())
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rules: &Rules, text: &str) -> Result<(), String> {
        rules.check(&License::stated(text))
    }

    fn list(terms: &[&str]) -> Vec<String> {
        terms.iter().map(|term| (*term).to_owned()).collect()
    }

    #[test]
    fn one_accepted_choice_is_enough_and_all_of_several_are_needed() {
        let allow = list(&["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]);
        let rules = Rules { allow: Some(allow), deny: Vec::new() };
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "MIT License",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT OR GPL-2.0-only AND GPL-3.0-only",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        ] {
            assert_eq!(verdict(&rules, good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("GPL-3.0-only", "is \"GPL-3.0-only\": GPL-3.0-only is not allowed"),
            ("MIT AND GPL-3.0-only", "is \"MIT AND GPL-3.0-only\": GPL-3.0-only is not allowed"),
            (
                "Apache-2.0 WITH Classpath-exception-2.0",
                "is \"Apache-2.0 WITH Classpath-exception-2.0\": Apache-2.0 WITH Classpath-exception-2.0 is not \
                 allowed",
            ),
            ("BSD License", "is \"BSD License\": BSD License is not allowed"),
            ("", "names no licence"),
        ] {
            assert_eq!(verdict(&rules, bad), Err(why.to_owned()), "{bad}");
        }
    }

    #[test]
    fn all_forms_of_what_is_denied_are() {
        let rules = Rules { allow: None, deny: list(&["GPL-3.0", "AGPL-3.0-only", "BSD License"]) };
        for bad in [
            "GPL-3.0-only",
            "GPL-3.0-or-later",
            "GPL-3.0+",
            "GPL-3.0",
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            "MIT AND GPL-3.0-only",
            "GNU General Public License v3 or later (GPLv3+)",
            "GNU General Public License (GPL)",
            "GPL",
            "AGPL-3.0-only",
            "BSD License",
            "MIT License, BSD License",
        ] {
            assert!(verdict(&rules, bad).is_err(), "{bad}");
        }
        for good in
            ["MIT OR GPL-3.0-only", "GPL-2.0-or-later", "AGPL-3.0-or-later", "LGPL", "BSD", ""]
        {
            assert_eq!(verdict(&rules, good), Ok(()), "{good}");
        }
        let either = verdict(&rules, "GPL-3.0-only OR AGPL-3.0-only").unwrap_err();
        assert!(either.ends_with(": AGPL-3.0-only is denied, GPL-3.0 is denied"), "{either}");
    }

    #[test]
    fn words_become_expressions_where_there_is_no_doubt() {
        for (text, name, spdx) in [
            ("MIT License", "MIT", true),
            ("MIT/Apache-2.0", "MIT OR Apache-2.0", true),
            ("Apache Software License", "Apache-2.0", true),
            ("BSD", "BSD", false),
            ("BSD-3-Clause", "BSD-3-Clause", true),
            ("see LICENSE", "see LICENSE", false),
            ("", "", false),
        ] {
            let license = License::stated(text);
            assert_eq!((license.name.as_str(), license.spdx), (name, spdx), "{text}");
        }
        assert!(WORDS.is_sorted());
        assert!(WORDS.iter().all(|(_, name)| Expression::parse(name).is_ok()));
    }

    #[test]
    fn rules_name_what_exists() {
        for good in ["GPL-3.0", "MIT", "Apache-2.0 WITH LLVM-exception", "BSD License"] {
            assert_eq!(check_term(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("GPL3", "SPDX's list has no such licence"),
            ("MIT OR ISC", "a rule names one licence"),
            ("", "a licence is missing"),
        ] {
            assert!(check_term(bad).unwrap_err().starts_with(why), "{bad}");
        }
    }
}
