//! A response as RFC 9112 says it, sentence by sentence, with all bytes at hand and no thought of speed.

use super::{End, Field, Seen, sorted};

/// What these bytes are, on a connection that closes behind them.
pub(super) fn seen(bytes: &[u8], to_head: bool) -> Seen {
    let mut seen = Seen::default();
    seen.end = response(bytes, to_head, &mut seen).unwrap_or_else(|end| end);
    seen
}

fn response(mut bytes: &[u8], to_head: bool, seen: &mut Seen) -> Result<End, End> {
    // Section 2.1: a start line, fields, and an empty line.
    let (status, fields) = loop {
        let status = status(line(&mut bytes)?)?;
        let fields = section(&mut bytes)?;
        // RFC 9110, section 15.2: a client must be able to take one or more of these before the final response.
        if status / 100 != 1 {
            break (status, fields);
        }
    };
    let values = |name: &str| fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.to_ascii_lowercase()).collect::<Vec<_>>();
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    // Section 6.3, rules 3 to 5: a proxy takes such a message for an error.
    if lengths.len() + codings.len() > 1 || codings.first().is_some_and(|coding| coding != b"chunked") {
        return Err(End::Bad);
    }
    let length = lengths.first().map(|length| number(length, 10).ok_or(End::Bad)).transpose()?;
    (seen.status, seen.fields) = (Some(status), sorted(fields));
    // Rule 1.
    if to_head || matches!(status, 204 | 304) {
        return Ok(End::Whole { behind: bytes.len() });
    }
    if !codings.is_empty() {
        return chunks(bytes, seen);
    }
    match length {
        // Rule 6.
        Some(length) => {
            seen.body = exactly(&mut bytes, length).inspect_err(|_| seen.body = bytes.to_vec())?.to_vec();
            Ok(End::Whole { behind: bytes.len() })
        }
        // Rule 8.
        None => {
            seen.body = bytes.to_vec();
            Ok(End::Whole { behind: 0 })
        }
    }
}

/// Section 7.1.3.
fn chunks(mut bytes: &[u8], seen: &mut Seen) -> Result<End, End> {
    loop {
        let line = line(&mut bytes)?;
        let size = line.split(|b| *b == b';').next().unwrap_or_default();
        let size = number(size, 16).ok_or(End::Bad)?;
        if size == 0 {
            break;
        }
        let before = bytes;
        let data = exactly(&mut bytes, size).inspect_err(|_| seen.body.extend_from_slice(before))?;
        seen.body.extend_from_slice(data);
        match exactly(&mut bytes, 2)? {
            b"\r\n" => {}
            _ => return Err(End::Bad),
        }
    }
    let mut trailers = section(&mut bytes)?;
    // RFC 9110, section 6.5.1: none that routes, frames or authenticates; and what serin does not let pass in any head.
    let stays = ["host", "content-length", "transfer-encoding", "authorization", "cookie", "set-cookie", "te", "upgrade"];
    trailers.retain(|(name, _)| !stays.contains(&name.as_str()) && !name.contains('_'));
    seen.trailers = sorted(trailers);
    Ok(End::Whole { behind: bytes.len() })
}

/// Section 4.
fn status(line: &[u8]) -> Result<u16, End> {
    let rest = line.strip_prefix(b"HTTP/1.").ok_or(End::Bad)?;
    match rest {
        [b'0' | b'1', b' ', digits @ ..] => {
            let digits = digits.get(..3).ok_or(End::Bad)?;
            number(digits, 10).and_then(|status| u16::try_from(status).ok()).ok_or(End::Bad)
        }
        _ => Err(End::Bad),
    }
}

/// Section 5: lines up to an empty one, each a name, a colon and a value without the blanks about it.
fn section(bytes: &mut &[u8]) -> Result<Vec<Field>, End> {
    let mut fields = Vec::new();
    loop {
        let line = line(bytes)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let colon = line.iter().position(|b| *b == b':').ok_or(End::Bad)?;
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        let value: Vec<u8> = line[colon + 1..].to_vec();
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        let start = value.iter().take_while(|b| blank(b)).count();
        let end = value.len() - value[start..].iter().rev().take_while(|b| blank(b)).count();
        fields.push((name, value[start..end].to_vec()));
    }
}

/// A line without its CRLF.
fn line<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], End> {
    let length = bytes.windows(2).position(|two| two == b"\r\n").ok_or(End::Early)?;
    let line = &bytes[..length];
    *bytes = &bytes[length + 2..];
    Ok(line)
}

fn exactly<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], End> {
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len()).ok_or(End::Early)?;
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    Ok(taken)
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, radix).ok()
}
