//! The segment: the line of weight that a replica may serve without asking anyone (ARCHITECTURE.md, the segment).

use crate::Groups;
use jiff::{SignedDuration, Timestamp};

/// A line from `from` to `to` buckets, that stops by itself at `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// How many buckets there are.
    pub buckets: u32,
    /// Buckets at the start of the line.
    pub from: u32,
    /// Buckets at the end of the line; never exceeded.
    pub to: u32,
    /// When the line starts.
    pub starts_at: Timestamp,
    /// When the line ends; at or before `starts_at` means a jump.
    pub ends_at: Timestamp,
    /// Nothing rises past this moment.
    pub until: Timestamp,
    /// Buckets that are served whatever the line says; never above `to`.
    pub floor: u32,
    /// The groups in force beside the buckets.
    pub groups: Option<Groups>,
    /// Grows with every change but that of `until`.
    pub epoch: u64,
    /// The release that this line belongs to.
    pub release: String,
}

impl Segment {
    /// A flat line at `k` buckets, with no groups.
    pub fn flat(release: &str, buckets: u32, k: u32, epoch: u64, now: Timestamp) -> Self {
        let k = k.min(buckets);
        Self {
            buckets,
            from: k,
            to: k,
            starts_at: now,
            ends_at: now,
            until: now,
            floor: 0,
            groups: None,
            epoch,
            release: release.to_owned(),
        }
    }

    /// How many buckets the canary has at `t`: `max(floor, from + floor((to - from) * f))`, never above `to`.
    pub fn k(&self, t: Timestamp) -> u32 {
        let at = t.min(self.until);
        let line = if at < self.starts_at {
            self.from
        } else if at >= self.ends_at {
            self.to
        } else {
            let part = (at.as_nanosecond() - self.starts_at.as_nanosecond()).unsigned_abs();
            let whole = (self.ends_at.as_nanosecond() - self.starts_at.as_nanosecond()).unsigned_abs();
            let rise = u128::from(self.to.saturating_sub(self.from)) * part / whole;
            self.from.saturating_add(u32::try_from(rise).unwrap_or(u32::MAX))
        };
        line.max(self.floor).min(self.to)
    }

    /// Whether the line still has somewhere to go at `t`.
    pub fn rises_after(&self, t: Timestamp) -> bool {
        self.from < self.to && t.min(self.until) < self.ends_at
    }

    /// The whole line, later by `held`; what is served does not move.
    pub fn shift(&mut self, held: SignedDuration) {
        self.starts_at = later(self.starts_at, held);
        self.ends_at = later(self.ends_at, held);
    }
}

/// `t + d`, at the end of time when that is out of range.
fn later(t: Timestamp, d: SignedDuration) -> Timestamp {
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).expect("a time in range")
    }

    prop_compose! {
        fn segments()(buckets in 1u32..=1_000_000, a in 0u32..=1_000_000, b in 0u32..=1_000_000, f in 0u32..=1_000_000,
            start in -100_000i64..100_000, len in 0i64..200_000, until in -100_000i64..400_000) -> Segment {
            let (a, b) = (a % (buckets + 1), b % (buckets + 1));
            let to = a.max(b);
            Segment { buckets, from: a.min(b), to, starts_at: at(start), ends_at: at(start + len), until: at(until),
                floor: f % (to + 1), groups: None, epoch: 1, release: "r".into() }
        }
    }

    proptest! {
        #[test]
        fn k_is_never_above_its_line_nor_above_to(s in segments(), t in -200_000i64..500_000) {
            let k = s.k(at(t));
            let (start, end) = (s.starts_at.as_millisecond(), s.ends_at.as_millisecond());
            let past = (at(t).min(s.until).as_millisecond() - start) as f64;
            let f = if end == start { if past < 0.0 { 0.0 } else { 1.0 } } else { (past / (end - start) as f64).clamp(0.0, 1.0) };
            let line = f64::from(s.from) + f64::from(s.to - s.from) * f;
            prop_assert!(k <= s.to && k >= s.floor);
            prop_assert!(f64::from(k) <= line.max(f64::from(s.floor)) + 1e-6);
            prop_assert!(f64::from(k) > line - 1.0 - 1e-6);
        }

        #[test]
        fn k_never_falls_with_time(s in segments(), t in -200_000i64..500_000, d in 0i64..500_000) {
            prop_assert!(s.k(at(t)) <= s.k(at(t + d)));
        }

        #[test]
        fn nothing_rises_past_until(s in segments(), d in 0i64..10_000_000) {
            let later = s.until.checked_add(SignedDuration::from_millis(d)).expect("a time in range");
            prop_assert_eq!(s.k(s.until), s.k(later));
        }
    }

    #[test]
    fn s9_ten_hours_with_ten_buckets_is_ten_percent_an_hour() {
        let hour = 3_600_000;
        let s = Segment { to: 10, ends_at: at(10 * hour), until: at(20 * hour), ..Segment::flat("r", 10, 0, 1, at(0)) };
        for h in 0..=10 {
            assert_eq!(i64::from(s.k(at(h * hour))), h);
            assert_eq!(i64::from(s.k(at(h * hour + hour - 1))), h.min(10));
        }
    }
}
