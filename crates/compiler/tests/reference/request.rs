//! What a request may bring: few values, so that they meet what releases ask for.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serin_split::Facts;
use std::borrow::Cow;
use std::net::IpAddr;

/// A request, and the moment at which it comes.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    /// Every value of each header, in order.
    pub(crate) headers: Vec<(&'static str, &'static [u8])>,
    pub(crate) cookies: Vec<(&'static str, &'static [u8])>,
    pub(crate) parameters: Vec<(&'static str, &'static [u8])>,
    /// The address, and its text as RFC 5952 has it.
    pub(crate) address: Option<(&'static str, &'static str)>,
    pub(crate) consumer: Option<&'static str>,
    /// None without a consumer.
    pub(crate) groups: Vec<&'static str>,
    pub(crate) claims: Vec<(&'static str, &'static str)>,
    pub(crate) now: Timestamp,
}

const ADDRESSES: &[(&str, &str)] = &[
    ("192.0.2.7", "192.0.2.7"),
    ("::ffff:192.0.2.7", "192.0.2.7"),
    ("198.51.100.250", "198.51.100.250"),
    ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("::1", "::1"),
];
/// Of headers and cookies: words of overrides, identities, and what counts as missing.
const VALUES: &[&[u8]] = &[
    b"always",
    b"never",
    b"Always",
    b"payments",
    b"legal",
    b"a",
    b"b",
    b"tenant-1",
    b"tenant-2",
    b"tenant-3",
    b"tenant-4",
    b"",
    b"\xff\xfe",
    "µ".as_bytes(),
];
const CLAIMS: &[&str] = &["pro", "free", "true", "17", ""];
const NAMES: &[&str] = &["x-a", "x-b"];

/// The moment around which everything happens.
pub(crate) const EPOCH: i64 = 1_800_000_000_000;

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(EPOCH + milliseconds).expect("a time in range")
}

fn named(values: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<(&'static str, &'static [u8])>> {
    prop::collection::vec((select(NAMES), select(values)), 0..4)
}

/// The names are `x-a` and `x-b` wherever there are names.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let place =
        (select(&["a.example", "b.example", "c.b.example", "example"][..]), select(&["/", "/cart", "/cart/1", "/carts", "/other"][..]));
    let consumer = prop::option::weighted(0.7, (select(&["alice", "bob"][..]), prop::sample::subsequence(vec!["testers", "staff"], 0..=2)));
    let claims = prop::collection::vec((select(NAMES), select(CLAIMS)), 0..3);
    let values = (named(VALUES), named(VALUES), named(VALUES), claims);
    (place, values, prop::option::weighted(0.8, select(ADDRESSES)), consumer, -5_000i64..40_000).prop_map(
        |((host, path), (headers, cookies, parameters, claims), address, consumer, now)| {
            let (consumer, groups) = consumer.map_or((None, Vec::new()), |(name, groups)| (Some(name), groups));
            Request { host, path, headers, cookies, parameters, address, consumer, groups, claims, now: at(now) }
        },
    )
}

/// As the proxy gives a request to the product.
impl Facts for Request {
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(own, _)| *own == name).map(|(_, value)| *value)
    }
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        Some(self.cookies.iter().find(|(own, _)| *own == name)?.1)
    }
    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        Some(self.parameters.iter().find(|(own, _)| *own == name)?.1.into())
    }
    fn client_ip(&self) -> Option<IpAddr> {
        Some(self.address?.0.parse().expect("an address"))
    }
    fn consumer(&self) -> Option<&str> {
        self.consumer
    }
    fn in_group(&self, group: &str) -> bool {
        self.groups.contains(&group)
    }
    fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(self.claims.iter().find(|(own, _)| *own == name)?.1.into())
    }
}
