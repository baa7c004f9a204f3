//! A logged request as the facts that a split asks for.

use super::line::Line;
use http::header::{COOKIE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use serin_api::release::SplitBy;
use serin_proxy::RequestFacts;
use serin_split::Facts;
use std::borrow::Cow;
use std::net::IpAddr;

/// A request of the log.
#[derive(Debug)]
pub(super) struct Logged {
    /// As routes are looked up by it: lower case, without port; empty when the log has none.
    pub(super) host: String,
    parts: Parts,
    client: Option<IpAddr>,
    consumer: Option<String>,
}

/// The same, read by the proxy's own code; a log may also know the consumer.
#[derive(Debug)]
pub(super) struct Asked<'l> {
    head: RequestFacts<'l>,
    consumer: Option<&'l str>,
}

impl Logged {
    /// `host` is for lines that have none, `identity` the field whose value is what `by` asks for. `None`: it has no usable target.
    pub(super) fn of(line: &Line, by: &SplitBy, host: Option<&str>, identity: Option<&str>) -> Option<Self> {
        let mut head = http::Request::builder().uri(line.get("path")?);
        if let Ok(value) = HeaderValue::try_from(line.get("host").or(host).unwrap_or_default()) {
            head = head.header(HOST, value);
        }
        let mut client = line.get("client").and_then(|text| text.parse().ok());
        let mut consumer = line.get("consumer").or(line.get("user"));
        match (identity.map(|field| line.get(field)), by) {
            (None, _) | (_, SplitBy::QueryParam(_) | SplitBy::Claim(_) | SplitBy::Request) => {}
            (Some(value), SplitBy::Consumer) => consumer = value,
            (Some(value), SplitBy::ClientIp) => client = value.and_then(|text| text.parse().ok()),
            (Some(value), SplitBy::Header(name)) => head = with(head, HeaderName::try_from(name).ok(), value.map(str::to_owned)),
            (Some(value), SplitBy::Cookie(name)) => head = with(head, Some(COOKIE), value.map(|value| format!("{name}={value}"))),
        }
        let (parts, ()) = head.body(()).ok()?.into_parts();
        Some(Self { host: serin_proxy::host(&parts).into_owned(), parts, client, consumer: consumer.map(str::to_owned) })
    }

    /// The path as it was written.
    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// What a split asks for.
    pub(super) fn facts(&self) -> Asked<'_> {
        Asked { head: RequestFacts { parts: &self.parts, client_ip: self.client, identity: None }, consumer: self.consumer.as_deref() }
    }

    /// What the busiest identity is called, unless that may be a secret.
    pub(super) fn name(&self, kind: serin_split::Kind) -> Option<String> {
        match kind {
            serin_split::Kind::Ip => self.client.map(|ip| ip.to_canonical().to_string()),
            serin_split::Kind::Consumer => self.consumer.clone(),
            _ => None,
        }
    }
}

fn with(head: http::request::Builder, name: Option<HeaderName>, value: Option<String>) -> http::request::Builder {
    match (name, value.and_then(|value| HeaderValue::try_from(value).ok())) {
        (Some(name), Some(value)) => head.header(name, value),
        _ => head,
    }
}

impl Facts for Asked<'_> {
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.head.header(name)
    }
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        self.head.cookie(name)
    }
    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.head.query(name)
    }
    fn client_ip(&self) -> Option<IpAddr> {
        self.head.client_ip()
    }
    fn consumer(&self) -> Option<&str> {
        self.consumer
    }
    fn in_group(&self, group: &str) -> bool {
        self.head.in_group(group)
    }
    fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        self.head.claim(name)
    }
}
