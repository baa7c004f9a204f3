//! What may stand in Host and as the authority of a target.

use super::bytes::{self, NAME};
use std::net::Ipv6Addr;

/// More than any DNS name has.
const LONGEST: usize = 255;

/// Whether this is a host with an optional port: a name, an IPv4 address or an IPv6 address in brackets. No userinfo, no percent
/// encoding, no empty label but the root's, no empty port.
pub(crate) fn valid(authority: &[u8]) -> bool {
    let (host, port) = match authority.iter().position(|b| *b == b']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.iter().position(|b| *b == b':').unwrap_or(authority.len())),
    };
    valid_host(host) && (port.is_empty() || port.strip_prefix(b":").is_some_and(valid_port))
}

fn valid_host(host: &[u8]) -> bool {
    if let Some(address) = host.strip_prefix(b"[") {
        let text = address.strip_suffix(b"]").and_then(|a| std::str::from_utf8(a).ok());
        return text.is_some_and(|t| t.parse::<Ipv6Addr>().is_ok());
    }
    let labels = host.strip_suffix(b".").unwrap_or(host);
    host.len() <= LONGEST && labels.split(|b| *b == b'.').all(|label| !label.is_empty() && bytes::all(label, NAME))
}

fn valid_port(port: &[u8]) -> bool {
    let digits = (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
    digits && std::str::from_utf8(port).is_ok_and(|p| p.parse::<u16>().is_ok())
}
