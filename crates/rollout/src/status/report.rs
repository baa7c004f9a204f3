//! The whole status, from state and facts.

use super::conditions::written;
use super::facts::{Facts, Measured};
use super::view::View;
use crate::Segment;
use crate::command::{AbortRecord, Outcome, Record};
use crate::history::Entry;
use crate::judge::{Bound, CheckResult, Tally};
use crate::plan::{Plan, to_millis};
use crate::share::{self, percent_of};
use crate::state::{Running, State, Verdict};
use jiff::Timestamp;
use serin_api::release::WHOLE;
use serin_api::status as api;
use serin_api::{CanaryReleaseStatus, Release};
use serin_split::Groups;

/// The status that tells `state` and `facts`. `spec` is absent while it is not accepted; `before` is the status that the state was
/// read from. Equal input gives an equal status, and [`super::read`] gives the state back.
pub fn report(
    before: &CanaryReleaseStatus,
    spec: Option<(&Release, &Plan)>,
    state: &State,
    facts: &Facts,
    now: Timestamp,
) -> CanaryReleaseStatus {
    let view = View { spec, state, facts, now: to_millis(now) };
    let begun = !state.segment.release.is_empty();
    CanaryReleaseStatus {
        observed_generation: Some(facts.generation),
        phase: Some(state.phase.word().to_owned()),
        message: Some(view.message()),
        release: begun.then(|| release(&view)),
        step: if spec.is_some() { step(&view) } else { before.step.clone() },
        traffic: begun.then(|| traffic(&state.segment)),
        weight: Some(view.weight()),
        measured: facts.measured.as_ref().map(|m| measured(&view, m)),
        resolved: resolved(&view, before),
        replicas: Some(api::ReplicasStatus { programmed: int(facts.replicas_programmed), ready: int(facts.replicas_ready) }),
        analysis: Some(analysis(&view, before)),
        last_command: state.last_command.as_ref().map(command),
        last_abort: state.last_abort.as_ref().map(abort),
        finalize: finalize(state, facts),
        history: state.history.iter().map(entry).collect(),
        stable: facts.stable.clone(),
        canary: facts.canary.clone(),
        conditions: written(view.conditions(), &before.conditions, facts.generation, now),
        progress: Some(progress(state, facts)),
    }
}

fn release(view: &View<'_>) -> api::ReleaseStatus {
    let state = view.state;
    api::ReleaseStatus {
        id: state.segment.release.clone(),
        revision: state.revision.clone(),
        attempt: i64::from(state.attempt),
        started_at: Some(time(state.started_at)),
        ended_at: state.ended_at.map(time),
        expected_end: view.expected_end().map(time),
    }
}

fn step(view: &View<'_>) -> Option<api::StepStatus> {
    let (place, of) = view.step()?;
    Some(api::StepStatus {
        index: int(place.saturating_sub(1)),
        of: int(of),
        label: format!("{place}/{of}"),
        started_at: view.state.running.as_ref().and_then(|r| r.clock).map(time),
        ends_at: view.step_end().filter(|_| !view.is_held()).map(time),
    })
}

fn traffic(s: &Segment) -> api::TrafficStatus {
    let (groups, denied_groups) = match &s.groups {
        None => Default::default(),
        Some(Groups::Admitted(groups) | Groups::Allow(groups)) => (groups.clone(), Vec::new()),
        Some(Groups::Deny(groups)) => (Vec::new(), groups.clone()),
    };
    api::TrafficStatus {
        buckets: int(s.buckets),
        from: int(s.from),
        to: int(s.to),
        starts_at: time(s.starts_at),
        ends_at: time(s.ends_at),
        until: time(s.until),
        floor: int(s.floor),
        groups,
        denied_groups,
        epoch: long(s.epoch),
        release: s.release.clone(),
    }
}

fn measured(view: &View<'_>, measured: &Measured) -> api::MeasuredStatus {
    let all = measured.canary_requests.saturating_add(measured.stable_requests);
    api::MeasuredStatus {
        weight: view.measured_weight(),
        canary_requests: long(measured.canary_requests),
        stable_requests: long(measured.stable_requests),
        identities: Some(long(measured.identities.seen)),
        largest_share: (all > 0).then(|| share::measured(measured.identities.largest.min(all), all)),
        since: Some(time(measured.since)),
        fallbacks: measured.fallbacks.iter().map(|(to, count)| (to.clone(), long(*count))).collect(),
    }
}

fn resolved(view: &View<'_>, before: &CanaryReleaseStatus) -> Option<api::ResolvedStatus> {
    let start = view.state.start.map(time);
    let Some((release, _)) = view.spec else {
        // What was resolved last is still served.
        let last = before.resolved.clone().unwrap_or_default();
        return Some(api::ResolvedStatus { start, ..last });
    };
    Some(api::ResolvedStatus {
        scope: view.facts.scope.clone(),
        salt: Some(release.split.salt.clone()),
        buckets: Some(int(release.split.buckets)),
        port: view.facts.port.clone(),
        start,
    })
}

