//! References that lead nowhere, as their authors are told.

use crate::Key;
use crate::backends::ENDPOINTS;
use serin_api::release::Port;
use serin_api::{Condition, Finding, reason};
use std::fmt;

/// Why a Service and port give no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The Service does not exist.
    NoService { service: Key, similar: Option<String> },
    /// It has no such port.
    NoPort { service: Key, wanted: Option<Port>, has: String },
    /// It is an alias of a DNS name.
    ExternalName { service: Key },
    /// Its annotation is no list of addresses.
    BadEndpoints { service: Key, entry: String },
}

impl Unresolved {
    /// What the author of the object that names it is told.
    pub(crate) fn finding(&self, field: impl Into<String>) -> Finding {
        let reason = match self {
            Self::NoService { .. } => reason::BACKEND_NOT_FOUND,
            Self::NoPort { wanted: None, has, .. } if has != NONE => reason::AMBIGUOUS_PORT,
            Self::NoPort { .. } => reason::PORT_NOT_FOUND,
            Self::ExternalName { .. } | Self::BadEndpoints { .. } => reason::UNSUPPORTED_SERVICE,
        };
        Finding { condition: Condition::ResolvedRefs, reason, field: field.into(), message: self.to_string() }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService { service, similar: Some(similar) } => {
                write!(f, "Service {service} does not exist. Did you mean {similar}?")
            }
            Self::NoService { service, similar: None } => write!(f, "Service {service} does not exist. Create it, or name another."),
            Self::NoPort { service, wanted: Some(Port::Number(port)), has } => {
                write!(f, "Service {service} has no TCP port {port}. It has {has}.")
            }
            Self::NoPort { service, wanted: Some(Port::Name(port)), has } => {
                write!(f, "Service {service} has no TCP port named {port}. It has {has}.")
            }
            Self::NoPort { service, wanted: None, has } if has == NONE => write!(f, "Service {service} has no TCP port."),
            Self::NoPort { service, wanted: None, has } => {
                write!(f, "Service {service} has the TCP ports {has}, so one must be named.")
            }
            Self::ExternalName { service } => {
                write!(
                    f,
                    "Service {service} is of type ExternalName, which has no endpoints. Name a Service with a selector or EndpointSlices."
                )
            }
            Self::BadEndpoints { service, entry } => {
                write!(f, "Annotation {ENDPOINTS} of Service {service} has {entry:?}, which is no IP:PORT.")
            }
        }
    }
}

/// A list of nothing.
const NONE: &str = "none";

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn and(texts: &[String]) -> String {
    match texts {
        [] => NONE.into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
