//! Numbers of other configurations as the texts that serin takes.

use jiff::Timestamp;

/// The last second of year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// A share in percent with at most four decimals, and whether more were cut off; `None` outside 0 to 100.
pub(crate) fn percent(number: f64) -> Option<(String, bool)> {
    if !(0.0..=100.0).contains(&number) {
        return None;
    }
    // The shortest text that reads as this number, never with an exponent.
    let text = format!("{}", number.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let kept = part.get(..4).unwrap_or(part);
    let text = format!("{whole}.{kept}");
    let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    Some((text, kept.len() < part.len()))
}

/// A span of time such as `1h30m`; `None` for what is negative or beyond what a span can say.
pub(crate) fn span(seconds: f64) -> Option<String> {
    let millis = (seconds * 1000.0).round();
    if !(0.0..=99_999.0 * 3_600_000.0).contains(&millis) {
        return None;
    }
    let millis = millis as u64;
    let parts = [(millis / 3_600_000, "h"), (millis / 60_000 % 60, "m"), (millis / 1000 % 60, "s"), (millis % 1000, "ms")];
    let text: String = parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    Some(if text.is_empty() { "0s".to_owned() } else { text })
}

/// Seconds since the epoch as RFC 3339; `None` for what no calendar of four digits has.
pub(crate) fn moment(seconds: f64) -> Option<String> {
    let within = (0.0..=LAST_SECOND).contains(&seconds);
    let moment = within.then(|| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()).flatten()?;
    Some(moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_four_decimals() {
        for (number, expected) in [
            (10.0, Some(("10", false))),
            (12.5, Some(("12.5", false))),
            (0.1, Some(("0.1", false))),
            (100.0 / 3.0, Some(("33.3333", true))),
            (0.0, Some(("0", false))),
            (-0.0, Some(("0", false))),
            (1e-7, Some(("0", true))),
            (100.0, Some(("100", false))),
            (100.1, None),
            (-1.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(percent(number), expected.map(|(text, cut)| (text.to_owned(), cut)), "{number}");
        }
    }

    #[test]
    fn spans_and_moments_are_as_people_write_them() {
        for (seconds, expected) in [
            (3600.0, Some("1h")),
            (36_000.0, Some("10h")),
            (90.0, Some("1m30s")),
            (0.0, Some("0s")),
            (1.5, Some("1s500ms")),
            (-1.0, None),
            (1e12, None),
            (f64::NAN, None),
        ] {
            assert_eq!(span(seconds).as_deref(), expected, "{seconds}");
        }
        for (seconds, expected) in [
            (1_796_115_600.0, Some("2026-12-01T09:00:00Z")),
            (1_796_115_600.25, Some("2026-12-01T09:00:00.25Z")),
            (-1.0, None),
            (1.8e15, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(moment(seconds).as_deref(), expected, "{seconds}");
        }
    }
}
