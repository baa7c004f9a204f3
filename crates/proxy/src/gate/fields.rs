//! What the fields of a head say about its message's framing and connection.

use super::bytes::{self, TOKEN};
use super::{Fault, Framing, Version, host};
use std::ops::Range;

/// Where a field stands in its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Range<usize>,
    /// Its value, without the blanks about it.
    pub value: Range<usize>,
}

/// The fields that the gate looks at, of one head.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// Whether Host means nothing, as in a response.
    hostless: bool,
    count: usize,
    /// Where the value of Host stands in the head.
    pub(super) host: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
    upgrade_field: bool,
}

impl Fields {
    /// The fields of a response.
    pub(super) fn of_response() -> Self {
        Self { hostless: true, ..Self::default() }
    }

    /// Takes the line that begins at `start` of the head.
    pub(super) fn take(&mut self, line: &[u8], start: usize, limit: usize) -> Result<Field, Fault> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Fault::ObsFold);
        }
        let end = line.iter().position(|b| !bytes::is(*b, TOKEN)).ok_or(Fault::FieldName)?;
        let (name, raw) = (&line[..end], line[end..].strip_prefix(b":").ok_or(Fault::FieldName)?);
        if name.is_empty() {
            return Err(Fault::FieldName);
        }
        if !bytes::are_value(raw) {
            return Err(Fault::FieldValue);
        }
        self.count += 1;
        if self.count > limit {
            return Err(Fault::TooManyFields);
        }
        let (content, behind_colon) = (bytes::content(raw), start + end + 1);
        let field = Field { name: start..start + end, value: behind_colon + content.start..behind_colon + content.end };
        let value = &raw[content];
        match name.len() {
            4 if !self.hostless && name.eq_ignore_ascii_case(b"host") => self.take_host(value, &field)?,
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade_field = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.take_connection(value)?,
            14 if name.eq_ignore_ascii_case(b"content-length") => self.take_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.take_encoding(value)?,
            _ => {}
        }
        Ok(field)
    }

    fn take_host(&mut self, value: &[u8], field: &Field) -> Result<(), Fault> {
        if self.host.is_some() {
            return Err(Fault::HostRepeated);
        }
        if !host::valid(value) {
            return Err(Fault::HostInvalid);
        }
        self.host = Some(field.value.clone());
        Ok(())
    }

    /// hyper overlooks every option of a value with a byte over 0x7f, so none may have one.
    fn take_connection(&mut self, value: &[u8]) -> Result<(), Fault> {
        if !value.is_ascii() {
            return Err(Fault::Connection);
        }
        for option in value.split(|b| *b == b',').map(bytes::trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade");
        }
        Ok(())
    }

    fn take_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.length.is_some() {
            return Err(Fault::ContentLengthRepeated);
        }
        // 19 digits always fit; 20 may not.
        if !(1..=19).contains(&value.len()) {
            return Err(Fault::ContentLength);
        }
        let digit = |length: u64, b: &u8| b.is_ascii_digit().then(|| length * 10 + u64::from(b - b'0'));
        self.length = Some(value.iter().try_fold(0, digit).ok_or(Fault::ContentLength)?);
        Ok(())
    }

    fn take_encoding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked {
            return Err(Fault::TransferEncodingRepeated);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// The framing that the fields ask for.
    pub(super) fn framing(&self, version: Version) -> Result<Framing, Fault> {
        match (self.chunked, self.length) {
            (true, _) if version == Version::Http10 => Err(Fault::TransferEncodingOnHttp10),
            (true, Some(_)) => Err(Fault::LengthWithEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::None),
        }
    }

    /// Whether a body is announced.
    pub(super) fn announce_body(&self) -> bool {
        self.chunked || self.length.is_some_and(|length| length > 0)
    }

    /// Whether the connection outlives the message (RFC 9112, section 9.3).
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }

    /// Whether the message asks for an upgrade; HTTP/1.0 cannot (RFC 9110, section 7.8).
    pub(super) fn upgrades(&self, version: Version) -> bool {
        version == Version::Http11 && self.upgrade_option && self.upgrade_field
    }
}
