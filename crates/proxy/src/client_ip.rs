//! The originating address of a request (S5).
//!
//! Only a trusted peer is believed. A list is read from the right through trusted addresses, since each proxy appends the peer that it saw
//! and a client can write whatever it likes to the left of that.

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Option `client-ip-from`: where a trusted proxy says who its client is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientIpFrom {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), its `for` parameter.
    Forwarded,
    /// A header that holds one address, such as `X-Real-IP`.
    Header(HeaderName),
}

/// How client addresses are found. Shared by all requests of a listener.
#[derive(Debug, Clone, Default)]
pub struct ClientIp {
    /// Option `trusted-proxies`; by default nobody is trusted.
    pub trusted: Vec<IpNet>,
    /// Where trusted proxies say it.
    pub from: ClientIpFrom,
}

impl ClientIp {
    /// Whether this peer may speak for others.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }

    /// The originating address: the peer's own, unless the peer is trusted. `None` when a trusted peer gives no usable one; the proxy's own
    /// address never stands in for it.
    pub fn of(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        match &self.from {
            ClientIpFrom::XForwardedFor => self.through_trusted(list(headers, &X_FORWARDED_FOR).map(|e| address(trim(e)))),
            ClientIpFrom::Forwarded => self.through_trusted(list(headers, &header::FORWARDED).map(forwarded_for)),
            ClientIpFrom::Header(name) => {
                let mut values = headers.get_all(name).iter();
                let only = values.next().filter(|_| values.next().is_none())?;
                address(trim(only.as_bytes()))
            }
        }
    }

    /// The first untrusted address from the right, or the leftmost of all. What cannot be read ends the search: left of it anybody may have written.
    fn through_trusted(&self, from_the_right: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
        let mut leftmost = None;
        for entry in from_the_right {
            let entry = entry?;
            if !self.trusts(entry) {
                return Some(entry);
            }
            leftmost = Some(entry);
        }
        leftmost
    }
}

/// The name of the header that most proxies append to.
pub static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The elements of a list header from the right, over all its lines. Commas in quoted strings do not separate.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().rev().flat_map(|line| elements(line.as_bytes()).rev())
}

fn elements(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    split_unquoted(line, b',').into_iter().filter(|e| !trim(e).is_empty())
}

fn split_unquoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The `for` of one element of `Forwarded`; `unknown` and obfuscated identifiers are no addresses.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    split_unquoted(element, b';').into_iter().find_map(|pair| {
        let pair = trim(pair);
        let equals = pair.iter().position(|&b| b == b'=')?;
        pair[..equals].eq_ignore_ascii_case(b"for").then(|| address(unquote(&pair[equals + 1..])))
    })?
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// An address, with or without a port; IPv6 with a port, and in `Forwarded` always, in brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let ip = text.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip())).or_else(bracketed)?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_bytes(v).expect("a header value"))).collect()
    }

    fn from(source: ClientIpFrom, peer: &str, lines: &[(&'static str, &[u8])]) -> Option<String> {
        let client_ip = ClientIp { trusted: vec!["10.0.0.0/8".parse().expect("a CIDR")], from: source };
        client_ip.of(peer.parse().expect("an address"), &headers(lines)).map(|ip| ip.to_string())
    }

    #[test]
    fn s5_an_untrusted_peer_speaks_for_itself_only() {
        assert_eq!(from(ClientIpFrom::XForwardedFor, "192.0.2.9", &[("x-forwarded-for", b"203.0.113.1")]).as_deref(), Some("192.0.2.9"));
        assert_eq!(from(ClientIpFrom::XForwardedFor, "::ffff:192.0.2.9", &[]).as_deref(), Some("192.0.2.9"));
    }

    #[test]
    fn s5_a_list_is_read_from_the_right_through_trusted_addresses() {
        let cases: &[(&[&[u8]], Option<&str>)] = &[
            (&[b"203.0.113.1"], Some("203.0.113.1")),
            (&[b"6.6.6.6, 203.0.113.1, 10.1.1.1"], Some("203.0.113.1")),
            (&[b"6.6.6.6", b"203.0.113.1", b"10.1.1.1"], Some("203.0.113.1")),
            (&[b"203.0.113.1:4711"], Some("203.0.113.1")),
            (&[b"[2001:db8::1]:443"], Some("2001:db8::1")),
            (&[b"::ffff:10.1.1.1, 203.0.113.1 , ::ffff:10.2.2.2"], Some("203.0.113.1")),
            (&[b"10.3.3.3, 10.1.1.1"], Some("10.3.3.3")),
            (&[b"203.0.113.1, junk"], None),
            (&[b"203.0.113.1, \xff"], None),
            (&[b""], None),
            (&[b" , ,"], None),
            (&[], None),
        ];
        for (lines, expected) in cases {
            let lines: Vec<_> = lines.iter().map(|v| ("x-forwarded-for", *v)).collect();
            assert_eq!(from(ClientIpFrom::XForwardedFor, "10.0.0.1", &lines).as_deref(), *expected, "{lines:?}");
        }
    }

    #[test]
    fn s5_forwarded_is_read_as_rfc_7239_writes_it() {
        let cases: &[(&[u8], Option<&str>)] = &[
            (b"for=203.0.113.1;proto=http;by=10.0.0.1", Some("203.0.113.1")),
            (b"proto=https; For=\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
            (b"for=6.6.6.6, for=203.0.113.1, for=10.2.2.2", Some("203.0.113.1")),
            (b"for=6.6.6.6;host=\"a,for=7.7.7.7\", for=\"203.0.113.1:80\"", Some("203.0.113.1")),
            (b"for=203.0.113.1, for=unknown", None),
            (b"for=_hidden", None),
            (b"for=\"203.0.113.1", None),
            (b"by=10.0.0.1", None),
        ];
        for (line, expected) in cases {
            assert_eq!(from(ClientIpFrom::Forwarded, "10.0.0.1", &[("forwarded", line)]).as_deref(), *expected, "{line:?}");
        }
    }

    #[test]
    fn s5_a_single_header_given_twice_says_nothing() {
        let real_ip = || ClientIpFrom::Header(HeaderName::from_static("x-real-ip"));
        assert_eq!(from(real_ip(), "10.0.0.1", &[("x-real-ip", b"203.0.113.1")]).as_deref(), Some("203.0.113.1"));
        assert_eq!(from(real_ip(), "10.0.0.1", &[("x-real-ip", b"203.0.113.1"), ("x-real-ip", b"6.6.6.6")]), None);
        assert_eq!(from(real_ip(), "10.0.0.1", &[]), None);
    }
}
