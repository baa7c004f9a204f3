//! The cases of `requests.txt`, for the gate alone and for the whole proxy.

/// A row of a table of cases.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) trace: &'static str,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn requests() -> Vec<Case> {
    let rows = include_str!("requests.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    rows.map(case).collect()
}

fn case(row: &'static str) -> Case {
    let mut parts = row.splitn(3, '|');
    let mut part = || parts.next().unwrap_or_else(|| panic!("a row has three parts: {row}"));
    let (name, trace, bytes) = (part().trim(), part().trim(), part());
    let chunked = r"POST / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n";
    let bytes = bytes.strip_prefix(' ').unwrap_or(bytes).replace("{chunked}", chunked).replace("{host}", r"Host: a\r\n");
    Case { name, trace, bytes: unescape(&bytes) }
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [b'r', tail @ ..]) => (bytes.push(b'\r'), rest = tail).1,
            (b'\\', [b'n', tail @ ..]) => (bytes.push(b'\n'), rest = tail).1,
            (b'\\', [b't', tail @ ..]) => (bytes.push(b'\t'), rest = tail).1,
            (b'\\', [b'\\', tail @ ..]) => (bytes.push(b'\\'), rest = tail).1,
            (b'\\', [b'x', high, low, tail @ ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16).expect("two hexadecimal digits after \\x");
                bytes.push(u8::try_from(digit(high) * 16 + digit(low)).expect("two digits fit a byte"));
                rest = tail;
            }
            (b'\\', _) => panic!("an unknown escape: {text}"),
            (byte, _) => bytes.push(*byte),
        }
    }
    bytes
}
