//! What an AuthPolicy says, resolved: nothing in here names a Secret or another object any more.

use crate::{Directory, Jwks};
use http::HeaderName;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// How a route learns who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// `namespace/name` of the AuthPolicy, for logs; what is counted of a policy is kept under it, over tables.
    pub name: String,
    /// In order; the first that finds a credential decides.
    pub methods: Vec<Method>,
    /// What becomes of a request in which none finds one.
    pub anonymous: Anonymous,
    /// Whether the origin gets nothing of what its methods read.
    pub hide_credentials: bool,
    /// The consumers in reach. One directory serves all policies that have the same in reach, and all tables until one of them changes.
    #[serde(serialize_with = "shared")]
    pub consumers: Arc<Directory>,
}

/// A way to tell who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// A key in a header or a query parameter.
    KeyAuth(KeyAuth),
    /// A user name and a password (RFC 7617).
    BasicAuth(BasicAuth),
    /// A token that its issuer signed (RFC 6750, RFC 7519).
    Jwt(Jwt),
    /// What a trusted proxy in front of serin found out.
    TrustedHeaders(TrustedHeaders),
}

/// A key in a header or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyAuth {
    /// Looked at first, in order.
    #[serde(serialize_with = "names")]
    pub headers: Vec<HeaderName>,
    /// Then these parameters, in order; as they are when they are percent-decoded.
    pub query: Vec<String>,
}

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BasicAuth {
    /// What a browser shows when it asks for them.
    pub realm: String,
}

/// A signed token, as a bearer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// Exactly what `iss` says.
    pub issuer: String,
    /// One of these must be among `aud`. Empty: any audience.
    pub audiences: Vec<String>,
    /// The issuer's keys.
    #[serde(serialize_with = "shared")]
    pub keys: Arc<Jwks>,
    /// The claim that names the consumer, where no Consumer has this issuer and subject; as a rule `sub`.
    pub consumer_claim: String,
    /// The claim that lists groups, if any does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
}

/// What a trusted proxy in front of serin found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustedHeaders {
    /// Names the consumer.
    #[serde(serialize_with = "name")]
    pub consumer: HeaderName,
    /// Lists groups, with commas between.
    #[serde(serialize_with = "optional_name", skip_serializing_if = "Option::is_none")]
    pub groups: Option<HeaderName>,
    /// Only connections from here are believed.
    pub from: Vec<IpNet>,
}

/// What becomes of a request without credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Anonymous {
    /// 401.
    #[default]
    Deny,
    /// It goes on as nobody's.
    Allow,
}

fn name<S: Serializer>(name: &HeaderName, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(name.as_str())
}

fn optional_name<S: Serializer>(name: &Option<HeaderName>, s: S) -> Result<S::Ok, S::Error> {
    name.as_ref().map(HeaderName::as_str).serialize(s)
}

fn shared<T: Serialize, S: Serializer>(shared: &Arc<T>, s: S) -> Result<S::Ok, S::Error> {
    (**shared).serialize(s)
}

fn names<S: Serializer>(names: &[HeaderName], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(names.iter().map(HeaderName::as_str))
}
