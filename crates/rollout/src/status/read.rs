//! A state out of the status in which it lives.

use crate::Segment;
use crate::command::{AbortRecord, Outcome, Record};
use crate::history::Entry;
use crate::phase::{Pauses, Phase};
use crate::state::{Judgement, Route, Running, State, Verdict};
use jiff::Timestamp;
use serin_api::CanaryReleaseStatus;
use serin_api::status::{AbortStatus, CommandStatus, FinalizeRoute, HistoryEntry, RunningStep, TrafficStatus};
use serin_split::Groups;

/// The state that `status` holds for the object `uid`. A status that is empty, damaged, or of another object is no memory: the
/// release begins anew at weight 0. One that lacks only `progress` goes on from the weight that it serves.
pub fn read(status: &CanaryReleaseStatus, uid: &str) -> State {
    let progress = status.progress.clone().unwrap_or_default();
    if progress.uid.as_deref().is_some_and(|written_for| written_for != uid) {
        return State::empty();
    }
    let records = State {
        last_command: status.last_command.as_ref().and_then(command),
        last_abort: status.last_abort.as_ref().and_then(abort),
        history: status.history.iter().filter_map(entry).collect(),
        ..State::empty()
    };
    let phase = status.phase.as_deref().and_then(Phase::parse);
    let segment = status.traffic.as_ref().and_then(segment);
    let (Some(phase), Some(segment), Some(release)) = (phase, segment, &status.release) else {
        // An object that was disabled or refused before it ever began has no release, but may have records.
        let phase = phase.filter(|phase| *phase == Phase::Disabled).unwrap_or(Phase::Pending);
        return State { phase, ..records };
    };
    let pauses = progress.pauses.unwrap_or_default();
    State {
        phase,
        segment,
        revision: release.revision.clone(),
        observed: progress.observed_revision,
        attempt: u32::try_from(release.attempt).unwrap_or(0),
        started_at: release.started_at.as_deref().and_then(time).unwrap_or(Timestamp::UNIX_EPOCH),
        ended_at: release.ended_at.as_deref().and_then(time),
        strategy: progress.strategy,
        position: usize::try_from(progress.position).unwrap_or(0),
        running: progress.running.as_ref().and_then(running),
        start: status.resolved.as_ref().and_then(|resolved| resolved.start.as_deref()).and_then(time),
        pauses: Pauses { command: pauses.command, analysis: pauses.analysis, step: pauses.step },
        fails_in_row: u32::try_from(progress.fails_in_row).unwrap_or(0),
        fails: u32::try_from(progress.fails).unwrap_or(0),
        routes: status.finalize.iter().flat_map(|finalize| &finalize.routes).map(route).collect(),
        ..records
    }
}

/// The line that replicas serve, of a status; `None` when it is absent or damaged.
pub fn segment(traffic: &TrafficStatus) -> Option<Segment> {
    let buckets = u32::try_from(traffic.buckets).ok().filter(|buckets| *buckets > 0 && !traffic.release.is_empty())?;
    let part = |k: i32| u32::try_from(k).ok().filter(|k| *k <= buckets);
    let to = part(traffic.to)?;
    Some(Segment {
        buckets,
        from: part(traffic.from)?,
        to,
        starts_at: time(&traffic.starts_at)?,
        ends_at: time(&traffic.ends_at)?,
        until: time(&traffic.until)?,
        floor: part(traffic.floor).filter(|floor| *floor <= to)?,
        groups: groups(traffic),
        epoch: u64::try_from(traffic.epoch).ok()?,
        release: traffic.release.clone(),
    })
}

/// Denied groups stand alone; without them the admitted ones are beside the buckets.
fn groups(traffic: &TrafficStatus) -> Option<Groups> {
    match (&traffic.denied_groups[..], &traffic.groups[..]) {
        ([], []) => None,
        ([], admitted) => Some(Groups::Admitted(admitted.to_vec())),
        (denied, _) => Some(Groups::Deny(denied.to_vec())),
    }
}

fn running(step: &RunningStep) -> Option<Running> {
    let judged = step.judged.as_ref().and_then(|j| Some(Judgement { verdict: Verdict::parse(&j.verdict)?, at: time(&j.at)? }));
    Some(Running {
        index: usize::try_from(step.index).ok()?,
        epoch: u64::try_from(step.epoch).ok()?,
        entered_at: time(&step.entered_at)?,
        clock: step.clock.as_deref().and_then(time),
        planned_end: time(&step.planned_end)?,
        seen_at: time(&step.seen_at)?,
        stopped_at: step.stopped_at.as_deref().and_then(time),
        judged,
        due: step.due.as_deref().and_then(time),
    })
}

fn command(status: &CommandStatus) -> Option<Record> {
    let outcome = match status.result.as_str() {
        "Done" => Outcome::Done,
        "Ignored" => Outcome::Ignored,
        _ => Outcome::Refused(status.message.clone().unwrap_or_default()),
    };
    let (token, tool) = (status.token.clone(), status.tool.clone());
    Some(Record { command: status.command.clone(), token, tool, at: time(&status.at)?, outcome })
}

fn abort(status: &AbortStatus) -> Option<AbortRecord> {
    let refused = (status.result != "Done").then(|| status.message.clone().unwrap_or_default());
    Some(AbortRecord { token: status.token.clone(), tool: status.tool.clone(), at: time(&status.at)?, refused })
}

fn entry(status: &HistoryEntry) -> Option<Entry> {
    Some(Entry {
        id: status.id.clone(),
        revision: status.revision.clone(),
        attempt: u32::try_from(status.attempt).ok()?,
        started_at: time(&status.started_at)?,
        ended_at: time(&status.ended_at)?,
        phase: Phase::parse(&status.phase)?,
        weight: status.weight.clone().unwrap_or_default(),
        message: status.message.clone(),
    })
}

fn route(status: &FinalizeRoute) -> Route {
    let FinalizeRoute { kind, namespace, name, host, path, done: _ } = status.clone();
    Route { kind, namespace, name, host, path }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
