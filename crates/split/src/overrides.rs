//! Overrides: what decides before groups and buckets do.

use crate::{Facts, Side};
use regex::bytes::Regex;

/// One entry of `spec.overrides`. The first that matches wins.
#[derive(Debug, Clone)]
pub enum Override {
    /// The words `always` (canary) and `never` (stable), compared byte for byte; another value goes on.
    AlwaysNever(Source),
    /// A value that matches sends the request to `to`.
    Value {
        /// Where the value is.
        source: Source,
        /// What it must be.
        matches: ValueMatch,
        /// The side it goes to.
        to: Side,
    },
    /// A consumer in one of these groups goes to `to`.
    ConsumerGroups {
        /// The groups, any of which matches.
        groups: Vec<String>,
        /// The side they go to.
        to: Side,
    },
}

/// Where an override reads its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header, in lower case. Given twice with different values it says nothing.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// What an override's value must be.
#[derive(Debug, Clone)]
pub enum ValueMatch {
    /// Equal byte for byte.
    Exact(String),
    /// Matched by a regular expression in linear time.
    Regex(Regex),
}

impl Override {
    /// The side that this override decides on, if it says anything about this request.
    pub fn side(&self, facts: &impl Facts) -> Option<Side> {
        match self {
            Self::AlwaysNever(source) => match source.value(facts)? {
                b"always" => Some(Side::Canary),
                b"never" => Some(Side::Stable),
                _ => None,
            },
            Self::Value { source, matches, to } => {
                let value = source.value(facts)?;
                let hit = match matches {
                    ValueMatch::Exact(text) => text.as_bytes() == value,
                    ValueMatch::Regex(regex) => regex.is_match(value),
                };
                hit.then_some(*to)
            }
            Self::ConsumerGroups { groups, to } => groups.iter().any(|g| facts.in_group(g)).then_some(*to),
        }
    }
}

impl Source {
    fn value<'f>(&self, facts: &'f impl Facts) -> Option<&'f [u8]> {
        match self {
            Self::Header(name) => {
                let mut values = facts.header(name);
                let first = values.next()?;
                values.all(|v| v == first).then_some(first)
            }
            Self::Cookie(name) => facts.cookie(name),
        }
    }
}
