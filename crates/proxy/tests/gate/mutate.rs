//! Cases with a few bytes changed where parsers differ.

use proptest::prelude::*;

const PIECES: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x80",
    b"\xff",
    b":",
    b";",
    b",",
    b"0",
    b"1",
    b"a",
    b"/",
    b"#",
    b"?",
    b"\\",
    b"\"",
    b"{",
    b"`",
    b"<",
    b"^",
    b"|",
    b"%",
    b"*",
    b"@",
    b"[",
    b"]",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"http://a",
    b"chunked",
    b"Host: a\r\n",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"1\r\na\r\n",
    b"0\r\n\r\n",
];

/// One to three pieces put in, or written over as many bytes, or taken out.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let cases: Vec<Vec<u8>> = crate::cases::requests().into_iter().map(|case| case.bytes).collect();
    let mutation = (any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(PIECES));
    (prop::sample::select(cases), prop::collection::vec(mutation, 1..4)).prop_map(|(mut bytes, mutations)| {
        for (at, kind, piece) in mutations {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + piece.len());
            match kind {
                0 => drop(bytes.splice(at..at, piece.iter().copied())),
                1 => drop(bytes.splice(at..end, piece.iter().copied())),
                _ => drop(bytes.drain(at..end)),
            }
        }
        bytes
    })
}