/// The last verdict of the attempt, also when the running step has none yet.
fn analysis(view: &View<'_>, before: &CanaryReleaseStatus) -> api::AnalysisStatus {
    if view.spec.is_some_and(|(_, plan)| plan.analysis.is_none()) {
        return api::AnalysisStatus { verdict: "off".to_owned(), ..Default::default() };
    }
    let same_attempt = before.release.as_ref().is_some_and(|release| release.attempt == i64::from(view.state.attempt));
    let judged = match &view.state.running {
        Some(running) => running.judged,
        None => view.facts.judgement.filter(|_| same_attempt),
    };
    let last = before.analysis.clone().filter(|last| same_attempt && last.at.is_some()).unwrap_or_default();
    let (verdict, at) = match judged {
        Some(judgement) => (judgement.verdict.word().to_owned(), Some(time(judgement.at))),
        None if last.at.is_some() => (last.verdict, last.at),
        None => (Verdict::NoData.word().to_owned(), None),
    };
    let checks = if view.facts.checks.is_empty() { last.checks } else { view.facts.checks.iter().map(check).collect() };
    api::AnalysisStatus { verdict, at, checks }
}

fn check(result: &CheckResult) -> api::CheckStatus {
    let numbers = |bound: Bound, stable: Option<Tally>| api::CheckNumbers {
        verdict: bound.verdict.word().to_owned(),
        canary_requests: long(result.counts.canary.requests),
        canary_failures: long(result.counts.canary.failures),
        stable_requests: stable.map(|s| long(s.requests)),
        stable_failures: stable.map(|s| long(s.failures)),
        canary: Some(result.counts.canary.rate()),
        stable: stable.map(|s| s.rate()),
        lower: None,
        upper: None,
        limit: Some(percent_of(u64::from(bound.limit), u64::from(WHOLE))),
    };
    api::CheckStatus {
        name: result.name.clone(),
        verdict: result.verdict.word().to_owned(),
        dry_run: result.dry_run,
        message: Some(result.message.clone()),
        max: result.max.map(|bound| numbers(bound, None)),
        versus_stable: result.versus_stable.map(|bound| numbers(bound, Some(result.counts.stable))),
    }
}

fn command(record: &Record) -> api::CommandStatus {
    let (result, message) = match &record.outcome {
        Outcome::Done => ("Done", None),
        Outcome::Refused(why) => ("Refused", Some(why.clone())),
        Outcome::Ignored => ("Ignored", Some("It is older than this release.".to_owned())),
    };
    api::CommandStatus {
        command: record.command.clone(),
        token: record.token.clone(),
        tool: record.tool.clone(),
        at: time(record.at),
        result: result.to_owned(),
        message,
    }
}

fn abort(record: &AbortRecord) -> api::AbortStatus {
    let result = if record.refused.is_some() { "Refused" } else { "Done" };
    let (token, tool) = (record.token.clone(), record.tool.clone());
    api::AbortStatus { token, tool, at: time(record.at), result: result.to_owned(), message: record.refused.clone() }
}

fn finalize(state: &State, facts: &Facts) -> Option<api::FinalizeStatus> {
    let route = |route: &crate::state::Route| api::FinalizeRoute {
        kind: route.kind.clone(),
        namespace: route.namespace.clone(),
        name: route.name.clone(),
        host: route.host.clone(),
        path: route.path.clone(),
        done: facts.done.contains(route),
    };
    let all = api::FinalizeStatus { routes: state.routes.iter().map(route).collect(), edits: facts.edits.clone() };
    (all != api::FinalizeStatus::default()).then_some(all)
}

fn entry(entry: &Entry) -> api::HistoryEntry {
    api::HistoryEntry {
        id: entry.id.clone(),
        revision: entry.revision.clone(),
        attempt: i64::from(entry.attempt),
        started_at: time(entry.started_at),
        ended_at: time(entry.ended_at),
        phase: entry.phase.word().to_owned(),
        weight: Some(entry.weight.clone()),
        message: entry.message.clone(),
    }
}

fn progress(state: &State, facts: &Facts) -> api::ProgressStatus {
    let pauses = api::PausesStatus { command: state.pauses.command, analysis: state.pauses.analysis, step: state.pauses.step };
    api::ProgressStatus {
        uid: Some(facts.uid.clone()),
        strategy: state.strategy.clone(),
        observed_revision: state.observed.clone(),
        position: int(state.position),
        running: state.running.as_ref().map(running),
        pauses: state.pauses.any().then_some(pauses),
        fails_in_row: int(state.fails_in_row),
        fails: int(state.fails),
    }
}

fn running(running: &Running) -> api::RunningStep {
    api::RunningStep {
        index: int(running.index),
        epoch: long(running.epoch),
        entered_at: time(running.entered_at),
        clock: running.clock.map(time),
        planned_end: time(running.planned_end),
        seen_at: time(running.seen_at),
        stopped_at: running.stopped_at.map(time),
        judged: running.judged.map(|j| api::Judgement { verdict: j.verdict.word().to_owned(), at: time(j.at) }),
        due: running.due.map(time),
    }
}

/// RFC 3339 UTC with milliseconds.
fn time(t: Timestamp) -> String {
    format!("{t:.3}")
}

fn int(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}

fn long(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
