//! What of a request does not go on: credentials, for the origin needs none, and headers that would name another than was found.

use crate::request::{is_named, pairs, parts};
use crate::{Identity, KeyAuth, Method, Policy};
use http::{HeaderMap, HeaderName, header};

impl Policy {
    /// Takes from a head the credential that decided, if the policy hides it, and all that speaks for others without having decided.
    pub fn withhold(&self, found: Option<&Identity>, headers: &mut HeaderMap) {
        for (index, method) in self.methods.iter().enumerate() {
            let decided = found.is_some_and(|identity| identity.method == index);
            let hidden = decided && self.hide_credentials;
            match method {
                Method::KeyAuth(method) if hidden => method.headers.iter().for_each(|name| drop(headers.remove(name))),
                Method::BasicAuth(_) | Method::Jwt(_) if hidden => drop(headers.remove(header::AUTHORIZATION)),
                Method::TrustedHeaders(method) if hidden || !decided => {
                    headers.remove(&method.consumer);
                    method.groups.iter().for_each(|name| drop(headers.remove(name)));
                }
                _ => {}
            }
        }
    }

    /// The query that goes on, where it is another: the rest of it byte for byte. `Some("")` is none at all.
    pub fn withhold_query(&self, found: Option<&Identity>, query: &str) -> Option<String> {
        let method = self.methods.get(found?.method).filter(|_| self.hide_credentials)?;
        let Method::KeyAuth(KeyAuth { query: names, .. }) = method else { return None };
        let is_key = |pair: &&str| names.iter().any(|name| is_named(parts(pair).0, name));
        if !pairs(query).any(|pair| is_key(&pair)) {
            return None;
        }
        Some(pairs(query).filter(|pair| !is_key(pair)).collect::<Vec<_>>().join("&"))
    }

    /// The fields that may say who asks: as trailers they never go on, since some recipients take trailers for fields of the head.
    pub fn fields(&self) -> impl Iterator<Item = &HeaderName> {
        self.methods.iter().flat_map(|method| {
            let (keys, names) = match method {
                Method::KeyAuth(method) => (method.headers.as_slice(), [None, None]),
                Method::BasicAuth(_) | Method::Jwt(_) => (&[][..], [Some(&header::AUTHORIZATION), None]),
                Method::TrustedHeaders(method) => (&[][..], [Some(&method.consumer), method.groups.as_ref()]),
            };
            keys.iter().chain(names.into_iter().flatten())
        })
    }

    /// The query parameters that hold keys.
    pub fn key_parameters(&self) -> impl Iterator<Item = &str> {
        let keys = self.methods.iter().filter_map(|method| if let Method::KeyAuth(method) = method { Some(method) } else { None });
        keys.flat_map(|method| &method.query).map(String::as_str)
    }
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
