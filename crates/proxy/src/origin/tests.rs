//! Responses are decoded as RFC 9112 reads, against a reader that knows all bytes at once.

mod reference;

use super::head::Heads;
use super::rest::{Rest, Taken};
use crate::gate::Limits;
use bytes::BytesMut;
use http::HeaderMap;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What is seen of one response on a connection that then closes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    status: Option<u16>,
    fields: Vec<Field>,
    body: Vec<u8>,
    trailers: Vec<Field>,
    end: End,
}

/// A name in lower case, and a value.
type Field = (String, Vec<u8>);

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    /// The connection closed before.
    #[default]
    Early,
    /// It is whole, and so many bytes stand behind it.
    Whole { behind: usize },
    /// It is no response.
    Bad,
}

/// What serin sees when the bytes come in pieces that end at these places.
fn decoded(bytes: &[u8], ends: &[usize], to_head: bool) -> Seen {
    let (mut held, mut heads, mut rest, mut seen) = (BytesMut::new(), Heads::new(to_head, false), None, Seen::default());
    let mut start = 0;
    for end in ends.iter().copied().chain([bytes.len()]) {
        held.extend_from_slice(&bytes[start..end]);
        start = end;
        if rest.is_none() {
            match heads.take(&mut held, &Limits::default()) {
                Ok(Some((parts, head))) => {
                    rest = Some(Rest::of(head.extent));
                    (seen.status, seen.fields) = (Some(parts.status.as_u16()), listed(&parts.headers));
                }
                Ok(None) => {}
                Err(_) => return Seen { end: End::Bad, ..seen },
            }
        }
        while let Some(rest) = &mut rest {
            match rest.take(&mut held) {
                Ok(Taken::Frame(frame)) => match frame.into_data() {
                    Ok(data) => seen.body.extend_from_slice(&data),
                    Err(frame) => seen.trailers = listed(frame.trailers_ref().expect("trailers")),
                },
                Ok(Taken::End) => return Seen { end: End::Whole { behind: bytes.len() - end + held.len() }, ..seen },
                Ok(Taken::Nothing) => break,
                Err(_) => return Seen { end: End::Bad, ..seen },
            }
        }
    }
    let end = if matches!(rest, Some(Rest::UntilClose)) { End::Whole { behind: 0 } } else { End::Early };
    Seen { end, ..seen }
}

fn listed(fields: &HeaderMap) -> Vec<Field> {
    sorted(fields.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect())
}

/// By name, and those of one name in their order.
fn sorted(mut fields: Vec<Field>) -> Vec<Field> {
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// Lines of fields that frame nothing.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let name = select(&["X-A", "x-a", "Set-Cookie", "ETAG", "b", "~!#$%&'*+.^_`|", "Host", "Upgrade", "Authorization"][..]);
    let value = prop::collection::vec(prop_oneof![b' '..=b'~', Just(b'\t'), 0x80..=0xff_u8], 0..12);
    let line = (name, select(&["", " ", "\t ", "  "][..]), value, select(&["", " \t"][..]));
    let text = |(name, before, value, after): (&str, &str, Vec<u8>, &str)| {
        [name.as_bytes(), b":", before.as_bytes(), &value, after.as_bytes(), b"\r\n"].concat()
    };
    prop::collection::vec(line.prop_map(text), 0..5).prop_map(|lines| lines.concat())
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let any = prop::collection::vec(any::<u8>(), 1..40);
    prop_oneof![any, Just(b"0\r\n\r\n".to_vec()), Just(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Just(vec![b'x'; 5000])]
}

/// What frames a body, and the body so framed.
fn framed() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let length = prop::option::of(data()).prop_map(|data| {
        let data = data.unwrap_or_default();
        (format!("Content-Length:{}\r\n", data.len()).into_bytes(), data)
    });
    let size = select(&["", "0", "000"][..]);
    let chunk =
        (data(), size.clone(), any::<bool>(), select(&["", ";a", ";a=b;c=\"d\""][..])).prop_map(|(data, zeros, upper, extension)| {
            let size = if upper { format!("{:X}", data.len()) } else { format!("{:x}", data.len()) };
            [zeros.as_bytes(), size.as_bytes(), extension.as_bytes(), b"\r\n", &data, b"\r\n"].concat()
        });
    let chunks = (prop::collection::vec(chunk, 0..4), size, lines()).prop_map(|(chunks, zeros, trailers)| {
        let last = [zeros.as_bytes(), b"0\r\n", &trailers, b"\r\n"].concat();
        (b"transfer-encoding: Chunked\r\n".to_vec(), [chunks.concat(), last].concat())
    });
    prop_oneof![length, chunks, data().prop_map(|data| (Vec::new(), data))]
}

