//! When the weight may rise: outside its windows, and while it is frozen, nothing of a release does.

use crate::later;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serin_api::release::{Schedule, Window};
use std::ops::Range;

/// How far ahead an opening is looked for: each window begins at least once a week, but where a clock skips it.
const DAYS_AHEAD: usize = 15;
/// How many openings are looked at to tell when something will be over.
const OPENINGS_AHEAD: usize = 64;

/// Until when the weight may rise from `now` on, at most until `limit`; `None`: not now.
pub(crate) fn open_until(schedule: &Schedule, now: Timestamp, limit: Timestamp) -> Option<Timestamp> {
    if schedule.frozen {
        return None;
    }
    if schedule.windows.is_empty() {
        return Some(limit);
    }
    let mut until = now;
    while until < limit {
        // Where one window ends another may be open.
        match schedule.windows.iter().filter_map(|window| closes(window, until)).max() {
            Some(end) => until = end,
            None => break,
        }
    }
    (until > now).then_some(until.min(limit))
}

/// Whether the weight may rise at `now`.
pub(crate) fn is_open(schedule: &Schedule, now: Timestamp) -> bool {
    open_until(schedule, now, later(now, SignedDuration::from_millis(1))).is_some()
}

/// The first moment from `at` on at which the weight may rise; `None`: no such moment is known.
pub(crate) fn opens(schedule: &Schedule, at: Timestamp) -> Option<Timestamp> {
    if schedule.frozen {
        return None;
    }
    if is_open(schedule, at) {
        return Some(at);
    }
    schedule.windows.iter().filter_map(|window| begins(window, at)).min()
}

/// When `span` of time in which the weight may rise is over, counted from `from`; `None`: it cannot be told.
pub(crate) fn end_of(schedule: &Schedule, from: Timestamp, span: SignedDuration) -> Option<Timestamp> {
    let (mut at, mut left) = (from, span);
    for _ in 0..OPENINGS_AHEAD {
        if !left.is_positive() {
            return Some(at);
        }
        at = opens(schedule, at)?;
        let until = open_until(schedule, at, later(at, left))?;
        left -= until.duration_since(at);
        at = until;
    }
    None
}

/// When a window that is open at `at` closes.
fn closes(window: &Window, at: Timestamp) -> Option<Timestamp> {
    around(window, at).take(3).filter(|open| open.contains(&at)).map(|open| open.end).max()
}

/// When a window begins next after `at`.
fn begins(window: &Window, at: Timestamp) -> Option<Timestamp> {
    around(window, at).map(|open| open.start).find(|start| *start > at)
}

/// The times at which a window is open, from that which begins on the day before `at`.
fn around(window: &Window, at: Timestamp) -> impl Iterator<Item = Range<Timestamp>> {
    let today = window.zone.to_datetime(at).date();
    let first = today.yesterday().unwrap_or(today);
    std::iter::successors(Some(first), |day| day.tomorrow().ok()).take(DAYS_AHEAD).filter_map(|day| on(window, day))
}

/// When a window is open that begins on `day`.
fn on(window: &Window, day: Date) -> Option<Range<Timestamp>> {
    if !window.days.is_empty() && !window.days.contains(&day.weekday()) {
        return None;
    }
    let last = if window.from < window.to { day } else { day.tomorrow().ok()? };
    let open = reached(&window.zone, day.to_datetime(window.from))?..reached(&window.zone, last.to_datetime(window.to))?;
    (!open.is_empty()).then_some(open)
}

/// When the clock of a zone first reaches a time: what it skips in spring is reached as it jumps, and of what it shows twice in autumn
/// the first counts.
fn reached(zone: &TimeZone, time: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let offset = ambiguous.offset();
    let shown = ambiguous.compatible().ok()?;
    match offset {
        AmbiguousOffset::Gap { .. } => Some(zone.preceding(later(shown, SignedDuration::from_nanos(1))).next()?.timestamp()),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Some(shown),
    }
}

/// A moment as people read it, to the second.
pub(crate) fn moment(t: Timestamp) -> String {
    Timestamp::from_second(t.as_second()).unwrap_or(t).to_string()
}

#[cfg(test)]
mod tests;
