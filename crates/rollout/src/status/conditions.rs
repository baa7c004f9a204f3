//! The conditions: all always present, each a sentence that says what is so and what to do.

use super::facts::Decided;
use super::view::{View, Waits};
use crate::phase::Phase;
use crate::schedule::moment;
use crate::share;
use crate::state::Verdict;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as Written, Time};
use serin_api::reason::{self, condition};
use serin_api::release::SplitBy;
use serin_api::status::FinalizeEdit;
use serin_api::{Condition, Finding};
use serin_split::Kind;

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
            message: bounded(said.message),
            observed_generation: Some(generation),
            last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    said.into_iter().map(write).collect()
}

/// The API server takes 32,768 characters; nobody reads as many, and the edits stand in `status.finalize` too.
fn bounded(message: String) -> String {
    const MOST: usize = 4_096;
    match message.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message,
    }
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
    /// All of them, in the order of [`condition::ALL`].
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

    /// The findings of one condition: the first one's reason, and all in one text.
    fn found(&self, condition: Condition) -> Option<(&'static str, String)> {
        let of: Vec<&Finding> = self.facts.findings.iter().filter(|f| f.condition == condition).collect();
        let all: Vec<String> = of.iter().map(ToString::to_string).collect();
        of.first().map(|first| (first.reason, all.join(" ")))
    }

    fn accepted(&self) -> Said {
        match self.found(Condition::Accepted) {
            Some((reason, message)) => no(condition::ACCEPTED, reason, message),
            None => yes(condition::ACCEPTED, reason::ACCEPTED, "The spec is valid."),
        }
    }

    fn resolved_refs(&self) -> Said {
        match self.found(Condition::ResolvedRefs) {
            Some((reason, message)) => no(condition::RESOLVED_REFS, reason, message),
            None if self.spec.is_none() => {
                unknown(condition::RESOLVED_REFS, reason::NOT_ACCEPTED, "It is looked at when the spec is accepted.")
            }
            None => yes(condition::RESOLVED_REFS, reason::RESOLVED_REFS, "Everything that the spec names exists."),
        }
    }

    /// In Completed and Disabled the release decides nothing, so no route and no replica is missed.
    fn decides_nothing(&self) -> bool {
        matches!(self.state.phase, Phase::Completed | Phase::Disabled)
    }

    fn programmed_condition(&self) -> Said {
        let (kind, programmed, ready) = (condition::PROGRAMMED, self.facts.replicas_programmed, self.facts.replicas_ready);
        let note = if self.facts.leader_only { " Programmed and measured speak for the leader." } else { "" };
        if self.decides_nothing() {
            return yes(kind, reason::PROGRAMMED, "The release decides nothing.");
        }
        match self.found(Condition::Programmed) {
            Some((reason, message)) => no(kind, reason, message),
            None if self.state.segment.release.is_empty() => no(kind, reason::PENDING, "The release has not begun."),
            None if self.programmed() => yes(kind, reason::PROGRAMMED, format!("{programmed} of {ready} ready replicas serve it.{note}")),
            None => no(
                kind,
                reason::PENDING,
                format!("{programmed} of {ready} ready replicas serve it, and nothing rises before the others do.{note}"),
            ),
        }
    }

    /// Accepted, resolved, programmed, and serving what status says.
    fn ready(&self) -> Said {
        let kind = condition::READY;
        // What was never served has nothing to be Ready with.
        let since = self.state.running.as_ref().map(|r| r.entered_at).or(self.reaches_anyone().then_some(self.state.segment.starts_at));
        let propagates = since.is_some_and(|since| self.now.duration_since(since) <= GRACE);
        if self.decides_nothing() {
            return yes(kind, reason::READY, "The release decides nothing: routes do what they do without it.");
        }
        if self.found(Condition::Accepted).is_some() {
            no(kind, reason::NOT_READY, "The spec is not accepted. See condition Accepted.")
        } else if self.state.phase == Phase::Aborted {
            no(kind, reason::ABORTED, "The release was aborted, and all is on stable. See condition Stalled.")
        } else if self.found(Condition::ResolvedRefs).is_some() {
            no(kind, reason::NOT_READY, "The spec is not resolved. See condition ResolvedRefs.")
        } else if self.found(Condition::Programmed).is_some() || self.state.phase == Phase::Pending || !(self.programmed() || propagates) {
            no(kind, reason::NOT_READY, "Not every replica serves what status says. See condition Programmed.")
        } else if self.canary_is_missed() {
            no(kind, reason::NOT_READY, "The canary has no ready endpoint. See condition Degraded.")
        } else {
            yes(kind, reason::READY, "Replicas serve what status says.")
        }
    }

    fn canary_is_missed(&self) -> bool {
        self.state.phase.serves() && !self.facts.canary_ready
    }

    /// Its reason says what it waits for.
    fn progressing(&self) -> Said {
        let kind = condition::PROGRESSING;
        let phase = self.state.phase;
        match phase {
            Phase::Progressing => match self.waits() {
                Waits::Cure(finding) => yes(kind, finding.reason, format!("Nothing rises: {finding}")),
                Waits::Rollout(sentence) => yes(kind, reason::WAITING_FOR_ROLLOUT, format!("{sentence} The first step starts when it is.")),
                Waits::Replicas => yes(kind, reason::PENDING, "It waits for every ready replica to serve it."),
                Waits::Ramp { to, until, .. } => yes(kind, reason::STEP, format!("It rises to {to} % until {}.", moment(until))),
                Waits::Hold { until } => yes(kind, reason::STEP, format!("It keeps its weight until {}.", moment(until))),
                Waits::Verdict(sentence) => {
                    let no_data = self.last_verdict() == Some(Verdict::NoData);
                    let reason = if no_data { reason::WAITING_FOR_TRAFFIC } else { reason::ANALYSIS };
                    yes(kind, reason, format!("It waits for a verdict that lets it go on. {sentence}"))
                }
                Waits::Window(_) if self.is_frozen() => {
                    yes(kind, reason::WINDOW, "spec.schedule.frozen is true, so nothing rises. Set it to false to go on.")
                }
                Waits::Window(Some(opens)) => {
                    yes(kind, reason::WINDOW, format!("It is outside its windows, where nothing rises. It goes on at {}.", moment(opens)))
                }
                Waits::Window(None) => {
                    yes(kind, reason::WINDOW, "It is outside its windows, and none opens soon. Change spec.schedule.windows.")
                }
                Waits::Endpoints => yes(kind, reason::CANARY_UNAVAILABLE, "It waits for a ready endpoint of the canary. Look at its pods."),
            },
            Phase::Paused => {
                let pauses = self.state.pauses;
                let asked = pauses.analysis || pauses.command || !self.awaits_promotion();
                yes(kind, if asked { reason::PAUSED } else { reason::AWAITING_PROMOTION }, self.pause_sentence())
            }
            Phase::Scheduled => yes(kind, reason::WINDOW, "It waits for its start."),
            Phase::Pending => match self.waits() {
                Waits::Cure(finding) => no(kind, finding.reason, format!("It has not begun: {finding}")),
                _ => no(kind, reason::PENDING, "It has not begun."),
            },
            Phase::Aborted => no(kind, reason::ABORTED, self.abort_cause()),
            Phase::Steady | Phase::Promoted | Phase::Completed | Phase::Disabled => {
                no(kind, reason::NOTHING_TO_DO, format!("It is {phase}: nothing is to be moved."))
            }
        }
    }

    fn pause_sentence(&self) -> String {
        let pauses = self.state.pauses;
        if pauses.analysis {
            format!("{} Use resume to go on, or abort.", self.pause_cause())
        } else if pauses.command {
            "It was paused by command. Use resume to go on.".to_owned()
        } else if self.awaits_promotion() {
            "The preview is ready. Use promote to switch.".to_owned()
        } else if pauses.step {
            "A step pauses it. Use resume to go on.".to_owned()
        } else {
            "spec.paused keeps the weight. Set it to false to go on.".to_owned()
        }
    }

    fn promoted_condition(&self) -> Said {
        match self.state.phase {
            Phase::Promoted | Phase::Completed => yes(condition::PROMOTED, reason::PROMOTED, "Everyone has the canary."),
            phase => no(condition::PROMOTED, reason::NOT_PROMOTED, format!("It is {phase}.")),
        }
    }

    fn finished(&self) -> Said {
        let kind = condition::FINISHED;
        match self.state.phase {
            Phase::Promoted => yes(kind, reason::PROMOTED, "Everyone has the canary."),
            Phase::Completed => yes(kind, reason::COMPLETED, "The routes do by themselves what the canary does."),
            Phase::Aborted => yes(kind, reason::ABORTED, self.abort_cause()),
            phase => no(kind, reason::UNDER_WAY, format!("It is {phase}.")),
        }
    }

    fn ready_to_finalize(&self) -> Said {
        let kind = condition::READY_TO_FINALIZE;
        match self.state.phase {
            Phase::Promoted if !self.facts.any_route_left => {
                no(kind, reason::NO_ROUTE, "No route is left that could be changed. Delete this release.")
            }
            Phase::Promoted if !self.facts.waits_for.is_empty() => {
                no(kind, reason::OTHER_ROUTES, format!("The Service is shared. It waits for {}.", self.facts.waits_for.join(", ")))
            }
            Phase::Promoted => {
                let edit = |e: &FinalizeEdit| format!("{} {}/{}: {}", e.kind, e.namespace, e.name, e.text);
                let edits: Vec<_> = self.facts.edits.iter().map(edit).collect();
                let then = if self.stays() { "then it is Completed, and takes the next revision" } else { "then delete this release" };
                yes(kind, reason::PROMOTED, format!("Make these edits, {then}: {}", edits.join("; ")))
            }
            // S11: as long as the two sides are kept apart.
            phase if (phase.serves() || phase == Phase::Aborted) && self.is_by_pods() => {
                let message = format!("It is {phase}. Deleting it now spreads its requests over all pods of the Service.");
                no(kind, reason::NOT_PROMOTED, message)
            }
            phase => no(kind, reason::NOT_PROMOTED, format!("It is {phase}.")),
        }
    }

    fn degraded(&self) -> Said {
        let kind = condition::DEGRADED;
        if self.state.phase == Phase::Aborted {
            return yes(kind, reason::ABORTED, format!("All is on stable. {}", self.abort_cause()));
        }
        if let Some(id) = self.state.not_finalized() {
            let message =
                format!("Release {id} was promoted, and a new one began before its edit was done: routes went back to the old side.");
            return yes(kind, reason::NOT_FINALIZED, message);
        }
        if self.canary_is_missed() {
            return yes(
                kind,
                reason::CANARY_UNAVAILABLE,
                "The canary has no ready endpoint, so whenUnavailable decides. Look at its pods.",
            );
        }
        if let Some((reason, message)) = &self.facts.degraded {
            return yes(kind, reason, message.clone());
        }
        match self.facts.checks.iter().find(|c| c.dry_run && c.verdict == Verdict::Fail && self.state.phase.serves()) {
            Some(check) => yes(kind, reason::CHECK_FAILED, format!("Check {}, a dry run, fails: {}", check.name, check.message)),
            None => no(kind, reason::AS_ASKED, "It is served as asked."),
        }
    }

    /// S7: shares are of identities, so a few of them make no share.
    fn skewed(&self) -> Said {
        let (kind, decided) = (condition::SKEWED, &self.facts.decided);
        if self.split_by().is_none_or(|by| *by == SplitBy::Request) {
            return no(kind, reason::EVEN, "Each request counts for itself.");
        }
        if decided.requests < ENOUGH_REQUESTS || decided.identities >= FEW_IDENTITIES {
            return no(kind, reason::EVEN, "At least 20 identities made the requests, or fewer than 200 requests came.");
        }
        let measured = match self.measured_weight() {
            weight if weight == "-" => "any share".to_owned(),
            weight => format!("{weight} %"),
        };
        let cure = match decided.kind {
            None | Some(Kind::Ip) => "Set split.by to Request, set trusted-proxies, or split by a header or cookie.",
            Some(_) => "Set split.by to Request, or split by something in which more users differ.",
        };
        let message = format!("All requests come from {}, so {} % of users is {measured} of requests. {cure}", self.few(), self.weight());
        yes(kind, reason::FEW_IDENTITIES, message)
    }

    /// The few identities in words.
    fn few(&self) -> String {
        let Decided { identities: n, kind, busiest, .. } = &self.facts.decided;
        let (one, many) = match kind {
            Some(Kind::Ip) => ("address", "addresses"),
            Some(Kind::Consumer) => ("consumer", "consumers"),
            Some(Kind::Header) => ("value of the header", "values of the header"),
            Some(Kind::Cookie) => ("value of the cookie", "values of the cookie"),
            Some(Kind::Query) => ("value of the parameter", "values of the parameter"),
            Some(Kind::Claim) => ("value of the claim", "values of the claim"),
            None => ("identity", "identities"),
        };
        match (n, busiest) {
            (1, Some(name)) => format!("1 {one} ({name})"),
            (1, None) => format!("1 {one}"),
            (n, Some(name)) => format!("{n} {many}, most of all {name}"),
            (n, None) => format!("{n} {many}"),
        }
    }

    fn split_by(&self) -> Option<&SplitBy> {
        self.spec.map(|(release, _)| &release.split.by)
    }

    /// kstatus reads it: nothing goes on until someone acts.
    fn stalled(&self) -> Said {
        let kind = condition::STALLED;
        match (self.found(Condition::Accepted), self.state.phase) {
            (_, Phase::Aborted) => {
                let cure = "All is on stable. Fix the canary, then use retry or set a new revision.";
                yes(kind, reason::ABORTED, format!("{} {cure}", self.abort_cause()))
            }
            (Some((_, message)), _) => yes(kind, reason::NOT_ACCEPTED, message),
            (None, _) => no(kind, reason::NOT_STALLED, "It goes on by itself, or as its phase says."),
        }
    }

    fn last_verdict(&self) -> Option<Verdict> {
        self.state.running.as_ref().and_then(|r| r.judged).map(|j| j.verdict)
    }

    /// Why it was aborted.
    pub(super) fn abort_cause(&self) -> String {
        self.state.cause().unwrap_or("It was aborted.").to_owned()
    }

    /// Why the analysis paused it, as far as its last verdict still says.
    pub(super) fn pause_cause(&self) -> String {
        match self.last_verdict() {
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
