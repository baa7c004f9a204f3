//! What authentication reads of a request.

use http::{HeaderMap, HeaderName, header};
use jiff::Timestamp;
use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::net::IpAddr;

/// A request, as far as it tells who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// Its head, which passed the gate: no field is folded and none has a control byte.
    pub headers: &'r HeaderMap,
    /// Its query, as the client wrote it.
    pub query: Option<&'r str>,
    /// Who sends the bytes: the other end of the connection, or the client that a balancer named for the whole of it (PROXY protocol); not the
    /// originating address, which fields may say. `None`: not known, so nobody who is trusted.
    pub peer: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

/// What stands in a place that holds one value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// Nothing, or only blanks.
    Nothing,
    /// This.
    One(T),
    /// Several: whoever put them there, each reader could take another.
    Several,
}

impl<'r> Asked<'r> {
    /// The value of a field.
    pub(crate) fn header(&self, name: &HeaderName) -> Found<&'r [u8]> {
        Found::of(self.headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()))
    }

    /// The value of a query parameter, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Found<Cow<'r, [u8]>> {
        let pairs = self.query.into_iter().flat_map(pairs).map(|pair| parts(pair));
        Found::of(pairs.filter(|(key, _)| is_named(key, name)).map(|(_, value)| decoded(value.unwrap_or_default())))
    }

    /// What `Authorization` says behind this scheme (RFC 9110, section 11.4). Another scheme's credentials are nothing to it.
    pub(crate) fn authorization(&self, scheme: &str) -> Found<&'r [u8]> {
        let lines = || self.headers.get_all(header::AUTHORIZATION).iter().map(|value| value.as_bytes().trim_ascii());
        let Some(credentials) = lines().find_map(|line| behind_scheme(line, scheme)) else { return Found::Nothing };
        if lines().nth(1).is_some() { Found::Several } else { Found::One(credentials) }
    }
}

impl<T: AsRef<[u8]>> Found<T> {
    fn of(mut values: impl Iterator<Item = T>) -> Self {
        let Some(first) = values.next() else { return Self::Nothing };
        let mut all_blank = first.as_ref().is_empty();
        let mut several = false;
        for value in values {
            several = true;
            all_blank &= value.as_ref().is_empty();
        }
        match (all_blank, several) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Several,
            (false, false) => Self::One(first),
        }
    }
}

/// The pairs of a query.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

/// The name of a pair, and what stands behind `=` if there is one.
pub(crate) fn parts(pair: &str) -> (&str, Option<&str>) {
    pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)))
}

/// Whether the encoded `key` is this name.
pub(crate) fn is_named(key: &str, name: &str) -> bool {
    *decoded(key) == *name.as_bytes()
}

/// Percent-decoded, `+` as blank; borrowed when there is nothing to decode.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('+') {
        return percent_decode(text.as_bytes()).into();
    }
    percent_decode(text.replace('+', " ").as_bytes()).collect::<Vec<u8>>().into()
}

fn behind_scheme<'l>(line: &'l [u8], scheme: &str) -> Option<&'l [u8]> {
    let (name, rest) = line.split_at_checked(scheme.len())?;
    if !name.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ' | b'\t', ..] => Some(rest.trim_ascii()),
        _ => None,
    }
}
