//! The conditions: all always present, each a sentence that says what is so and what to do.

use super::view::{View, Waits, moment};
use crate::phase::Phase;
use crate::share;
use crate::state::Verdict;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as Written, Time};
use serin_api::release::SplitBy;
use serin_api::{Condition, Finding};

/// How long replicas may take to serve a new step before Ready says so: a healthy rollout is Ready throughout.
const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// S7: fewer identities than this make no share of users.
const FEW_IDENTITIES: u64 = 20;
/// S7: so many requests must have been decided before that is said.
const ENOUGH_REQUESTS: u64 = 200;

/// One condition, before its times.
pub(super) struct Said {
    kind: &'static str,
    is: Option<bool>,
    reason: &'static str,
    message: String,
}

/// Takes over what was written before: the transition time moves only when the condition does.
pub(super) fn written(said: Vec<Said>, before: &[Written], generation: i64, now: Timestamp) -> Vec<Written> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let write = |said: Said| {
        let status = said.is.map_or("Unknown", |is| if is { "True" } else { "False" });
        let same = before.iter().find(|old| old.type_ == said.kind && old.status == status);
        Written {
            type_: said.kind.to_owned(),
            status: status.to_owned(),
            reason: said.reason.to_owned(),
            message: said.message,
            observed_generation: Some(generation),
            last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    said.into_iter().map(write).collect()
}

fn yes(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Said {
    Said { kind, is: Some(true), reason, message: message.into() }
}

fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Said {
    Said { kind, is: Some(false), reason, message: message.into() }
}

fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Said {
    Said { kind, is: None, reason, message: message.into() }
}

impl View<'_> {
    pub(super) fn conditions(&self) -> Vec<Said> {
        vec![
            self.accepted(),
            self.resolved_refs(),
            self.programmed_condition(),
            self.ready(),
            self.progressing(),
            self.promoted_condition(),
            self.finished(),
            self.ready_to_finalize(),
            self.degraded(),
            self.skewed(),
            self.stalled(),
        ]
    }

    /// The findings of one condition, in one text.
    fn found(&self, condition: Condition) -> Option<(&'static str, String)> {
        let of: Vec<&Finding> = self.facts.findings.iter().filter(|f| f.condition == condition).collect();
        let all: Vec<String> = of.iter().map(ToString::to_string).collect();
        of.first().map(|first| (first.reason, all.join(" ")))
    }

    fn accepted(&self) -> Said {
        match self.found(Condition::Accepted) {
            Some((reason, message)) => no("Accepted", reason, message),
            None => yes("Accepted", "Accepted", "The spec is valid."),
        }
    }

    fn resolved_refs(&self) -> Said {
        match self.found(Condition::ResolvedRefs) {
            Some((reason, message)) => no("ResolvedRefs", reason, message),
            None if self.spec.is_none() => unknown("ResolvedRefs", "NotAccepted", "It is looked at when the spec is accepted."),
            None => yes("ResolvedRefs", "ResolvedRefs", "Everything that the spec names exists."),
        }
    }

    /// In Completed and Disabled the release decides nothing, so no route is missed.
    fn decides_nothing(&self) -> bool {
        matches!(self.state.phase, Phase::Completed | Phase::Disabled)
    }

    fn programmed_condition(&self) -> Said {
        let (programmed, ready) = (self.facts.replicas_programmed, self.facts.replicas_ready);
        let mut note = String::new();
        if self.facts.leader_only {
            note.push_str(" Programmed and measured speak for the leader.");
        }
        if self.decides_nothing() {
            return yes("Programmed", self.state.phase.word(), "The release decides nothing.");
        }
        match self.found(Condition::Programmed) {
            Some((reason, message)) => no("Programmed", reason, message),
            None if self.state.segment.release.is_empty() => no("Programmed", "Pending", "The release has not begun."),
            None if self.programmed() => yes("Programmed", "Programmed", format!("All {ready} ready replicas serve it.{note}")),
            None => {
                no("Programmed", "Propagating", format!("{programmed} of {ready} ready replicas serve it. It waits for the others.{note}"))
            }
        }
    }

    /// Accepted, resolved, programmed, and serving what status says.
    fn ready(&self) -> Said {
        // What was never served has nothing to be Ready with.
        let since = self.state.running.as_ref().map(|r| r.entered_at).or((self.weight() != "0").then_some(self.state.segment.starts_at));
        let propagates = since.is_some_and(|since| self.now.duration_since(since) <= GRACE);
        if self.decides_nothing() {
            return yes("Ready", self.state.phase.word(), "The release decides nothing: routes do what they do without it.");
        }
        if self.found(Condition::Accepted).is_some() {
            no("Ready", "NotAccepted", "The spec is not accepted. See condition Accepted.")
        } else if self.found(Condition::ResolvedRefs).is_some() {
            no("Ready", "NotResolved", "The spec is not resolved. See condition ResolvedRefs.")
        } else if matches!(self.state.phase, Phase::Pending) {
            no("Ready", "Pending", "The release has not begun. See condition Programmed.")
        } else if self.found(Condition::Programmed).is_some() || !(self.programmed() || propagates) {
            no("Ready", "NotProgrammed", "Not every replica serves what status says. See condition Programmed.")
        } else if self.state.phase.serves() && !self.facts.canary_ready {
            no("Ready", "NoEndpoints", "The canary has no ready endpoint, so whenUnavailable decides. Look at its pods.")
        } else {
            yes("Ready", "Serving", "Replicas serve what status says.")
        }
    }

    fn progressing(&self) -> Said {
        let kind = "Progressing";
        let pauses = self.state.pauses;
        match self.state.phase {
            Phase::Progressing => match self.waits() {
                Waits::Cure(finding) => yes(kind, "Held", format!("Nothing rises: {finding}")),
                Waits::Replicas => yes(kind, "WaitingForReplicas", "It waits for every ready replica to serve it."),
                Waits::Ramp { to, until, .. } => yes(kind, "Ramping", format!("It rises to {to} % until {}.", moment(until))),
                Waits::Hold { until } => yes(kind, "Holding", format!("It keeps its weight until {}.", moment(until))),
                Waits::Verdict(sentence) => {
                    yes(kind, "WaitingForVerdict", format!("It waits for a verdict that lets it go on. {sentence}"))
                }
                Waits::Endpoints => yes(kind, "WaitingForEndpoints", "It waits for a ready endpoint of the canary. Look at its pods."),
            },
            Phase::Paused if pauses.analysis => {
                no(kind, "PausedByAnalysis", format!("{} Use resume to go on, or abort.", self.pause_cause()))
            }
            Phase::Paused if pauses.command => no(kind, "PausedByCommand", "It was paused by command. Use resume to go on."),
            Phase::Paused if pauses.step => no(kind, "PausedByStep", "A step pauses it. Use resume to go on."),
            Phase::Paused => no(kind, "PausedBySpec", "spec.paused keeps the weight. Set it to false to go on."),
            Phase::Scheduled => no(kind, "Scheduled", "It waits for its start."),
            Phase::Aborted => no(kind, "Aborted", self.state.cause().unwrap_or("It was aborted.").to_owned()),
            Phase::Pending | Phase::Steady | Phase::Promoted | Phase::Completed | Phase::Disabled => {
                no(kind, self.state.phase.word(), format!("It is {}: nothing moves.", self.state.phase))
            }
        }
    }

    fn promoted_condition(&self) -> Said {
        match self.state.phase {
            Phase::Promoted | Phase::Completed => yes("Promoted", self.state.phase.word(), "Everyone has the canary."),
            phase => no("Promoted", phase.word(), format!("It is {phase}.")),
        }
    }

    fn finished(&self) -> Said {
        let phase = self.state.phase;
        let say = if phase.is_over() { yes } else { no };
        say("Finished", phase.word(), format!("It is {phase}."))
    }

    fn ready_to_finalize(&self) -> Said {
        let kind = "ReadyToFinalize";
        match self.state.phase {
            Phase::Promoted if !self.facts.any_route_left => {
                no(kind, "NoRoute", "No route is left that could be changed. Delete this release.")
            }
            Phase::Promoted if !self.facts.waits_for.is_empty() => {
                no(kind, "OtherRoutes", format!("The Service is shared. It waits for {}.", self.facts.waits_for.join(", ")))
            }
            Phase::Promoted => {
                let edits: Vec<_> = self.facts.edits.iter().map(|e| format!("{} {}/{}: {}", e.kind, e.namespace, e.name, e.text)).collect();
                yes(kind, "Promoted", format!("Make these edits, then delete this release: {}", edits.join("; ")))
            }
            phase => no(kind, phase.word(), format!("It is {phase}.")),
        }
    }

    fn degraded(&self) -> Said {
        if let Some(id) = self.state.not_finalized() {
            let message = format!("Release {id} was promoted, and replaced before its routes were changed: all is on the old stable side.");
            return yes("Degraded", "NotFinalized", message);
        }
        match &self.facts.degraded {
            Some((reason, message)) => yes("Degraded", reason, message.clone()),
            None => no("Degraded", "AsExpected", "Nothing is wrong."),
        }
    }

    /// S7: shares are of identities, so a few of them make no share.
    fn skewed(&self) -> Said {
        let decided = &self.facts.decided;
        let by_request = self.spec.is_none_or(|(release, _)| release.split.by == SplitBy::Request);
        if by_request || decided.requests < ENOUGH_REQUESTS || decided.identities >= FEW_IDENTITIES {
            return no("Skewed", "AsExpected", "Shares of users and of requests are alike, or there are too few requests to tell.");
        }
        let from = match (decided.identities, &decided.busiest) {
            (1, Some(one)) => format!("1 identity ({one})"),
            (1, None) => "1 identity".to_owned(),
            (n, _) => format!("{n} identities"),
        };
        let weight = self.weight();
        let measured = self.measured_weight();
        let message = format!(
            "All {} requests come from {from}, so {weight} % of users is {measured} % of requests. Set split.by to Request, or set \
             trusted-proxies, or split by a header or cookie.",
            decided.requests
        );
        yes("Skewed", "FewIdentities", message)
    }

    fn stalled(&self) -> Said {
        match (self.found(Condition::Accepted), self.state.phase) {
            (_, Phase::Aborted) => {
                let cause = self.state.cause().unwrap_or("It was aborted.");
                yes("Stalled", "Aborted", format!("{cause} All is on stable. Fix the canary, then use retry or set a new revision."))
            }
            (Some((reason, message)), _) => yes("Stalled", reason, message),
            (None, phase) => no("Stalled", phase.word(), "Nothing needs a person to go on but what the phase says."),
        }
    }

    /// Why the analysis paused it, as far as its last verdict still says.
    pub(super) fn pause_cause(&self) -> String {
        match self.state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict) {
            Some(Verdict::Fail) => crate::judge::failure(&self.facts.checks).unwrap_or_else(|| "The analysis failed.".to_owned()),
            Some(Verdict::Inconclusive) => "The step is over, and its numbers do not tell whether the canary is good.".to_owned(),
            _ => "The analysis or the progressDeadline paused it.".to_owned(),
        }
    }

    /// The share of requests that buckets sent to the canary, `-` below 20.
    pub(super) fn measured_weight(&self) -> String {
        let enough = self.facts.measured.as_ref().filter(|m| m.canary_requests.saturating_add(m.stable_requests) >= 20);
        enough.map_or("-".to_owned(), |m| share::measured(m.canary_requests, m.canary_requests.saturating_add(m.stable_requests)))
    }
}
