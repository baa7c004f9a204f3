//! What a release's author asked for, as far as its life needs it.

use crate::phase::Pauses;
use jiff::{SignedDuration, Timestamp};
use serin_api::Release;
use serin_api::identity;
use serin_api::release::{self, Analysis, Schedule, Step, Strategy, WHOLE};
use serin_split::Groups;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The part of a valid spec that moves the weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The id that spec and observed revision give.
    pub release: String,
    /// The id that the spec alone gives: a release that began before its workload was seen has it.
    pub unobserved: String,
    /// `UID/REVISION` of the canary workload, as it is seen, else as status remembers it.
    pub observed: Option<String>,
    /// `spec.revision`, else the one that is observed.
    pub revision: Option<String>,
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
    /// When it may start, advance and be promoted.
    pub schedule: Schedule,
    /// How long a step may run past its planned end.
    pub progress_deadline: SignedDuration,
}

/// What a fixed order asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// How many buckets.
    pub(crate) k: u32,
    /// Who beside them, or instead of them.
    pub(crate) groups: Option<Groups>,
}

impl Plan {
    /// The plan of a parsed release without workloads, which has this id.
    pub fn of(release: &Release, id: &str) -> Self {
        let mut strategy = release.strategy.clone();
        if let Strategy::Linear { start: Some(start), .. } = &mut strategy {
            *start = to_millis(*start);
        }
        Self {
            release: id.to_owned(),
            unobserved: id.to_owned(),
            observed: None,
            revision: release.revision.clone(),
            enabled: release.enabled,
            paused: release.paused,
            buckets: release.split.buckets.max(1),
            strategy,
            analysis: release.analysis.clone(),
            schedule: release.schedule.clone(),
            progress_deadline: release.progress_deadline,
        }
    }

    /// The plan of one whose id comes of what is observed of its workload; `unobserved` is the id without that.
    pub fn observing(self, observed: Option<&str>, unobserved: &str) -> Self {
        let revision = self.revision.or_else(|| observed.map(|observed| identity::revision_of(observed).to_owned()));
        Self { unobserved: unobserved.to_owned(), observed: observed.map(str::to_owned), revision, ..self }
    }

    /// k of a share in ten-thousandths of a percent: `floor(buckets * share)` (S3).
    pub fn k_of(&self, share: u32) -> u32 {
        fraction(self.buckets, share, WHOLE)
    }

    /// How many steps there are, with the last one to everyone; 0 for a fixed order.
    pub fn stages(&self) -> usize {
        match &self.strategy {
            Strategy::Percentage(_) | Strategy::Weights { .. } | Strategy::Groups(_) => 0,
            Strategy::Linear { .. } => 1,
            Strategy::BlueGreen { .. } => 2,
            Strategy::Steps(steps) => steps.len() + usize::from(last_share(steps) < WHOLE),
        }
    }

    /// The step at `index`, from 0: those of the author, then "everyone" unless the last weight is everyone already.
    pub fn stage(&self, index: usize) -> Option<Step> {
        let everyone = |ramp| Step::Weight { share: WHOLE, ramp, hold: SignedDuration::ZERO };
        match &self.strategy {
            _ if index >= self.stages() => None,
            Strategy::Percentage(_) | Strategy::Weights { .. } | Strategy::Groups(_) => None,
            Strategy::Linear { duration, .. } => Some(everyone(*duration)),
            Strategy::BlueGreen { auto_switch_after, keep_old } => Some(match (index, auto_switch_after) {
                (0, None) => Step::Pause,
                (0, Some(hold)) => Step::Weight { share: 0, ramp: SignedDuration::ZERO, hold: *hold },
                _ => Step::Weight { share: WHOLE, ramp: SignedDuration::ZERO, hold: *keep_old },
            }),
            Strategy::Steps(steps) => Some(steps.get(index).cloned().unwrap_or_else(|| everyone(SignedDuration::ZERO))),
        }
    }

    /// How long what a step serves is held after its rise; one interval when a step names no time and is judged.
    pub fn hold_of(&self, step: &Step) -> SignedDuration {
        match step {
            Step::Pause => SignedDuration::ZERO,
            Step::Weight { share, ramp, hold } if ramp.is_zero() && hold.is_zero() => {
                self.judged(*share == WHOLE).map_or(SignedDuration::ZERO, |a| a.interval)
            }
            Step::Groups { hold, .. } if hold.is_zero() => self.judged(false).map_or(SignedDuration::ZERO, |a| a.interval),
            Step::Weight { hold, .. } | Step::Groups { hold, .. } => *hold,
        }
    }

    /// The analysis, when one of its checks has a say: at full weight there is no stable side to compare with, and a preview that
    /// overrides alone reach has no requests to judge by.
    pub fn judged(&self, at_full_weight: bool) -> Option<&Analysis> {
        let compares = !at_full_weight && !self.is_blue_green();
        let has_a_say = |a: &&Analysis| a.checks.iter().any(|c| !c.dry_run && (compares || (c.max.is_some() && at_full_weight)));
        self.analysis.as_ref().filter(has_a_say)
    }

