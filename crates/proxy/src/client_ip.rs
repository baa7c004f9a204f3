//! The originating address of a request (S5).
//!
//! Only a trusted peer is believed. A list is read from the right through trusted addresses, since each proxy appends the peer that it saw
//! and a client can write whatever it likes to the left of that.

use crate::forward::X_FORWARDED_PROTO;
use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

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
    /// The PROXY protocol, before the first byte of the connection. Then no field of a request is believed: it is the client's own.
    ProxyProtocol,
}

impl FromStr for ClientIpFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "xff" => Self::XForwardedFor,
            "forwarded" => Self::Forwarded,
            "x-real-ip" => Self::Header(X_REAL_IP.clone()),
            "proxy-protocol" => Self::ProxyProtocol,
            _ => {
                let name = text.strip_prefix("header:").and_then(|name| name.parse().ok());
                Self::Header(name.ok_or("use xff, forwarded, x-real-ip, proxy-protocol or header:NAME")?)
            }
        })
    }
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

    /// Whether what this peer says of others in fields of its requests counts.
    pub(crate) fn speaks_by_fields(&self, peer: IpAddr) -> bool {
        self.from != ClientIpFrom::ProxyProtocol && self.trusts(peer)
    }

    /// Whether this peer must begin its connections with a PROXY header. From any other one it is no HTTP.
    pub(crate) fn awaits_proxy_header(&self, peer: IpAddr) -> bool {
        self.from == ClientIpFrom::ProxyProtocol && self.trusts(peer)
    }

    /// The header of its own that a trusted proxy says it in: from others it does not go on, since an origin may believe it.
    pub(crate) fn own_header(&self) -> Option<&HeaderName> {
        if let ClientIpFrom::Header(name) = &self.from { Some(name) } else { None }
    }

    /// Whether the client came by https, as a trusted peer says it: `X-Forwarded-Proto`, or `proto` of `Forwarded`. The first one speaks of the
    /// client's own connection.
    pub(crate) fn came_by_https(headers: &HeaderMap) -> bool {
        let fields = [(&X_FORWARDED_PROTO, &b""[..]), (&header::FORWARDED, b"proto=")];
        let said = fields.into_iter().find_map(|(name, before)| {
            let first = headers.get(name)?.as_bytes().split(|&b| b == b',').next()?;
            let scheme = |pair: &[u8]| {
                let (start, scheme) = trim(pair).split_at_checked(before.len())?;
                start.eq_ignore_ascii_case(before).then(|| unquote(scheme).eq_ignore_ascii_case(b"https"))
            };
            first.split(|&b| b == b';').find_map(scheme)
        });
        said.unwrap_or(false)
    }

    /// The originating address: the peer's own, unless the peer is trusted. `None` when a trusted peer gives no usable one; the proxy's own
    /// address never stands in for it.
    pub fn of(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        match &self.from {
            ClientIpFrom::XForwardedFor => self.through_trusted(plain_list(headers, &X_FORWARDED_FOR).map(|e| address(trim(e)))),
            ClientIpFrom::Forwarded => self.through_trusted(quoted_list(headers, &header::FORWARDED).map(forwarded_for)),
            ClientIpFrom::ProxyProtocol => None,
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

static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The elements of `X-Forwarded-For` from the right, over all its lines. It knows no quotes: one that a client opened would hide what a proxy
/// appended.
fn plain_list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| line.as_bytes().rsplit(|&b| b == b',')).filter(|e| !trim(e).is_empty())
}

/// The elements of `Forwarded` from the right, over all its lines. Commas in quoted strings do not separate.
fn quoted_list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| split_unquoted(line.as_bytes(), b',').into_iter().rev()).filter(|e| !trim(e).is_empty())
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

/// An address, with or without a port; IPv6 with a port, and in `Forwarded` always, in brackets. One with a zone says nothing beyond the
/// machine that wrote it.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.contains('%'))?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let ip = text.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip())).or_else(bracketed)?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests;
