//! The verdict of checks, from the counts of both sides since the step's clock started.
//!
//! Rates are compared with their limits as they are, in exact integers; a bound at the author's `confidence` is not computed yet,
//! and each verdict's message says so.

use crate::share::percent_of;
use crate::state::Verdict;
use serin_api::release::{Analysis, Check, WHOLE};
use std::fmt;

/// What the proxies counted since the running step's clock started: differences of their counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Side B.
    pub canary: Tally,
    /// Side A.
    pub stable: Tally,
}

/// The requests of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub requests: u64,
    /// Those that failed; never more.
    pub failures: u64,
}

/// What one check says, with the numbers behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
    /// Whether it is shown only.
    pub dry_run: bool,
    /// The numbers that it was judged by.
    pub counts: Counts,
    /// A sentence with the numbers of both sides and the limit: short, for `kubectl get` shows it in 120 characters.
    pub message: String,
    /// What its own limit says, in ten-thousandths of a percent.
    pub max: Option<Bound>,
    /// What the limit against stable says.
    pub versus_stable: Option<Bound>,
}

/// One limit of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What it says.
    pub verdict: Verdict,
    /// In ten-thousandths of a percent.
    pub limit: u32,
}

/// Judges every check. The verdict is that of the worst check that is not a dry run; `None` when no check has a say, as at full
/// weight, where there is no stable side to compare with and only the canary needs `minRequests`.
pub fn judge(analysis: &Analysis, counts: &Counts, at_full_weight: bool) -> (Option<Verdict>, Vec<CheckResult>) {
    let judged = |check: &&Check| check.max.is_some() || !at_full_weight;
    let results: Vec<_> =
        analysis.checks.iter().filter(judged).map(|check| judge_one(check, analysis.min_requests, counts, at_full_weight)).collect();
    let verdict = results.iter().filter(|r| !r.dry_run).map(|r| r.verdict).max_by_key(|v| badness(*v));
    (verdict, results)
}

/// The sentence of the first check that fails and has a say, for [`crate::state::Evidence::failure`].
pub fn failure(results: &[CheckResult]) -> Option<String> {
    let failed = results.iter().find(|r| !r.dry_run && r.verdict == Verdict::Fail)?;
    Some(format!("Check {} failed: {}", failed.name, failed.message))
}

/// An error rate: the own one against `max`, and how far it is above stable's.
fn judge_one(check: &Check, min_requests: u64, counts: &Counts, at_full_weight: bool) -> CheckResult {
    let (canary, stable) = (counts.canary, counts.stable);
    let needed = min_requests.max(1);
    let few = canary.requests < needed || (!at_full_weight && stable.requests < needed);
    let bound = |limit: u32, exceeded: bool| {
        let verdict = if few {
            Verdict::NoData
        } else if exceeded {
            Verdict::Fail
        } else {
            Verdict::Pass
        };
        Bound { verdict, limit }
    };
    let max = check.max.map(|limit| bound(limit, canary.exceeds(limit)));
    let versus_stable = check.max_increase.filter(|_| !at_full_weight).map(|limit| bound(limit, canary.exceeds_by(&stable, limit)));
    let worst = [max, versus_stable].into_iter().flatten().max_by_key(|bound| badness(bound.verdict));
    // A check has at least one limit; one without would have nothing to judge by.
    let verdict = worst.map_or(Verdict::NoData, |bound| bound.verdict);

    let message = if canary.requests < needed {
        format!("{} of {needed} canary requests seen.", canary.requests)
    } else if few {
        format!("{} of {needed} stable requests seen.", stable.requests)
    } else {
        let percent = |bound: &Bound| percent_of(u64::from(bound.limit), u64::from(WHOLE));
        let fails = |bound: &Bound| bound.verdict == Verdict::Fail;
        let against = if at_full_weight { String::new() } else { format!(", stable {stable}") };
        let limit = match (max.filter(fails), versus_stable.filter(fails)) {
            (Some(max), _) => format!(", limit {}", percent(&max)),
            (None, Some(increase)) => format!(", limit +{}", percent(&increase)),
            (None, None) => String::new(),
        };
        format!("canary {canary}{against}{limit} (plain threshold).")
    };
    CheckResult { name: check.name.clone(), verdict, dry_run: check.dry_run, counts: *counts, message, max, versus_stable }
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::NoData => 1,
        Verdict::Inconclusive => 2,
        Verdict::Fail => 3,
    }
}

impl Tally {
    /// failures / requests > share / WHOLE.
    fn exceeds(&self, share: u32) -> bool {
        u128::from(self.failures) * u128::from(WHOLE) > u128::from(share) * u128::from(self.requests)
    }

