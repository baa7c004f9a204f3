//! One table says what each byte may be part of.

use std::ops::Range;

/// Part of a token (RFC 9110, section 5.6.2).
pub(super) const TOKEN: u8 = 1;
/// Part of a request target. Less than visible ASCII: no fragment, and nothing that the `http` crate refuses in a path or a query.
pub(super) const TARGET: u8 = 1 << 1;
/// A hexadecimal digit.
pub(super) const HEX: u8 = 1 << 2;
/// Part of a registered name; fewer than RFC 3986 lets pass, since no DNS name needs the others.
pub(super) const NAME: u8 = 1 << 3;
/// Part of a chunk extension: visible ASCII.
pub(super) const EXTENSION: u8 = 1 << 4;

static TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = classes(byte as u8);
        byte += 1;
    }
    table
}

const fn classes(byte: u8) -> u8 {
    let mut classes = 0;
    if byte.is_ascii_alphanumeric() {
        classes |= TOKEN | NAME;
    }
    if matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~') {
        classes |= TOKEN;
    }
    if matches!(byte, b'-' | b'.' | b'_') {
        classes |= NAME;
    }
    if byte.is_ascii_graphic() {
        classes |= EXTENSION;
    }
    if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'`') {
        classes |= TARGET;
    }
    if byte.is_ascii_hexdigit() {
        classes |= HEX;
    }
    classes
}

/// Whether the byte is of the class.
pub(super) fn is(byte: u8, class: u8) -> bool {
    TABLE[usize::from(byte)] & class != 0
}

/// Whether all bytes are of the class; so are no bytes.
pub(super) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|b| is(*b, class))
}

/// Whether the byte may be part of a field value: visible, blank, or over 0x7f (RFC 9110, section 5.5).
pub(super) fn is_value(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}

/// Whether all bytes may be part of a field value. Eight at once: what may be bad among them is looked at one by one.
pub(super) fn are_value(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| is_plain(*word) || word.iter().all(|b| is_value(*b))) && rest.iter().all(|b| is_value(*b))
}

/// Whether no byte is a control character; says no also where only some pattern of bytes looks as if one were.
fn is_plain(word: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_ne_bytes(word);
    let delete = word ^ (ONES * 0x7f);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & (ONES * 0x80);
    below(word, 0x20) | below(delete, 1) == 0
}

/// The value without its optional whitespace.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    &value[content(value)]
}

/// Where the value stands between its optional whitespace, which is blank and tab alone.
pub(super) fn content(value: &[u8]) -> Range<usize> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_byte_by_byte_whatever_stands_about_them() {
        for length in 1..20 {
            for place in 0..length {
                for byte in 0..=255 {
                    for about in [b'a', b' ', 0x80, 0xff] {
                        let mut value = vec![about; length];
                        value[place] = byte;
                        assert_eq!(are_value(&value), is_value(byte), "{value:?}");
                    }
                }
            }
        }
    }
}