/// A response that every recipient must understand, interim ones before it, and whether it answers HEAD.
fn response() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let interim = select(&["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 199\r\n\r\n"][..]);
    let status = select(&["200 OK", "200", "204 ", "304 Not Modified", "205 x", "404 N\u{e4}h\tno", "599 x"][..]);
    let head = (prop::collection::vec(interim, 0..3), any::<bool>(), status, lines(), lines());
    (head, framed(), any::<bool>()).prop_map(|((interim, old, status, before, after), (framing, body), to_head)| {
        // HTTP/1.0 has no chunks, and nothing frames a body that cannot be.
        let old = old && !framing.starts_with(b"t");
        let framing = if status.starts_with("204") { Vec::new() } else { framing };
        let bodiless = to_head || status.starts_with("204") || status.starts_with("304");
        let body = if bodiless { Vec::new() } else { body };
        let line = format!("{}HTTP/1.{} {status}\r\n", interim.concat(), u8::from(!old));
        ([line.as_bytes(), &before, &framing, &after, b"\r\n", &body].concat(), to_head)
    })
}

/// In order, places in so many bytes.
fn places(ends: &[Index], length: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = ends.iter().map(|end| end.index(length + 1)).collect();
    ends.sort_unstable();
    ends
}

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(if std::env::var_os("SERIN_LONG").is_some() { 100_000 } else { 5_000 })
}

/// What parsers disagree about.
const PIECES: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x7f",
    b"\xff",
    b":",
    b";",
    b",",
    b"0",
    b"1",
    b"a",
    b"f",
    b"0\r\n\r\n",
    b"HTTP/1.0 ",
    b"HTTP/1.1 200 OK\r\n",
    b"1\r\na\r\n",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"204",
    b"100",
];

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn good_responses_are_seen_as_they_are(
        (bytes, to_head) in response(),
        behind in prop::option::of(data()),
        cut in prop::option::of(any::<Index>()),
        ends in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut bytes = [bytes, behind.unwrap_or_default()].concat();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let expected = reference::seen(&bytes, to_head);
        prop_assert_ne!(expected.end, End::Bad);
        prop_assert_eq!(decoded(&bytes, &places(&ends, bytes.len()), to_head), expected);
    }

    /// serin may refuse what others would take, but what it takes it sees as they do.
    #[test]
    fn what_is_taken_of_mutated_responses_is_what_is_there(
        (mut bytes, to_head) in response(),
        changes in prop::collection::vec((any::<Index>(), 0..3_u8, select(PIECES)), 1..4),
        ends in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        for (at, kind, piece) in changes {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + piece.len());
            match kind {
                0 => drop(bytes.splice(at..at, piece.iter().copied())),
                1 => drop(bytes.splice(at..end, piece.iter().copied())),
                _ => drop(bytes.drain(at..end)),
            }
        }
        let whole = decoded(&bytes, &[], to_head);
        prop_assert_eq!(&decoded(&bytes, &places(&ends, bytes.len()), to_head), &whole);
        if whole.end != End::Bad {
            prop_assert_eq!(whole, reference::seen(&bytes, to_head));
        }
    }
}

#[test]
fn reference_sees_what_the_rfc_shows() {
    let seen = reference::seen(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\nmore", false);
    assert_eq!((seen.status, seen.body.as_slice(), seen.end), (Some(200), &b"abc"[..], End::Whole { behind: 4 }));
    assert_eq!(seen.trailers, [("a".to_owned(), b"b".to_vec())]);
    let bad: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
    ];
    assert!(bad.iter().all(|bytes| reference::seen(bytes, false).end == End::Bad));
}
