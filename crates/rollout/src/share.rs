//! Shares as people read them, in exact decimals.

/// A weight of `k` buckets as the shortest decimal of percent, to four places and rounded down: `12.5`, `0.9900`'s `0.99`, `100`.
pub fn weight(k: u32, buckets: u32) -> String {
    decimal(u64::from(k), u64::from(buckets), 4)
}

/// Part of a whole in percent with one place, without trailing zero: a measured weight. `-` when there is no whole.
pub fn measured(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { decimal(part, whole, 1) }
}

/// Part of a whole as `5.10 %`, rounded to the nearest; an empty whole is 0.
pub(crate) fn percent_of(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole.max(1)));
    let hundredths = (part * 10_000 + whole / 2) / whole;
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn decimal(part: u64, whole: u64, places: u32) -> String {
    let unit = 10_u128.pow(places);
    let all = u128::from(part) * 100 * unit / u128::from(whole.max(1));
    let fraction = format!("{:0width$}", all % unit, width = places as usize);
    match fraction.trim_end_matches('0') {
        "" => (all / unit).to_string(),
        fraction => format!("{}.{fraction}", all / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shortest_decimals() {
        for (k, buckets, text) in
            [(0, 1000, "0"), (125, 1000, "12.5"), (1000, 1000, "100"), (1, 101, "0.99"), (1, 3, "33.3333"), (1, 1_000_000, "0.0001")]
        {
            assert_eq!(weight(k, buckets), text);
        }
    }

    #[test]
    fn measured_weights_have_one_place() {
        assert_eq!(measured(248, 1000), "24.8");
        assert_eq!(measured(250, 1000), "25");
        assert_eq!(measured(0, 0), "-");
    }
}
