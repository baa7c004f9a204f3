//! What a candidate does about a Lease that it sees: pure.

use super::Times;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::time::{Duration, Instant};

/// A record that says it holds for longer than this many leases of ours is not waited out: it would be nobody's for hours.
const LONGEST_FOREIGN: u32 = 4;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Write the own record: take the Lease, or renew it.
    Hold,
    /// It is another one's. It may be taken after this, if nothing changes.
    Wait(Duration),
}

/// What one candidate knows of the others: the last record, and since when it has been the same.
#[derive(Debug)]
pub(super) struct Term {
    identity: String,
    times: Times,
    seen: Option<(LeaseSpec, Instant)>,
}

impl Term {
    pub(super) fn new(identity: String, times: Times) -> Self {
        Self { identity, times, seen: None }
    }

    /// What to do about this record, seen at this moment. No time that is written in it matters, only that it changes.
    pub(super) fn decide(&mut self, record: Option<&LeaseSpec>, now: Instant) -> Move {
        let Some(record) = record.filter(|record| holder(record).is_some_and(|holder| holder != self.identity)) else {
            self.seen = None;
            return Move::Hold;
        };
        let since = match &self.seen {
            Some((seen, since)) if seen == record => *since,
            _ => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        let left = self.holds(record).saturating_sub(now.saturating_duration_since(since));
        if left.is_zero() { Move::Hold } else { Move::Wait(left) }
    }

    /// How long a record of another one holds: what it says, within reason.
    fn holds(&self, record: &LeaseSpec) -> Duration {
        let said = record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        said.unwrap_or(self.times.lease).clamp(self.times.lease, self.times.lease * LONGEST_FOREIGN)
    }

    /// The Lease with the own record. Its times are for people and other clients; serin reads none.
    pub(super) fn holding(&self, mut lease: Lease) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = now.clone();
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.lease_duration_seconds = i32::try_from(self.times.lease.as_secs()).ok();
        spec.renew_time = now;
        lease
    }

    /// The Lease without the own record; none when it is not ours to give.
    pub(super) fn released(&self, mut lease: Lease) -> Option<Lease> {
        let spec = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))?;
        // client-go's way of saying it: an empty holder, and a second so that a client that counts does not wait.
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        Some(lease)
    }
}

fn holder(record: &LeaseSpec) -> Option<&str> {
    record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { lease: Duration::from_secs(15), renew_deadline: Duration::from_secs(10), retry: Duration::from_secs(2) };

    /// A record of this holder, renewed at this second of its own clock.
    fn record(holder: &str, renewed: i64, seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: seconds,
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            ..LeaseSpec::default()
        }
    }

    /// What `b` does about these records, each with the second at which it is seen.
    fn moves(seen: &[(u64, LeaseSpec)]) -> Vec<Move> {
        let (mut term, start) = (Term::new("b".to_owned(), TIMES), Instant::now());
        seen.iter().map(|(second, record)| term.decide(Some(record), start + Duration::from_secs(*second))).collect()
    }

    fn wait(seconds: u64) -> Move {
        Move::Wait(Duration::from_secs(seconds))
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken() {
        let mut term = Term::new("b".to_owned(), TIMES);
        assert_eq!(term.decide(None, Instant::now()), Move::Hold);
        assert_eq!(term.decide(Some(&LeaseSpec::default()), Instant::now()), Move::Hold);
        assert_eq!(moves(&[(0, record("", 0, Some(1)))]), [Move::Hold]);
    }

    #[test]
    fn the_own_record_is_renewed_however_old() {
        assert_eq!(moves(&[(0, record("b", 0, Some(15))), (900, record("b", 0, Some(15)))]), [Move::Hold, Move::Hold]);
    }

    #[test]
    fn another_one_is_waited_for_from_when_its_record_was_seen_to_change() {
        let seen = [(0, record("a", 100, Some(15))), (14, record("a", 100, Some(15))), (14, record("a", 102, Some(15)))];
        assert_eq!(moves(&seen), [wait(15), wait(1), wait(15)]);
        assert_eq!(moves(&[(0, record("a", 100, Some(15))), (15, record("a", 100, Some(15)))]), [wait(15), Move::Hold]);
    }

    #[test]
    fn a_holder_whose_clock_is_a_day_ahead_or_behind_is_no_different() {
        for day in [-86_400, 0, 86_400] {
            let now = Timestamp::now().as_second() + day;
            let alive = [(0, record("a", now, Some(15))), (10, record("a", now + 10, Some(15))), (20, record("a", now + 20, Some(15)))];
            assert_eq!(moves(&alive), [wait(15); 3]);
            let dead = [(0, record("a", now, Some(15))), (20, record("a", now, Some(15)))];
            assert_eq!(moves(&dead), [wait(15), Move::Hold]);
        }
    }

    #[test]
    fn a_holder_that_changes_and_changes_back_begins_anew() {
        let seen = [(0, record("a", 0, Some(15))), (10, record("c", 0, Some(15))), (14, record("a", 0, Some(15)))];
        assert_eq!(moves(&seen), [wait(15); 3]);
    }

    #[test]
    fn a_duration_that_makes_no_sense_blocks_nobody_and_hurries_nobody() {
        for (said, waited) in [(None, 15), (Some(-1), 15), (Some(0), 15), (Some(3), 15), (Some(30), 30), (Some(i32::MAX), 60)] {
            assert_eq!(moves(&[(0, record("a", 0, said))]), [wait(waited)], "{said:?}");
        }
    }

    #[test]
    fn taking_counts_a_transition_and_renewing_does_not() {
        let term = Term::new("b".to_owned(), TIMES);
        let taken = term.holding(Lease { spec: Some(record("a", 0, Some(15))), ..Lease::default() });
        let renewed = term.holding(taken.clone());
        let (taken, renewed) = (taken.spec.unwrap(), renewed.spec.unwrap());
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("b"), Some(1)));
        assert_eq!((renewed.acquire_time, renewed.lease_transitions), (taken.acquire_time, Some(1)));
        assert!(renewed.renew_time > taken.renew_time);
    }

    #[test]
    fn only_the_own_record_is_given_back() {
        let term = Term::new("b".to_owned(), TIMES);
        assert!(term.released(Lease { spec: Some(record("a", 0, Some(15))), ..Lease::default() }).is_none());
        let released = term.released(Lease { spec: Some(record("b", 0, Some(15))), ..Lease::default() });
        assert_eq!(released.and_then(|lease| lease.spec?.holder_identity).as_deref(), Some(""));
    }
}
