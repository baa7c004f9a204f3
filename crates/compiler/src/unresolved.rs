//! References that lead nowhere, as their authors are told.

use crate::Key;
use crate::backends::ENDPOINTS;
use serin_api::release::Port;
use serin_api::{Condition, Finding, reason};
use std::fmt;
use std::net::IpAddr;

/// Why a Service and port give no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The Service does not exist.
    NoService { service: Key, similar: Option<String> },
    /// It has no such port.
    NoPort { service: Key, wanted: Option<Port>, has: String },
    /// It is an alias of what is no DNS name.
    BadExternalName { service: Key, name: String },
    /// A host outside that the operator has not allowed.
    NotAllowed { host: String },
    /// A host outside that is, or stands for, an address that nothing may be sent to.
    Forbidden { host: String, ip: IpAddr, why: &'static str },
    /// A host outside that stands for no address, for this reason; `None`: it was not looked up yet.
    NoAddress { host: String, failure: Option<String> },
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
            Self::BadExternalName { .. } | Self::BadEndpoints { .. } => reason::UNSUPPORTED_SERVICE,
            Self::NotAllowed { .. } | Self::Forbidden { .. } => reason::NOT_PERMITTED,
            Self::NoAddress { .. } => reason::HOST_NOT_RESOLVED,
        };
        let condition = if reason == reason::NOT_PERMITTED { Condition::Accepted } else { Condition::ResolvedRefs };
        Finding { condition, reason, field: field.into(), message: self.to_string() }
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
            Self::BadExternalName { service, name } => write!(f, "Service {service} is an alias of {name:?}, which is no DNS name."),
            Self::NotAllowed { host } => {
                write!(f, "Host {host} is outside the cluster, and the operator has not allowed it. Let --allow-external-hosts name it.")
            }
            Self::Forbidden { host, ip, why } if *host == ip.to_string() => {
                write!(f, "Address {ip} is {why}, where nothing is sent to. Name another host.")
            }
            Self::Forbidden { host, ip, why } => {
                write!(f, "Host {host} stands for {ip}, which is {why}, where nothing is sent to. Name another host.")
            }
            Self::NoAddress { host, failure: Some(failure) } => write!(f, "Host {host} has no address: {failure}."),
            Self::NoAddress { host, failure: None } => write!(f, "Host {host} is being looked up."),
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
