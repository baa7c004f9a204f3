//! What can be said of a release at one moment; messages and conditions are made from it.

use super::facts::Facts;
use crate::plan::Plan;
use crate::share;
use crate::state::{State, Verdict};
use crate::{later, schedule};
use jiff::Timestamp;
use serin_api::release::{NoTraffic, Step};
use serin_api::{Finding, Release};
use serin_split::Groups;

/// A release, its state and the facts.
pub(super) struct View<'a> {
    /// `None` while the spec is not accepted.
    pub(super) spec: Option<(&'a Release, &'a Plan)>,
    pub(super) state: &'a State,
    pub(super) facts: &'a Facts,
    pub(super) now: Timestamp,
}

/// What a release that is under way waits for.
pub(super) enum Waits<'a> {
    /// The cure of this.
    Cure(&'a Finding),
    /// Replicas that do not serve its epoch yet.
    Replicas,
    /// The end of the rise, then of the hold.
    Ramp { to: String, until: Timestamp, then: Timestamp },
    /// The end of the hold.
    Hold { until: Timestamp },
    /// A verdict that lets it go on; the sentence says what the last one was.
    Verdict(String),
    /// The rollout of the canary workload; the sentence says which.
    Rollout(&'a str),
    /// A ready endpoint of the canary.
    Endpoints,
    /// A window, or the end of a freeze; the moment, if it is known.
    Window(Option<Timestamp>),
}

impl View<'_> {
    /// The weight that is asked for, in percent.
    pub(super) fn weight(&self) -> String {
        let segment = &self.state.segment;
        share::weight(segment.k(self.now), segment.buckets)
    }

    /// Whether buckets or groups send anyone to the canary.
    pub(super) fn reaches_anyone(&self) -> bool {
        self.state.segment.k(self.now) > 0 || self.state.segment.groups.is_some()
    }

    /// What is served, as it stands in a sentence: `25 %`, with the groups that were admitted beside it.
    pub(super) fn share(&self) -> String {
        let weight = self.weight();
        match &self.state.segment.groups {
            Some(Groups::Admitted(groups) | Groups::Allow(groups)) => format!("{weight} % and {}", named(groups)),
            Some(Groups::Deny(groups)) => format!("all but {}", named(groups)),
            None => format!("{weight} %"),
        }
    }

    /// What a fixed order serves: groups alone have no buckets beside them.
    pub(super) fn order(&self) -> String {
        match &self.state.segment.groups {
            Some(Groups::Admitted(groups)) => named(groups),
            _ => self.share(),
        }
    }

    /// Whether every ready replica serves the running step, or the weight when none runs.
    pub(super) fn programmed(&self) -> bool {
        let epoch = self.state.running.as_ref().map_or(self.state.segment.epoch, |r| r.epoch);
        self.facts.programmed.is_some_and(|served| served >= epoch)
    }

    /// Place and number of steps, from 1; none for a fixed order, and before the first step.
    pub(super) fn step(&self) -> Option<(usize, usize)> {
        let (running, (_, plan)) = (self.state.running.as_ref()?, self.spec?);
        let of = plan.stages();
        (of > 0).then(|| (running.index.saturating_add(1).min(of), of))
    }

    /// When the time of the running step is over; `None` while its clock does not run.
    pub(super) fn step_end(&self) -> Option<Timestamp> {
        let (running, (_, plan)) = (self.state.running.as_ref()?, self.spec?);
        running.clock?;
        match plan.stage(running.index)? {
            Step::Pause => None,
            step => self.in_windows(later(self.state.segment.ends_at, plan.hold_of(&step))),
        }
    }

    /// When a time that the line names is really over: outside windows it is held. `None` while it is frozen.
    fn in_windows(&self, end: Timestamp) -> Option<Timestamp> {
        let Some((_, plan)) = self.spec else { return Some(end) };
        let counted = if schedule::is_open(&plan.schedule, self.now) { self.now } else { self.state.segment.until.min(self.now) };
        let left = end.duration_since(counted);
        if left.is_positive() { schedule::end_of(&plan.schedule, self.now, left) } else { Some(end) }
    }

    /// When the schedule lets a release that waits go on; `None` when it does already.
    fn closed(&self) -> Option<Waits<'_>> {
        let (_, plan) = self.spec?;
        (!schedule::is_open(&plan.schedule, self.now)).then(|| Waits::Window(schedule::opens(&plan.schedule, self.now)))
    }

    /// When a release that is Scheduled starts; `None` while that is not known.
    pub(super) fn starts(&self) -> Option<Timestamp> {
        let (_, plan) = self.spec?;
        schedule::opens(&plan.schedule, plan.start().map_or(self.now, |start| start.max(self.now)))
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.spec.is_some_and(|(_, plan)| plan.schedule.frozen)
    }

    /// When all steps will be over if nothing holds them; `None` when that waits for someone, or there is no end.
    pub(super) fn expected_end(&self) -> Option<Timestamp> {
        let (running, (_, plan)) = (self.state.running.as_ref()?, self.spec?);
        let first = plan.stage(running.index).filter(|_| !self.is_held())?;
        if first == Step::Pause {
            return None;
        }
        let over = |at, span| schedule::end_of(&plan.schedule, at, span);
        let mut end = if running.clock.is_some() { self.step_end()? } else { self.in_windows(running.planned_end)? };
        for index in running.index.saturating_add(1)..plan.stages() {
            match plan.stage(index)? {
                Step::Pause => return None,
                step @ Step::Weight { ramp, .. } => end = over(over(end, ramp)?, plan.hold_of(&step))?,
                step @ Step::Groups { .. } => end = over(end, plan.hold_of(&step))?,
            }
        }
        Some(end)
    }

    /// Whether it is the preview of one that switches; `None` for other strategies.
    pub(super) fn previews(&self) -> Option<bool> {
        let (running, (_, plan)) = (self.state.running.as_ref()?, self.spec?);
        plan.is_blue_green().then(|| plan.is_preview(running.index))
    }

    /// Whether the release stays when it is completed: what is edited is the workload behind stable, and the canary's takes the next revision.
    pub(super) fn stays(&self) -> bool {
        self.facts.edits.iter().any(|edit| ["Deployment", "StatefulSet"].contains(&edit.kind.as_str()))
    }

    /// Whether the canary is some of the pods of the one Service.
    pub(super) fn is_by_pods(&self) -> bool {
        self.spec.is_some_and(|(release, _)| release.canary.pods.is_some())
    }

    pub(super) fn awaits_promotion(&self) -> bool {
        self.spec.is_some_and(|(_, plan)| plan.awaits_promotion(self.state.pauses))
    }

    pub(super) fn is_held(&self) -> bool {
        self.state.pauses.any() || self.spec.is_none_or(|(_, plan)| plan.paused)
    }

    pub(super) fn waits(&self) -> Waits<'_> {
        if let Some(finding) = self.facts.findings.iter().min_by_key(|f| f.condition) {
            return Waits::Cure(finding);
        }
        if let Some(window) = self.closed() {
            return window;
        }
        if let Some(rolling) = self.facts.rolling.as_deref().filter(|_| !self.reaches_anyone()) {
            return Waits::Rollout(rolling);
        }
        let (Some(running), Some((_, plan)), true) = (&self.state.running, self.spec, self.programmed()) else { return Waits::Replicas };
        if plan.is_preview(running.index) && !self.facts.canary_ready {
            return Waits::Endpoints;
        }
        let s = &self.state.segment;
        let analysis = plan.judged(s.k(self.now) == s.buckets);
        let verdict = running.judged.map(|j| j.verdict);
        let hold = match plan.stage(running.index) {
            Some(step @ (Step::Weight { .. } | Step::Groups { .. })) if running.clock.is_some() => plan.hold_of(&step),
            Some(_) => return Waits::Replicas,
            None if plan.order().is_none() || analysis.is_none() || !self.facts.canary_ready => return Waits::Endpoints,
            None => return self.waits_for_verdict(verdict),
        };
        let end = later(s.ends_at, hold);
        let stopped = match verdict {
            None | Some(Verdict::Pass) => false,
            Some(Verdict::NoData) => analysis.is_some_and(|a| a.no_traffic != NoTraffic::Continue),
            Some(Verdict::Fail | Verdict::Inconclusive) => analysis.is_some(),
        };
        let shown = |end| self.in_windows(end).unwrap_or(end);
        let rises = self.now < s.ends_at && s.from < s.to;
        match stopped {
            _ if !rises && self.now < end => Waits::Hold { until: shown(end) },
            false if rises => Waits::Ramp { to: share::weight(s.to, s.buckets), until: shown(s.ends_at), then: shown(end) },
            _ => self.waits_for_verdict(verdict),
        }
    }

    fn waits_for_verdict(&self, verdict: Option<Verdict>) -> Waits<'_> {
        let open = self.facts.checks.iter().find(|c| !c.dry_run && c.verdict != Verdict::Pass);
        Waits::Verdict(match (open, verdict) {
            (Some(check), _) => format!("Check {}: {}", check.name, check.message),
            (None, Some(Verdict::NoData)) => "There is not enough traffic to judge it.".to_owned(),
            (None, Some(Verdict::Fail | Verdict::Inconclusive)) => "The last verdict was not good.".to_owned(),
            (None, None | Some(Verdict::Pass)) => "It is judged within one interval.".to_owned(),
        })
    }
}

/// Groups as they stand in a sentence: by name, or their number where names would crowd out the rest.
fn named(groups: &[String]) -> String {
    const ROOM: usize = 30;
    let names = groups.join(", ");
    match groups.len() {
        n if names.chars().count() > ROOM => format!("{n} groups"),
        1 => format!("group {names}"),
        _ => format!("groups {names}"),
    }
}
