//! The canonical path: one spelling for matching, rewriting and forwarding.
//!
//! Two spellings that some origin may take for the same resource must not be matched as two, or `/a/%2e%2e/admin` walks around a rule
//! for `/admin`. What cannot be told is refused: an encoded separator is one path to this origin and another to that.

use std::borrow::Cow;
use std::fmt;

/// Why a path has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathFault {
    /// It does not begin with a slash.
    Relative,
    /// A percent sign without two hexadecimal digits behind it.
    Escape,
    /// `%2f`, `%5c` or a backslash.
    Separator,
    /// A control byte, raw or encoded; `%00` is one.
    Control,
    /// A blank, `?` or `#`, none of which is of a path.
    Delimiter,
    /// A dot segment with parameters, such as `..;x`: some origins walk up there, others do not.
    DotParameters,
    /// An ASCII character in more bytes than it takes, such as `%c0%ae` for a dot.
    Overlong,
}

impl PathFault {
    /// The one label in metrics and logs.
    pub fn label(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Relative => ("path-relative", "the path does not begin with a slash"),
            Self::Escape => ("path-escape", "a percent sign in the path is not followed by two hexadecimal digits"),
            Self::Separator => ("path-separator", "the path has an encoded separator or a backslash"),
            Self::Control => ("path-control", "the path has a control byte"),
            Self::Delimiter => ("path-delimiter", "the path has a blank, a question mark or a number sign"),
            Self::DotParameters => ("path-dot-parameters", "a dot segment of the path has parameters"),
            Self::Overlong => ("path-overlong", "the path has an overlong encoding"),
        }
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl std::error::Error for PathFault {}

/// The canonical form of a path, which is given without its query (RFC 3986, section 6.2.2, and more).
///
/// Unreserved characters stand as they are; what must be encoded is, in upper case; what is reserved stays as it came, since `%3B` and `;`
/// differ. Slashes in a row are one. Dot segments are gone, and none leads above the root. Bytes that are no UTF-8 stay encoded. The
/// result is ASCII, and borrowed when the path was canonical.
pub fn canonical(path: &[u8]) -> Result<Cow<'_, str>, PathFault> {
    if path.first() != Some(&b'/') {
        return Err(PathFault::Relative);
    }
    let escaped = escaped(path)?;
    let joined = without_dots(&escaped)?;
    match std::str::from_utf8(path) {
        Ok(same) if same == joined => Ok(Cow::Borrowed(same)),
        _ => Ok(Cow::Owned(joined)),
    }
}

/// Each byte as it is written in a canonical path, segments untouched.
fn escaped(path: &[u8]) -> Result<String, PathFault> {
    let mut text = String::with_capacity(path.len());
    let (mut rest, mut before) = (path, 0);
    while let [first, tail @ ..] = rest {
        let (byte, encoded, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (digit(*high)? << 4 | digit(*low)?, true, tail),
            (b'%', _) => return Err(PathFault::Escape),
            _ => (*first, false, tail),
        };
        rest = tail;
        match byte {
            b'\\' => return Err(PathFault::Separator),
            b'/' if encoded => return Err(PathFault::Separator),
            0..0x20 | 0x7f => return Err(PathFault::Control),
            b' ' | b'?' | b'#' if !encoded => return Err(PathFault::Delimiter),
            _ if overlong(before, byte) => return Err(PathFault::Overlong),
            _ if unreserved(byte) || (!encoded && may_stand(byte)) => text.push(char::from(byte)),
            _ => text.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
        before = byte;
    }
    Ok(text)
}

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

fn digit(byte: u8) -> Result<u8, PathFault> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(PathFault::Escape),
    }
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path without encoding, beside the unreserved: the slash, and the rest of `pchar`.
fn may_stand(byte: u8) -> bool {
    matches!(byte, b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// Whether two bytes begin a sequence that is longer than its character needs. Latin-1 text does not look so: there the second byte is a
/// control byte, or a sign behind a capital letter with an accent.
fn overlong(before: u8, byte: u8) -> bool {
    match before {
        0xc0 | 0xc1 => (0x80..0xc0).contains(&byte),
        0xe0 => (0x80..0xa0).contains(&byte),
        0xf0 => (0x80..0x90).contains(&byte),
        _ => false,
    }
}

/// Segments without the empty and the dotted ones. A path that ends in one of those ends in a slash.
fn without_dots(path: &str) -> Result<String, PathFault> {
    let (mut joined, mut ends_open) = (String::with_capacity(path.len()), true);
    for segment in path.split('/').skip(1) {
        ends_open = true;
        match segment {
            "" | "." => {}
            ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
            _ if dotted_with_parameters(segment) => return Err(PathFault::DotParameters),
            _ => {
                joined.push('/');
                joined.push_str(segment);
                ends_open = false;
            }
        }
    }
    if ends_open {
        joined.push('/');
    }
    Ok(joined)
}

fn dotted_with_parameters(segment: &str) -> bool {
    let rest = segment.strip_prefix("..").or_else(|| segment.strip_prefix('.'));
    rest.is_some_and(|rest| rest.starts_with(';') || rest.starts_with("%3B"))
}
