//! The head of a request, read strictly (RFC 9112, sections 2 to 7).
//!
//! An empty line before the request line is refused, though RFC 9112 says that a server should skip one: no client of today sends it.

use super::bytes::{self, TARGET, TOKEN};
use super::fields::Fields;
use super::lines::{Lines, fault_of};
use super::{Fault, Framing, Limits, Version, host};
use std::ops::Range;

/// The longest method; the longest registered one, UPDATEREDIRECTREF, has 17 bytes.
const METHOD_BYTES: usize = 32;

/// What the gate needs to know about a request whose head is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// Bytes of the head, its last line end included.
    pub length: usize,
    /// The version.
    pub version: Version,
    /// How the end is found.
    pub framing: Framing,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// Whether the method is HEAD, whose response has no body whatever its fields say.
    pub is_head: bool,
    /// Whether the client asks for another protocol: HTTP/1.1, `Upgrade`, and `upgrade` in `Connection`.
    pub upgrade: bool,
}

/// The request head that these bytes begin with; `None` while it is not complete.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<RequestHead>, Fault> {
    HeadReader::default().read(bytes, limits)
}

/// A request head while it arrives. A fault is found with the line that has it, and does not depend on how the bytes were split.
#[derive(Debug, Clone, Default)]
pub struct HeadReader {
    lines: Lines,
    line: Option<RequestLine>,
    fields: Fields,
}

#[derive(Debug, Clone)]
struct RequestLine {
    version: Version,
    is_head: bool,
    /// Where the authority of an absolute target stands.
    authority: Option<Range<usize>>,
}

impl HeadReader {
    /// Reads on. `head` always begins with the first byte of the head; after a head or a fault the reader is of no further use.
    pub fn read(&mut self, head: &[u8], limits: &Limits) -> Result<Option<RequestHead>, Fault> {
        while let Some(range) = self.lines.next(head, limits.head_bytes)? {
            let (line, start) = (&head[range.clone()], range.start);
            match &self.line {
                None => self.line = Some(request_line(line, limits).map_err(|fault| fault_of(line, fault))?),
                Some(request_line) if line.is_empty() => return self.finish(head, request_line).map(Some),
                Some(_) => {
                    self.fields.take(line, start, limits.fields).map_err(|fault| fault_of(line, fault))?;
                }
            }
        }
        Ok(None)
    }

    fn finish(&self, head: &[u8], line: &RequestLine) -> Result<RequestHead, Fault> {
        let host = match &self.fields.host {
            Some(range) => Some(&head[range.clone()]),
            None if line.version == Version::Http11 => return Err(Fault::HostMissing),
            None => None,
        };
        if let (Some(authority), Some(host)) = (&line.authority, host)
            && !head[authority.clone()].eq_ignore_ascii_case(host)
        {
            return Err(Fault::AuthorityMismatch);
        }
        Ok(RequestHead {
            length: self.lines.position(),
            version: line.version,
            framing: self.fields.framing(line.version)?,
            keep_alive: self.fields.keeps_alive(line.version),
            is_head: line.is_head,
            upgrade: self.fields.upgrades(line.version),
        })
    }
}

fn request_line(line: &[u8], limits: &Limits) -> Result<RequestLine, Fault> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Fault::RequestLine);
    };
    if method.is_empty() || method.len() > METHOD_BYTES || !bytes::all(method, TOKEN) {
        return Err(Fault::Method);
    }
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(Fault::Connect);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(Fault::Version),
    };
    if target.len() > limits.target_bytes {
        return Err(Fault::TargetTooLong);
    }
    if target.is_empty() || !bytes::all(target, TARGET) {
        return Err(Fault::Target);
    }
    let authority = match target {
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ => {
            let range = authority_of(target).ok_or(Fault::Target)?;
            let before = method.len() + 1;
            Some(before + range.start..before + range.end)
        }
    };
    Ok(RequestLine { version, is_head: method == b"HEAD", authority })
}

/// Where the authority stands in an absolute target, which begins with `http://` or `https://`.
fn authority_of(target: &[u8]) -> Option<Range<usize>> {
    let scheme = target.iter().position(|b| *b == b':')?;
    let known = target[..scheme].eq_ignore_ascii_case(b"http") || target[..scheme].eq_ignore_ascii_case(b"https");
    let rest = target[scheme..].strip_prefix(b"://").filter(|_| known)?;
    let length = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let start = target.len() - rest.len();
    host::valid(&rest[..length]).then_some(start..start + length)
}
