//! What of a request does not go on: credentials, for the origin needs none, and headers that would name another than was found.

use crate::request::{is_named, pairs, parts};
use crate::{Identity, Method, Policy};
use http::{HeaderName, header};

impl Policy {
    /// The fields that name somebody without having decided: nothing may read them, no release and no origin. Two methods may have a field
    /// in common, for the proxies of two networks: if one of them decided, by that field, it is believed.
    pub fn unbelieved(&self, found: Option<&Identity>) -> impl Iterator<Item = &HeaderName> {
        let decided = found.and_then(|identity| self.methods.get(identity.method));
        let believed = move |name: &HeaderName| decided.is_some_and(|method| trusted(method).any(|own| own == name));
        self.methods.iter().flat_map(trusted).filter(move |name| !believed(name))
    }

    /// The fields that the policy hides from the origin: those of each method, since a request may have credentials for several.
    pub fn hidden(&self) -> impl Iterator<Item = &HeaderName> {
        self.methods.iter().filter(|_| self.hide_credentials).flat_map(fields)
    }

    /// The query that goes on, where it is another: the rest of it byte for byte. `Some("")` is none at all.
    pub fn withhold_query(&self, query: &str) -> Option<String> {
        let is_key = |pair: &&str| self.key_parameters().any(|name| is_named(parts(pair).0, name));
        if !self.hide_credentials || !pairs(query).any(|pair| is_key(&pair)) {
            return None;
        }
        Some(pairs(query).filter(|pair| !is_key(pair)).collect::<Vec<_>>().join("&"))
    }

    /// The fields that may say who asks: as trailers they never go on, since some recipients take trailers for fields of the head.
    pub fn fields(&self) -> impl Iterator<Item = &HeaderName> {
        self.methods.iter().flat_map(fields)
    }

    /// The query parameters that hold keys.
    pub fn key_parameters(&self) -> impl Iterator<Item = &str> {
        let keys = self.methods.iter().filter_map(|method| if let Method::KeyAuth(method) = method { Some(method) } else { None });
        keys.flat_map(|method| &method.query).map(String::as_str)
    }
}

/// The fields that a method reads.
fn fields(method: &Method) -> impl Iterator<Item = &HeaderName> {
    let (keys, authorization) = match method {
        Method::KeyAuth(method) => (method.headers.as_slice(), None),
        Method::BasicAuth(_) | Method::Jwt(_) => (&[][..], Some(&header::AUTHORIZATION)),
        Method::TrustedHeaders(_) => (&[][..], None),
    };
    keys.iter().chain(authorization).chain(trusted(method))
}

/// Those by which a trusted proxy names somebody.
fn trusted(method: &Method) -> impl Iterator<Item = &HeaderName> {
    let method = if let Method::TrustedHeaders(method) = method { Some(method) } else { None };
    method.into_iter().flat_map(|method| std::iter::once(&method.consumer).chain(&method.groups))
}

/// A query as logs may have it, where it holds the value of one of these parameters.
pub fn redacted(query: &str, parameters: &[String]) -> Option<String> {
    let is_key = |pair: &str| parameters.iter().any(|name| is_named(parts(pair).0, name));
    if !pairs(query).any(is_key) {
        return None;
    }
    let shown = pairs(query).map(|pair| if is_key(pair) { [parts(pair).0, "=***"].concat() } else { pair.to_owned() });
    Some(shown.collect::<Vec<_>>().join("&"))
}
