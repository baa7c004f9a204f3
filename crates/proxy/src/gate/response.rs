//! The head of an origin's response, read as strictly as a request's (RFC 9112, sections 4 to 7).

use super::bytes;
pub use super::fields::Field;
use super::fields::Fields;
use super::lines::{Lines, fault_of};
use super::{Fault, Framing, Limits, Version};

/// Fields that most responses have at most.
const FIELDS: usize = 16;

/// What the gate needs to know about a response whose head is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// Bytes of the head, its last line end included.
    pub length: usize,
    /// The version.
    pub version: Version,
    /// The status, 100 to 599.
    pub status: u16,
    /// How the end is found.
    pub extent: Extent,
    /// Whether the connection may carry another response.
    pub keep_alive: bool,
    /// Whether this is a 101 that names another protocol; everything after it is that protocol's.
    pub upgrade: bool,
}

/// How far a response goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// As its head says.
    Framed(Framing),
    /// Until the origin closes; that it is whole cannot be known.
    UntilClose,
}

impl ResponseHead {
    /// Whether another head follows for the same request: 1xx, but not 101.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// The response head that these bytes begin with, to a request whose method was HEAD or not; `None` while it is not complete.
pub fn parse(bytes: &[u8], to_head: bool, limits: &Limits) -> Result<Option<ResponseHead>, Fault> {
    ResponseReader::new(to_head).read(bytes, limits)
}

/// A response head while it arrives.
#[derive(Debug, Clone)]
pub struct ResponseReader {
    to_head: bool,
    lines: Lines,
    status_line: Option<(Version, u16)>,
    fields: Fields,
    places: Vec<Field>,
}

impl ResponseReader {
    /// For the response to a request whose method was HEAD or not. Each interim response takes a reader of its own.
    pub fn new(to_head: bool) -> Self {
        Self { to_head, lines: Lines::default(), status_line: None, fields: Fields::of_response(), places: Vec::with_capacity(FIELDS) }
    }

    /// Where the fields stand in the head.
    pub fn fields(&self) -> &[Field] {
        &self.places
    }

    /// Reads on. `head` always begins with the first byte of the head; after a head or a fault the reader is of no further use.
    pub fn read(&mut self, head: &[u8], limits: &Limits) -> Result<Option<ResponseHead>, Fault> {
        while let Some(range) = self.lines.next(head, limits.head_bytes)? {
            let (line, start) = (&head[range.clone()], range.start);
            match self.status_line {
                None => self.status_line = Some(status_line(line).map_err(|fault| fault_of(line, fault))?),
                Some((version, status)) if line.is_empty() => return self.finish(version, status).map(Some),
                Some(_) => self.places.push(self.fields.take(line, start, limits.fields).map_err(|fault| fault_of(line, fault))?),
            }
        }
        Ok(None)
    }

    fn finish(&self, version: Version, status: u16) -> Result<ResponseHead, Fault> {
        let framing = self.fields.framing(version)?;
        let extent = match (status, framing) {
            (100..200 | 204, _) if self.fields.announce_body() => return Err(Fault::BodyNotAllowed),
            (100..200 | 204 | 304, _) => Extent::Framed(Framing::None),
            _ if self.to_head => Extent::Framed(Framing::None),
            (_, Framing::None) => Extent::UntilClose,
            (_, framing) => Extent::Framed(framing),
        };
        Ok(ResponseHead {
            length: self.lines.position(),
            version,
            status,
            extent,
            keep_alive: extent != Extent::UntilClose && self.fields.keeps_alive(version),
            upgrade: status == 101 && self.fields.upgrades(version),
        })
    }
}

/// The version and the status. The blank before an empty reason may be missing: many origins leave it out, and nothing depends on it.
fn status_line(line: &[u8]) -> Result<(Version, u16), Fault> {
    let (version, rest) = line.split_at_checked(9).ok_or(Fault::StatusLine)?;
    let version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return Err(Fault::StatusLine),
    };
    let (status, reason) = rest.split_at_checked(3).ok_or(Fault::StatusLine)?;
    let reason_is_fine = reason.is_empty() || reason.strip_prefix(b" ").is_some_and(bytes::are_value);
    let digit = |status: u16, b: &u8| b.is_ascii_digit().then(|| status * 10 + u16::from(b - b'0'));
    match status.iter().try_fold(0, digit) {
        Some(status @ 100..600) if reason_is_fine => Ok((version, status)),
        _ => Err(Fault::StatusLine),
    }
}
