//! What a release's author asked for, in plain and valid types.

use jiff::{SignedDuration, Timestamp};

/// The whole, in ten-thousandths of a percent.
pub const WHOLE: u32 = 1_000_000;

/// The spec of a release, as far as its life needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The id that spec and observed revision give ([`crate::release_id`]).
    pub release: String,
    /// Whether this release decides anything.
    pub enabled: bool,
    /// `spec.paused`: only an edit ends it.
    pub paused: bool,
    /// How many buckets the split has; at least 1.
    pub buckets: u32,
    /// How the weight moves.
    pub strategy: Strategy,
    /// How it is judged; absent: time alone advances.
    pub analysis: Option<Analysis>,
    /// How long a step may run past its planned end.
    pub progress_deadline: SignedDuration,
}

/// How the weight moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// A fixed share, 0..=[`WHOLE`].
    Percentage(u32),
    /// A fixed share as a fraction; `den` is at least 1.
    Weights {
        /// The canary's weight.
        num: u32,
        /// The sum of both weights.
        den: u32,
    },
    /// 0 to 100 % on one line.
    Linear {
        /// Default: when the release was first Programmed.
        start: Option<Timestamp>,
        /// How long the whole line takes.
        duration: SignedDuration,
    },
    /// One step after another, then everyone.
    Steps(Vec<Step>),
}

/// One step of [`Strategy::Steps`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rise to `share` over `ramp`, then hold it for `hold`.
    Weight {
        /// 0..=[`WHOLE`].
        share: u32,
        /// How long the rise takes.
        ramp: SignedDuration,
        /// How long the weight is held after it (`for`).
        hold: SignedDuration,
    },
    /// Wait for `resume`.
    Pause,
}

/// How the verdicts are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Time between judgements.
    pub interval: SignedDuration,
    /// What a step without data does when its time is over.
    pub no_traffic: NoTraffic,
    /// What a failed analysis does.
    pub on_fail: OnFail,
    /// Failed judgements in a row that are too many.
    pub consecutive: u32,
    /// Failed judgements of an attempt that are too many.
    pub total: u32,
}

/// What a step without data does when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTraffic {
    /// Wait for data.
    Hold,
    /// Go on all the same.
    Continue,
    /// Abort.
    Abort,
}

/// What a failed analysis does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFail {
    /// Weight 0 at once.
    Abort,
    /// Keep the weight, wait for a person.
    Pause,
}

impl Plan {
    /// k of a share: `floor(buckets * share)` (S3).
    pub fn k_of(&self, share: u32) -> u32 {
        fraction(self.buckets, share, WHOLE)
    }

    /// k of a fixed order (percentage, weights); `None` for strategies that have an end.
    pub(crate) fn order(&self) -> Option<u32> {
        match self.strategy {
            Strategy::Percentage(share) => Some(self.k_of(share)),
            Strategy::Weights { num, den } => Some(fraction(self.buckets, num, den)),
            Strategy::Linear { .. } | Strategy::Steps(_) => None,
        }
    }

    /// The step at `index`: those of the author, then "everyone" unless the last weight is everyone already.
    pub(crate) fn stage(&self, index: usize) -> Option<Step> {
        let everyone = |ramp| Step::Weight { share: WHOLE, ramp, hold: SignedDuration::ZERO };
        match &self.strategy {
            Strategy::Percentage(_) | Strategy::Weights { .. } => None,
            Strategy::Linear { duration, .. } => (index == 0).then(|| everyone(*duration)),
            Strategy::Steps(steps) => match steps.get(index) {
                Some(step) => Some(step.clone()),
                None if index == steps.len() && last_share(steps) < WHOLE => Some(everyone(SignedDuration::ZERO)),
                None => None,
            },
        }
    }

    /// How long the weight of a step is held after its rise; one interval when a step names no time and is judged.
    pub(crate) fn hold_of(&self, step: &Step) -> SignedDuration {
        match step {
            Step::Pause => SignedDuration::ZERO,
            Step::Weight { ramp, hold, .. } if ramp.is_zero() && hold.is_zero() => {
                self.analysis.as_ref().map_or(SignedDuration::ZERO, |a| a.interval)
            }
            Step::Weight { hold, .. } => *hold,
        }
    }

    /// Where an edit of the steps leaves a release that serves `k`: the last weight step not above it, else the first step.
    pub(crate) fn position(&self, k: u32) -> usize {
        let Strategy::Steps(steps) = &self.strategy else { return 0 };
        let not_above = |step: &Step| matches!(step, Step::Weight { share, .. } if self.k_of(*share) <= k);
        steps.iter().rposition(not_above).unwrap_or(0)
    }
}

fn last_share(steps: &[Step]) -> u32 {
    let share = |step: &Step| if let Step::Weight { share, .. } = step { Some(*share) } else { None };
    steps.iter().rev().find_map(share).unwrap_or(0)
}

fn fraction(buckets: u32, num: u32, den: u32) -> u32 {
    let k = u64::from(buckets) * u64::from(num) / u64::from(den.max(1));
    u32::try_from(k).unwrap_or(u32::MAX).min(buckets)
}
