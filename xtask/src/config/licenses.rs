//! `[package.metadata.pyrmware.licenses]`: which licences may be in the image.

use std::collections::BTreeMap;

use toml::Spanned;

use super::raw;
use super::source::{Complaint, Source};
use crate::dist::collect::names::normalise;
use crate::licenses::{License, Rules, check_term};

/// What is accepted, and what is known better than metadata says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Licenses {
    /// The rules.
    pub rules: Rules,
    /// Licences of parts, by their normalised names.
    pub known: BTreeMap<String, License>,
    /// Parts that the rules do not judge, by their normalised names, with the reasons.
    pub except: BTreeMap<String, String>,
}

pub(super) fn check(source: &Source, raw: &raw::Licenses) -> Result<Licenses, Complaint> {
    let terms = |list: &[Spanned<String>]| -> Result<Vec<String>, Complaint> {
        let term = |text: &Spanned<String>| match check_term(text.get_ref()) {
            Ok(()) => Ok(text.get_ref().clone()),
            Err(why) => Err(source.complain(text.span(), why)),
        };
        list.iter().map(term).collect()
    };
    let known = raw.known.iter().map(|(name, text)| {
        let license = License::stated(text.get_ref());
        match license.spdx {
            true => Ok((normalise(name.get_ref()), license)),
            false => Err(source
                .complain(text.span(), "this is no SPDX expression")
                .help("accepted: names of spdx.org/licenses with AND, OR and WITH")),
        }
    });
    let except = raw.except.iter().map(|(name, reason)| match reason.get_ref().trim() {
        "" => Err(source.complain(reason.span(), "an exception needs a reason")),
        reason => Ok((normalise(name.get_ref()), reason.to_owned())),
    });
    Ok(Licenses {
        rules: Rules {
            allow: raw.allow.as_deref().map(terms).transpose()?,
            deny: terms(&raw.deny)?,
        },
        known: known.collect::<Result<_, _>>()?,
        except: except.collect::<Result<_, _>>()?,
    })
}
