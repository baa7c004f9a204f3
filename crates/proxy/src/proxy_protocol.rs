//! The PROXY protocol, versions 1 and 2: a trusted balancer says where a connection comes from before the first byte of its client's (S5).
//!
//! The library reads the addresses, and lets pass what the specification does not allow; so all around them is checked here. No more is
//! taken from the socket than the header has: what follows is the client's.

use crate::gate::Fault;
use crate::io::Refusal;
use bytes::BufMut;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use std::io;
use std::net::IpAddr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// What version 2 begins with, and as few bytes as tell the versions apart.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version, family and length of version 2.
const FIXED: usize = 16;
/// Of version 1, its line end included.
const LONGEST_V1: usize = 107;
/// Of version 2. Balancers send some hundred bytes; its length could say 65,551.
const LONGEST_V2: usize = 4096;

/// Why there is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// What came is refused.
    Refused(Refusal),
    /// Nothing came: a check whether the port is open, as a rule.
    Silent,
}

impl From<Fault> for NoHeader {
    fn from(fault: Fault) -> Self {
        Self::Refused(Refusal::Fault(fault))
    }
}

/// Reads the header: the address that it gives, `None` when it gives none that is a client's.
pub(crate) async fn read(stream: &mut TcpStream, until: Instant) -> Result<Option<IpAddr>, NoHeader> {
    let mut head = Vec::new();
    match timeout_at(until, whole(stream, &mut head)).await {
        Ok(Ok(source)) => source.map_err(NoHeader::from),
        _ if head.is_empty() => Err(NoHeader::Silent),
        Ok(Err(_)) => Err(Fault::Truncated.into()),
        Err(_) => Err(NoHeader::Refused(Refusal::HeadTimeout)),
    }
}

/// An error is the end of the connection.
async fn whole(stream: &mut TcpStream, head: &mut Vec<u8>) -> io::Result<Result<Option<IpAddr>, Fault>> {
    fill(stream, head, SIGNATURE.len()).await?;
    if head == SIGNATURE {
        fill(stream, head, FIXED).await?;
        let length = FIXED + usize::from(u16::from_be_bytes([head[14], head[15]]));
        if length > LONGEST_V2 {
            return Ok(Err(Fault::ProxyHeader));
        }
        fill(stream, head, length).await?;
        return Ok(version_2(head));
    }
    if !head.starts_with(b"PROXY ") {
        return Ok(Err(Fault::ProxyHeaderMissing));
    }
    while !head.contains(&b'\n') {
        let mut ahead = [0; LONGEST_V1];
        let room = LONGEST_V1 - head.len();
        if room == 0 {
            return Ok(Err(Fault::ProxyHeader));
        }
        let there = stream.peek(&mut ahead[..room]).await?;
        let line = ahead[..there].iter().position(|&b| b == b'\n').map_or(there, |end| end + 1);
        // With nothing there it finds the end of the connection.
        fill(stream, head, head.len() + line.max(1)).await?;
    }
    Ok(version_1(head))
}