    /// The own rate - the other's rate > share / WHOLE, with the fractions multiplied out.
    fn exceeds_by(&self, other: &Self, share: u32) -> bool {
        let wide = |n: u64| u128::from(n.min(1 << 52)); // three factors of 52, 52 and 20 bits fit
        let (f, n) = (wide(self.failures), wide(self.requests));
        let (g, m) = (wide(other.failures), wide(other.requests));
        f * m * u128::from(WHOLE) > g * n * u128::from(WHOLE) + n * m * u128::from(share)
    }

    /// The share that failed.
    pub(crate) fn rate(&self) -> String {
        percent_of(self.failures, self.requests)
    }
}

/// `5.10 % of 412`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.rate(), self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use serin_api::release::{NoTraffic, OnFail};

    fn analysis(checks: &[(Option<u32>, Option<u32>, bool)]) -> Analysis {
        let check = |&(max, max_increase, dry_run): &(_, _, bool)| Check { name: "errors".into(), dry_run, max, max_increase };
        Analysis {
            interval: SignedDuration::from_secs(30),
            min_requests: 200,
            no_traffic: NoTraffic::Hold,
            on_fail: OnFail::Abort,
            consecutive: 1,
            total: 3,
            checks: checks.iter().map(check).collect(),
        }
    }

    fn counts(canary: (u64, u64), stable: (u64, u64)) -> Counts {
        let tally = |(failures, requests)| Tally { requests, failures };
        Counts { canary: tally(canary), stable: tally(stable) }
    }

    #[test]
    fn a_check_is_judged_by_exact_thresholds_and_never_without_data() {
        use Verdict::{Fail, NoData, Pass};
        let (max, increase) = ((Some(10_000), None, false), (None, Some(5_000), false));
        for (check, canary, stable, full, verdict) in [
            (max, (2, 200), (0, 200), false, Pass),
            (max, (3, 200), (0, 200), false, Fail),
            (max, (199, 199), (0, 200), false, NoData),
            (max, (3, 200), (0, 199), false, NoData),
            (max, (3, 200), (0, 0), true, Fail),
            (max, (0, 0), (0, 0), true, NoData),
            (increase, (1, 200), (0, 200), false, Pass),
            (increase, (2, 200), (0, 200), false, Fail),
            (increase, (30, 1000), (25, 1000), false, Pass),
            (increase, (31, 1000), (25, 1000), false, Fail),
            (increase, (0, 1000), (1000, 1000), false, Pass),
            (increase, (u64::MAX, u64::MAX), (0, u64::MAX), false, Fail),
        ] {
            let (judged, results) = judge(&analysis(&[check]), &counts(canary, stable), full);
            assert_eq!(judged, Some(verdict), "{check:?} {canary:?} {stable:?} {full}: {}", results[0].message);
        }
    }

    #[test]
    fn at_full_weight_a_comparison_with_stable_has_no_say() {
        let a = analysis(&[(None, Some(5_000), false)]);
        assert_eq!(judge(&a, &counts((500, 1000), (0, 0)), true), (None, vec![]));
        let both = analysis(&[(Some(500_000), Some(5_000), false)]);
        assert_eq!(judge(&both, &counts((500, 1000), (0, 0)), true).0, Some(Verdict::Pass));
    }

    #[test]
    fn a_dry_run_is_shown_and_decides_nothing() {
        let a = analysis(&[(Some(0), None, true), (Some(WHOLE), None, false)]);
        let (verdict, results) = judge(&a, &counts((9, 1000), (0, 1000)), false);
        assert_eq!((verdict, results[0].verdict), (Some(Verdict::Pass), Verdict::Fail));
        assert_eq!(failure(&results), None);
        assert_eq!(judge(&analysis(&[(Some(0), None, true)]), &counts((9, 1000), (0, 1000)), false).0, None);
    }

    #[test]
    fn a_sentence_names_the_limit_that_was_passed_and_no_stable_side_where_there_is_none() {
        let both = analysis(&[(Some(500_000), Some(5_000), false)]);
        for (canary, full, sentence) in [
            ((21, 412), false, "canary 5.10 % of 412, stable 0.10 % of 1000, limit +0.50 % (plain threshold)."),
            ((1, 412), false, "canary 0.24 % of 412, stable 0.10 % of 1000 (plain threshold)."),
            ((400, 412), true, "canary 97.09 % of 412, limit 50.00 % (plain threshold)."),
        ] {
            assert_eq!(judge(&both, &counts(canary, (1, 1000)), full).1[0].message, sentence);
        }
    }

    #[test]
    fn the_worst_check_decides_and_its_sentence_has_the_numbers() {
        let a = analysis(&[(Some(WHOLE), None, false), (Some(10_000), None, false)]);
        let (verdict, results) = judge(&a, &counts((21, 412), (0, 1000)), false);
        assert_eq!(verdict, Some(Verdict::Fail));
        assert_eq!(
            failure(&results).expect("one fails"),
            "Check errors failed: canary 5.10 % of 412, stable 0.00 % of 1000, limit 1.00 % (plain threshold)."
        );
    }
}