    /// What a fixed order (percentage, weights, groups) asks for; `None` for strategies that have an end.
    pub(crate) fn order(&self) -> Option<Order> {
        let of_buckets = |k| Some(Order { k, groups: None });
        match &self.strategy {
            Strategy::Percentage(share) => of_buckets(self.k_of(*share)),
            Strategy::Weights { stable, canary } => of_buckets(fraction(self.buckets, *canary, stable.saturating_add(*canary))),
            // Without buckets admitted groups are all who have the canary.
            Strategy::Groups(release::Groups::Allow(groups)) => Some(Order { k: 0, groups: Some(Groups::Admitted(groups.clone())) }),
            Strategy::Groups(release::Groups::Deny(groups)) => Some(Order { k: 0, groups: Some(Groups::Deny(groups.clone())) }),
            Strategy::Linear { .. } | Strategy::BlueGreen { .. } | Strategy::Steps(_) => None,
        }
    }

    /// k of a share that never changes by itself; `None` for strategies that have an end.
    pub fn fixed_k(&self) -> Option<u32> {
        self.order().map(|order| order.k)
    }

    /// Whether everyone is switched at once.
    pub(crate) fn is_blue_green(&self) -> bool {
        matches!(self.strategy, Strategy::BlueGreen { .. })
    }

    /// Whether the step at `index` is the preview, which must not end before the canary is ready.
    pub(crate) fn is_preview(&self, index: usize) -> bool {
        self.is_blue_green() && index == 0
    }

    /// Whether a release that pauses so waits for the command `promote`.
    pub(crate) fn awaits_promotion(&self, pauses: Pauses) -> bool {
        self.is_blue_green() && pauses.step
    }

    /// Where `promote` leads from the step at `index`: from a preview to the switch, else past the last step.
    pub(crate) fn promotion(&self, index: usize) -> usize {
        if self.is_preview(index) { 1 } else { self.stages() }
    }

    /// The groups that have the canary from the step at `index` on: those who have it already, and those of every step up to it (S19).
    pub(crate) fn admitted(&self, index: usize, before: Option<&Groups>) -> Option<Groups> {
        let mut all = BTreeSet::new();
        if let Some(Groups::Admitted(groups)) = before {
            all.extend(groups.iter().cloned());
        }
        if let Strategy::Steps(steps) = &self.strategy {
            for step in steps.iter().take(index.saturating_add(1)) {
                if let Step::Groups { groups, .. } = step {
                    all.extend(groups.iter().cloned());
                }
            }
        }
        (!all.is_empty()).then(|| Groups::Admitted(all.into_iter().collect()))
    }

    /// Where an edit leaves a release that serves `k`: at the last weight step not above it, else at the first step; one that has
    /// switched stays switched.
    pub(crate) fn position(&self, k: u32) -> usize {
        let steps = match &self.strategy {
            Strategy::Steps(steps) => steps,
            _ => return usize::from(self.is_blue_green() && k == self.buckets),
        };
        let not_above = |step: &Step| matches!(step, Step::Weight { share, .. } if self.k_of(*share) <= k);
        steps.iter().rposition(not_above).unwrap_or(0)
    }

    /// The moment before which a linear release only waits.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        if let Strategy::Linear { start, .. } = self.strategy { start } else { None }
    }

    /// A short text that changes when, and only when, the strategy does. It stands in status, so its form never changes.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match &self.strategy {
            Strategy::Percentage(share) => write!(text, "percentage {share}"),
            Strategy::Weights { stable, canary } => write!(text, "weights {stable} {canary}"),
            Strategy::Linear { start, duration } => {
                write!(text, "linear {} {}", start.map_or(String::new(), |s| s.to_string()), duration.as_millis())
            }
            Strategy::Steps(steps) => steps.iter().try_for_each(|step| match step {
                Step::Weight { share, ramp, hold } => write!(text, "weight {share} {} {};", ramp.as_millis(), hold.as_millis()),
                Step::Groups { groups, hold } => write!(text, "groups {} {};", counted(groups), hold.as_millis()),
                Step::Pause => write!(text, "pause;"),
            }),
            Strategy::BlueGreen { auto_switch_after, keep_old } => {
                let after = auto_switch_after.map_or(String::new(), |after| after.as_millis().to_string());
                write!(text, "blueGreen {after} {}", keep_old.as_millis())
            }
            Strategy::Groups(release::Groups::Allow(groups)) => write!(text, "allow {}", counted(groups)),
            Strategy::Groups(release::Groups::Deny(groups)) => write!(text, "deny {}", counted(groups)),
        };
        identity::release_id(&[("strategy", &text)])
    }
}

/// Times in status have milliseconds, so decisions are made with no more.
pub(crate) fn to_millis(t: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(t.as_millisecond()).unwrap_or(t)
}

/// Names that may hold anything, each after its length, so that no two lists have one text.
fn counted(names: &[String]) -> String {
    names.iter().map(|name| format!("{}:{name}", name.len())).collect()
}

fn last_share(steps: &[Step]) -> u32 {
    let share = |step: &Step| if let Step::Weight { share, .. } = step { Some(*share) } else { None };
    steps.iter().rev().find_map(share).unwrap_or(0)
}

fn fraction(buckets: u32, num: u32, den: u32) -> u32 {
    let k = u64::from(buckets) * u64::from(num) / u64::from(den.max(1));
    u32::try_from(k).unwrap_or(u32::MAX).min(buckets)
}
