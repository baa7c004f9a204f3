//! Heads as they stand on the wire: a request's from its parts, and the parts of a response.

use crate::failure::Failure;
use crate::forward::{self, Arrival};
use crate::gate::response::{Field, ResponseHead, ResponseReader};
use crate::gate::{Fault, Limits};
use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, request};
use hyper::ext::ReasonPhrase;
use memchr::memchr;

/// Fields that serin may add to a response.
const ADDED: usize = 2;
/// Interim responses to one request; more are no origin's way of working.
const INTERIM: u8 = 16;

/// The heads that answer one request: interim ones, which end here, and at last the final one.
#[derive(Debug)]
pub(super) struct Heads {
    to_head: bool,
    /// The request asked for a WebSocket.
    upgrade: bool,
    reader: ResponseReader,
    interim: u8,
}

impl Heads {
    /// For a request whose method is HEAD or not, and that asked for a WebSocket or not.
    pub(super) fn new(to_head: bool, upgrade: bool) -> Self {
        Self { to_head, upgrade, reader: ResponseReader::new(to_head), interim: 0 }
    }

    /// Takes the final head from what is held, once it is there.
    pub(super) fn take(&mut self, held: &mut BytesMut, limits: &Limits) -> Result<Option<(Parts, ResponseHead)>, Failure> {
        while let Some(head) = self.reader.read(held, limits).map_err(Failure::Response)? {
            let bytes = held.split_to(head.length).freeze();
            if !head.is_interim() {
                let parts = response(head.status, &bytes, self.reader.fields()).ok_or(Failure::Response(Fault::FieldName))?;
                if head.status == 101 && !(self.upgrade && head.upgrade && forward::names_websocket(&parts.headers)) {
                    return Err(Failure::Response(Fault::EarlyTunnel));
                }
                return Ok(Some((parts, head)));
            }
            self.interim += 1;
            if self.interim > INTERIM {
                return Err(Failure::Unasked);
            }
            self.reader = ResponseReader::new(self.to_head);
        }
        Ok(None)
    }
}

/// The head of a request, in origin form (RFC 9112, section 3.2.1). What frames its body is written as serin sends it.
pub(super) fn request(parts: &request::Parts, arrival: &Arrival<'_>, chunked: bool) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| head.extend_from_slice(piece));
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    // That of an absolute target may begin with its query.
    let root: &[u8] = if target.starts_with(['/', '*']) { b"" } else { b"/" };
    put(&[parts.method.as_str().as_bytes(), b" ", root, target.as_bytes(), b" HTTP/1.1\r\n"]);
    forward::write_request_headers(&mut head, &parts.headers, arrival);
    head.extend_from_slice(if chunked { b"transfer-encoding: chunked\r\n\r\n" } else { b"\r\n" });
    head
}

/// The parts of a response, from a head that passed the gate. `None` when the `http` crate takes one of its fields for bad after all.
fn response(status: u16, head: &Bytes, fields: &[Field]) -> Option<Parts> {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(status).ok()?;
    let line = memchr(b'\r', head)?;
    // "HTTP/1.1 200 " comes before.
    let reason = head.get(13..line).unwrap_or_default();
    if !reason.is_empty() && parts.status.canonical_reason().is_none_or(|usual| usual.as_bytes() != reason) {
        parts.extensions.insert(ReasonPhrase::try_from(head.slice(13..line)).ok()?);
    }
    parts.headers = HeaderMap::with_capacity(fields.len() + ADDED);
    for Field { name, value } in fields {
        let name = &head[name.clone()];
        // Such a Connection names no field, so nothing depends on it behind the gate.
        if !(name.eq_ignore_ascii_case(b"connection") && matches!(&head[value.clone()], b"keep-alive" | b"close")) {
            append(&mut parts.headers, name, head.slice(value.clone()))?;
        }
    }
    Some(parts)
}

/// Trailer fields, each on a line, up to an empty one.
pub(super) fn trailers(lines: &Bytes) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    let mut start = 0;
    while let Some(length) = memchr(b'\r', &lines[start..]).filter(|length| *length > 0) {
        let line = &lines[start..start + length];
        let colon = memchr(b':', line)?;
        append(&mut fields, &line[..colon], lines.slice_ref(line[colon + 1..].trim_ascii()))?;
        start += length + 2;
    }
    Some(fields)
}

fn append(fields: &mut HeaderMap, name: &[u8], value: Bytes) -> Option<()> {
    fields.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_maybe_shared(value).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn request_is_written_in_origin_form_and_framed_anew() {
        let request =
            Request::post("/a?b=c").header("host", "shop").header("transfer-encoding", "chunked").header("x-a", "1").header("x-a", "2");
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let (peer, port) = (HeaderValue::from_static("192.0.2.7"), HeaderValue::from(80));
        let arrival = Arrival { peer: &peer, trusted: false, scheme: "http", port: &port, host: None };
        let text = |parts, chunked| String::from_utf8(super::request(parts, &arrival, chunked)).expect("text");
        let said = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-host: shop\r\nx-forwarded-port: 80\r\n";
        let fields = format!("POST /a?b=c HTTP/1.1\r\nhost: shop\r\nx-a: 1\r\nx-a: 2\r\n{said}");
        assert_eq!(text(&parts, true), format!("{fields}transfer-encoding: chunked\r\n\r\n"));
        assert_eq!(text(&parts, false), format!("{fields}\r\n"));
        let (parts, ()) = Request::options("*").body(()).expect("a request").into_parts();
        assert!(text(&parts, false).starts_with("OPTIONS * HTTP/1.1\r\n"));
        let (parts, ()) = Request::get("http://shop?a=b").body(()).expect("a request").into_parts();
        assert!(text(&parts, false).starts_with("GET /?a=b HTTP/1.1\r\n"));
    }

    fn received(head: &[u8]) -> Parts {
        let taken = Heads::new(false, false).take(&mut BytesMut::from(head), &Limits::default());
        taken.ok().flatten().expect("a head").0
    }

    #[test]
    fn response_has_its_fields_in_order_and_a_reason_of_its_own() {
        let parts = received(b"HTTP/1.1 200 Fine\r\nX-A:  1 \t\r\nEmpty:\r\nx-a: \xff2\r\n\r\n");
        let values: Vec<&[u8]> = parts.headers.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(values, [&b"1"[..], b"\xff2"]);
        assert_eq!(parts.headers["empty"], "");
        assert_eq!(parts.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes), Some(&b"Fine"[..]));
    }

    #[test]
    fn usual_reason_and_none_at_all_are_not_kept() {
        for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n"] {
            let parts = received(head.as_bytes());
            assert!(parts.extensions.get::<ReasonPhrase>().is_none(), "{head:?}");
            assert!(parts.headers.is_empty());
        }
    }
}
