//! `[tool.pyrmware.leakcheck]`: what is repeated, and what may grow meanwhile.

use std::collections::BTreeMap;

use pyrmware_payload::Entry;
use toml::Spanned;

use super::raw;
use super::source::{Complaint, Source};

/// How the application is checked for leaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leakcheck {
    /// What is repeated; none: nobody has said.
    pub scenario: Option<Scenario>,
    /// How often, in each of the rounds.
    pub cycles: u32,
    /// How often before anything is counted.
    pub warmup: u32,
    /// Full names of the only types that are judged; empty: all.
    pub types: Vec<String>,
    /// What may grow, by the beginning of its signature or name, and why.
    pub allow: BTreeMap<String, String>,
}

/// What is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scenario {
    /// A function of the application, "module:function", in a process without the rest of it.
    Function(String),
    /// A program beside the running application, in the project's folder.
    Command {
        /// Program and arguments.
        words: Vec<String>,
        /// The application is ready when it listens there; none: when it calls `pyrmware.ready()`.
        port: Option<u16>,
    },
}

/// Fewer cycles tell a leak from nothing.
pub const FEWEST: u32 = 10;
const CYCLES: u32 = 30;
const WARMUP: u32 = 10;

impl Default for Leakcheck {
    fn default() -> Leakcheck {
        Leakcheck {
            scenario: None,
            cycles: CYCLES,
            warmup: WARMUP,
            types: Vec::new(),
            allow: BTreeMap::new(),
        }
    }
}

pub(super) fn check(source: &Source, raw: raw::Leakcheck) -> Result<Leakcheck, Complaint> {
    if let Some(cycles) = raw.cycles.as_ref().filter(|cycles| *cycles.get_ref() < FEWEST) {
        return Err(source
            .complain(cycles.span(), "so few cycles tell a leak from nothing")
            .help(format!("accepted: {FEWEST} or more")));
    }
    let mut reasons = raw.allow.values();
    if let Some(reason) = reasons.find(|reason| reason.get_ref().trim().is_empty()) {
        return Err(source
            .complain(reason.span(), "there is no reason")
            .help("accepted: \"beginning of a signature\" = \"why this may grow\""));
    }
    let scenario = scenario(source, &raw)?;
    let plain = |text: Spanned<String>| text.into_inner();
    Ok(Leakcheck {
        scenario,
        cycles: raw.cycles.map_or(CYCLES, Spanned::into_inner),
        warmup: raw.warmup.unwrap_or(WARMUP),
        types: raw.types.into_iter().map(plain).collect(),
        allow: raw.allow.into_iter().map(|(what, why)| (plain(what), plain(why))).collect(),
    })
}

fn scenario(source: &Source, raw: &raw::Leakcheck) -> Result<Option<Scenario>, Complaint> {
    let port = raw.port.as_ref();
    match (&raw.function, &raw.command) {
        (Some(_), Some(command)) => Err(source
            .complain(command.span(), "there is a function, too")
            .help("one of them is repeated: take the other one out")),
        (Some(function), None) => {
            if let Some(port) = port {
                return Err(source
                    .complain(port.span(), "with a function no application runs that would listen")
                    .help("it belongs to command"));
            }
            match Entry::parse(function.get_ref()) {
                Some(Entry::Function { .. }) => {
                    Ok(Some(Scenario::Function(function.get_ref().clone())))
                }
                _ => Err(source
                    .complain(function.span(), "this is no function")
                    .help("accepted: \"module:function\", called once in each cycle")),
            }
        }
        (None, Some(command)) if command.get_ref().first().is_none_or(String::is_empty) => {
            Err(source
                .complain(command.span(), "there is no program in it")
                .help("accepted: program and arguments: [\"python3\", \"tests/visit.py\"]"))
        }
        (None, Some(command)) => Ok(Some(Scenario::Command {
            words: command.get_ref().clone(),
            port: port.map(|port| *port.get_ref()),
        })),
        (None, None) => match port {
            Some(port) => Err(source
                .complain(port.span(), "there is no command that would use it")
                .help("command = [\"…\"] is repeated beside the application")),
            None => Ok(None),
        },
    }
}
