//! The gate for response heads.

use proptest::prelude::*;
use serin_proxy::gate::response::{Extent, ResponseHead, ResponseReader, parse};
use serin_proxy::gate::{self, Fault, Framing, Limits};

/// What is seen of a response to GET, and its bytes.
const CASES: &[(&str, &[u8])] = &[
    ("200 length:2", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"),
    ("200 length:0", b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n"),
    ("200 chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("200 until-close", b"HTTP/1.1 200 OK\r\n\r\nabc"),
    ("200 until-close", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc"),
    ("200 length:1+close", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"),
    ("200 length:1", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na"),
    ("200 length:1+close", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"),
    ("200 length:0", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    ("200 length:0", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    ("404 length:0", b"HTTP/1.1 404 N\xc3\xa4h\tno\r\nContent-Length: 0\r\n\r\n"),
    ("200 length:0", b"HTTP/1.1 200 OK\r\nHost: a b\r\nContent-Length: 0\r\n\r\n"),
    ("204 none", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ("204 none", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
    ("304 none", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ("304 none", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("100 none", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("103 none", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    ("101 none+upgrade", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
    ("101 none", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ("200 length:0", b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"),
    ("599 length:0", b"HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n"),
    ("...", b""),
    ("...", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
    ("!status-line", b"\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ("!status-line", b"HTTP/1.1\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 \r\n\r\n"),
    ("!status-line", b"HTTP/1.1 20\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 2000 OK\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 099 x\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 600 x\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 +20 x\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 2\xd9\xa1 x\r\n\r\n"),
    ("!status-line", b"HTTP/1.1  200 OK\r\n\r\n"),
    ("!status-line", b"HTTP/1.1\t200 OK\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 200\tOK\r\n\r\n"),
    ("!status-line", b"HTTP/1.1 200 O\0K\r\n\r\n"),
    ("!status-line", b"HTTP/1.2 200 OK\r\n\r\n"),
    ("!status-line", b"HTTP/2 200\r\n\r\n"),
    ("!status-line", b"ICY 200 OK\r\n\r\n"),
    ("!status-line", b"http/1.1 200 OK\r\n\r\n"),
    ("!bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    ("!bare-lf", b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n"),
    ("!bare-lf", b"<html>\n"),
    ("!bare-cr", b"HTTP/1.1 200 O\rK\r\n\r\n"),
    ("!obs-fold", b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n"),
    ("!field-name", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("!field-value", b"HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n"),
    ("!content-length", b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na"),
    ("!content-length", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na"),
    ("!content-length-repeated", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ("!length-with-encoding", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("!transfer-encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("!transfer-encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("!transfer-encoding-repeated", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("!transfer-encoding-on-1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("!body-not-allowed", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
    ("!body-not-allowed", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("!body-not-allowed", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"),
    ("!body-not-allowed", b"HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n"),
];

fn trace(read: Result<Option<ResponseHead>, Fault>) -> String {
    let head = match read {
        Ok(Some(head)) => head,
        Ok(None) => return "...".into(),
        Err(fault) => return format!("!{}", fault.label()),
    };
    let extent = match head.extent {
        Extent::Framed(Framing::None) => "none".into(),
        Extent::Framed(Framing::Length(length)) => format!("length:{length}"),
        Extent::Framed(Framing::Chunked) => "chunked".into(),
        Extent::UntilClose => "until-close".into(),
    };
    let close = if head.keep_alive || head.extent == Extent::UntilClose { "" } else { "+close" };
    format!("{} {extent}{close}{}", head.status, if head.upgrade { "+upgrade" } else { "" })
}

#[test]
fn each_response_is_seen_as_its_row_says() {
    for (expected, bytes) in CASES {
        assert_eq!(trace(parse(bytes, false, &Limits::default())), *expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn byte_by_byte_gives_the_same_response() {
    for (_, bytes) in CASES {
        let (mut reader, mut last) = (ResponseReader::new(false), Ok(None));
        for end in 0..=bytes.len() {
            last = reader.read(&bytes[..end], &Limits::default());
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(last, parse(bytes, false, &Limits::default()), "{}", bytes.escape_ascii());
    }
}

#[test]
fn cr_is_found_wherever_it_stands_in_a_head() {
    let request = b"GET /a?b HTTP/1.1\r\nHost: shop:80\r\nConnection: close\r\nX-A: a long value, and more\r\nContent-Length: 0\r\n\r\n";
    let response = b"HTTP/1.1 200 Fine\r\nServer: one\r\nX-A: a long value, and more\r\nTransfer-Encoding: chunked\r\n\r\n";
    for place in 0..request.len() {
        let bytes = [&request[..place], b"\r", &request[place..]].concat();
        assert_eq!(gate::head::parse(&bytes, &Limits::default()), Err(Fault::BareCr), "{}", bytes.escape_ascii());
    }
    for place in 0..response.len() {
        let bytes = [&response[..place], b"\r", &response[place..]].concat();
        assert_eq!(parse(&bytes, false, &Limits::default()), Err(Fault::BareCr), "{}", bytes.escape_ascii());
    }
}

#[test]
fn response_to_head_has_no_body() {
    let cases: &[&[u8]] = &[b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""];
    for fields in cases {
        let bytes = [b"HTTP/1.1 200 OK\r\n", *fields, b"\r\n"].concat();
        assert_eq!(trace(parse(&bytes, true, &Limits::default())), "200 none");
    }
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(both, true, &Limits::default()), Err(Fault::LengthWithEncoding));
}

#[test]
fn only_1xx_but_101_are_interim() {
    for (status, interim) in [(100, true), (101, false), (102, true), (103, true), (199, true), (200, false), (204, false)] {
        let head = parse(format!("HTTP/1.1 {status} x\r\n\r\n").as_bytes(), false, &Limits::default());
        assert_eq!(head.map(|head| head.map(|head| head.is_interim())), Ok(Some(interim)), "{status}");
    }
}

proptest! {
    #[test]
    fn any_split_of_a_response_head_gives_the_same(bytes in prop::sample::select(CASES), cut in any::<prop::sample::Index>()) {
        let (bytes, mut reader) = (bytes.1, ResponseReader::new(false));
        let first = reader.read(&bytes[..cut.index(bytes.len() + 1)], &Limits::default());
        let read = if first == Ok(None) { reader.read(bytes, &Limits::default()) } else { first };
        prop_assert_eq!(read, parse(bytes, false, &Limits::default()));
    }
}
