//! Numbers of a spec: shares as exact decimals, and spans of time.

use crate::spec::Percent;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Four decimals of a percent.
const SCALE: u32 = 10_000;

/// A share in ten-thousandths of a percent, exact; `None` for what the schema refuses.
pub(super) fn percent(percent: &Percent) -> Option<u32> {
    match &percent.0 {
        IntOrString::Int(whole) => u32::try_from(*whole).ok().filter(|whole| *whole <= 100).map(|whole| whole * SCALE),
        IntOrString::String(text) => percent_of_text(text),
    }
}

/// A share as it is written in a spec or on a command line, in ten-thousandths of a percent.
pub fn percent_of_text(text: &str) -> Option<u32> {
    decimal(text.strip_suffix('%').unwrap_or(text))
}

/// `12.5` in ten-thousandths.
fn decimal(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole, 3) || !digits(part, 4) {
        return None;
    }
    let value = whole.parse::<u32>().ok()? * SCALE + format!("{part:0<4}").parse::<u32>().ok()?;
    (value <= 100 * SCALE).then_some(value)
}

/// A share as it is written: the shortest decimal.
pub(super) fn shown(share: u32) -> String {
    let text = format!("{}.{:04}", share / SCALE, share % SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A span of time such as `1h30m`; `None` for what the schema refuses.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut sum = SignedDuration::ZERO;
    for _ in 0..4 {
        let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| (1..=5).contains(end))?;
        let (number, unit) = rest.split_at(end);
        let number: i64 = number.parse().ok()?;
        let (part, length) = match unit.as_bytes() {
            [b'm', b's', ..] => (SignedDuration::from_millis(number), 2),
            [b'h', ..] => (SignedDuration::from_secs(number * 3600), 1),
            [b'm', ..] => (SignedDuration::from_secs(number * 60), 1),
            [b's', ..] => (SignedDuration::from_secs(number), 1),
            _ => return None,
        };
        sum = sum.checked_add(part)?;
        rest = &unit[length..];
        if rest.is_empty() {
            return Some(sum);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_exact() {
        for (text, share) in [
            ("12.5", Some(125_000)),
            ("12.5%", Some(125_000)),
            ("0.0001", Some(1)),
            ("100.0000%", Some(1_000_000)),
            ("0.1", Some(1_000)),
            ("100.0001", None),
            ("101", None),
            ("0.00001", None),
            ("1e1", None),
            ("12.", None),
            (".5", None),
            ("", None),
            ("+1", None),
            ("10%%", None),
        ] {
            assert_eq!(percent(&Percent(IntOrString::String(text.to_owned()))), share, "{text}");
        }
        assert_eq!(percent(&Percent(IntOrString::Int(10))), Some(100_000));
        assert_eq!(percent(&Percent(IntOrString::Int(-1))), None);
        assert_eq!(percent(&Percent(IntOrString::Int(i32::MAX))), None);
    }

    #[test]
    fn spans_are_sums_of_their_parts() {
        for (text, millis) in [
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("1m1ms", Some(60_001)),
            ("0s", Some(0)),
            ("99999h99999h99999h99999h", Some(4 * 99_999 * 3_600_000)),
            ("1h1m1s1ms1s", None),
            ("100000s", None),
            ("1d", None),
            ("1.5h", None),
            ("90", None),
            ("h", None),
            ("", None),
            ("1µs", None),
        ] {
            assert_eq!(duration(text).map(|span| span.as_millis()), millis, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_share_reads_as_it_is_shown(share in 0..=1_000_000_u32) {
            prop_assert_eq!(decimal(&shown(share)), Some(share));
        }
    }
}