async fn fill(stream: &mut TcpStream, head: &mut Vec<u8>, length: usize) -> io::Result<()> {
    while head.len() < length {
        let missing = length - head.len();
        if stream.read_buf(&mut (&mut *head).limit(missing)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// `PROXY TCP4 SOURCE DESTINATION PORT PORT`, with single blanks; behind `UNKNOWN` whatever there is counts for nothing.
fn version_1(head: &[u8]) -> Result<Option<IpAddr>, Fault> {
    let line = head.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()).ok_or(Fault::ProxyHeader)?;
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4" | "TCP6", _, _, from, to] if is_port(from) && is_port(to) => address(head),
        _ => Err(Fault::ProxyHeader),
    }
}

fn is_port(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain && text.parse::<u16>().is_ok()
}

/// LOCAL speaks of the balancer's own connection, whatever addresses it has; PROXY is of a client's.
fn version_2(head: &[u8]) -> Result<Option<IpAddr>, Fault> {
    match head[SIGNATURE.len()] {
        0x20 => Ok(None),
        0x21 => address(head),
        _ => Err(Fault::ProxyHeader),
    }
}

/// The source, if the header is whole and of a TCP connection; `None` of a unix one and of one that is not specified.
fn address(head: &[u8]) -> Result<Option<IpAddr>, Fault> {
    let (header, length) = ProxyHeader::parse(head, ParseConfig::default()).map_err(|_| Fault::ProxyHeader)?;
    let of_tcp = header.proxied_address().is_none_or(|address| address.protocol == Protocol::Stream);
    if length != head.len() || !of_tcp || !header.tlvs().all(|tlv| tlv.is_ok()) {
        return Err(Fault::ProxyHeader);
    }
    let source = header.proxied_address().map(|address| address.source.ip().to_canonical());
    Ok(source.filter(|ip| !ip.is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = Result<Option<&'static str>, Fault>;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("a length").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn read(head: &[u8]) -> Result<Option<String>, Fault> {
        let source = if head.starts_with(SIGNATURE) { version_2(head) } else { version_1(head) };
        source.map(|ip| ip.map(|ip| ip.to_string()))
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0, 80];

    #[test]
    fn s5_version_1_gives_its_source_only_as_the_specification_writes_it() {
        let cases: &[(&str, Said)] = &[
            ("TCP4 192.0.2.7 198.51.100.1 4711 80\r\n", Ok(Some("192.0.2.7"))),
            ("TCP6 2001:db8::1 2001:db8::2 4711 80\r\n", Ok(Some("2001:db8::1"))),
            ("TCP6 ::ffff:192.0.2.7 ::1 4711 80\r\n", Ok(Some("192.0.2.7"))),
            ("TCP4 0.0.0.0 198.51.100.1 0 80\r\n", Ok(None)),
            ("UNKNOWN\r\n", Ok(None)),
            ("UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Ok(None)),
            ("UNKNOWNS\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 4711 80\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 4711 80\r\r\n", Err(Fault::ProxyHeader)),
            ("TCP4  192.0.2.7 198.51.100.1 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 4711 80 \r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 4711\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 +4711 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 04711 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.7 198.51.100.1 65536 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.07 198.51.100.1 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 192.0.2.256 198.51.100.1 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP4 2001:db8::1 2001:db8::2 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("TCP6 fe80::1%eth0 2001:db8::2 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("UDP4 192.0.2.7 198.51.100.1 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("tcp4 192.0.2.7 198.51.100.1 4711 80\r\n", Err(Fault::ProxyHeader)),
            ("\r\n", Err(Fault::ProxyHeader)),
        ];
        for (rest, expected) in cases {
            let expected = expected.map(|ip| ip.map(str::to_owned));
            assert_eq!(read(format!("PROXY {rest}").as_bytes()), expected, "{rest:?}");
        }
        assert_eq!(read(b"PROXYxTCP4 192.0.2.7 198.51.100.1 4711 80\r\n"), Err(Fault::ProxyHeader));
        assert_eq!(read(b"PROXY TCP4 192.0.2.7 198.51.100.1 \xff 80\r\n"), Err(Fault::ProxyHeader));
    }

    #[test]
    fn s5_version_2_gives_its_source_if_all_that_it_announces_is_there() {
        let v6 = ["2001:db8::1", "2001:db8::2"].map(|ip| ip.parse::<std::net::Ipv6Addr>().expect("an address").octets()).concat();
        let v6 = [&v6[..], &[0, 1, 0, 80]].concat();
        let mapped = [&[0; 10], &[0xff, 0xff, 192, 0, 2, 7][..], &[0; 20]].concat();
        let with = |tlvs: &[u8]| [&V4[..], tlvs].concat();
        let refused = Err(Fault::ProxyHeader);
        let cases: Vec<(Vec<u8>, Said)> = vec![
            (v2(0x21, 0x11, &V4), Ok(Some("192.0.2.7"))),
            (v2(0x21, 0x21, &v6), Ok(Some("2001:db8::1"))),
            (v2(0x21, 0x21, &mapped), Ok(Some("192.0.2.7"))),
            (v2(0x21, 0x11, &[0; 12]), Ok(None)),
            (v2(0x21, 0x11, &with(&[0x04, 0, 2, 0, 0, 0x05, 0, 0])), Ok(Some("192.0.2.7"))),
            (v2(0x20, 0x00, &[]), Ok(None)),
            (v2(0x20, 0x11, &V4), Ok(None)),
            (v2(0x20, 0xff, &[1, 2, 3]), Ok(None)),
            (v2(0x21, 0x00, &[]), Ok(None)),
            (v2(0x21, 0x31, &[7; 216]), Ok(None)),
            (v2(0x21, 0x31, &[7; 215]), refused),
            (v2(0x21, 0x12, &V4), refused),
            (v2(0x21, 0x11, &V4[..11]), refused),
            (v2(0x21, 0x21, &V4), refused),
            (v2(0x21, 0x41, &V4), refused),
            (v2(0x21, 0x13, &V4), refused),
            (v2(0x22, 0x11, &V4), refused),
            (v2(0x11, 0x11, &V4), refused),
            // TLVs that are longer than what is left, and one without its length.
            (v2(0x21, 0x11, &with(&[0x04, 0, 3, 0, 0])), refused),
            (v2(0x21, 0x11, &with(&[0x04, 0xff, 0xff, 0])), refused),
            (v2(0x21, 0x11, &with(&[0x04, 0])), refused),
        ];
        for (head, expected) in cases {
            assert_eq!(read(&head), expected.map(|ip| ip.map(str::to_owned)), "{head:02x?}");
        }
        assert_eq!(read(&[&v2(0x21, 0x11, &V4)[..], b"G"].concat()), Err(Fault::ProxyHeader), "a byte too many");
    }
}
