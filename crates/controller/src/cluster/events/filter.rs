//! Which Events are sent: pure.

use crate::admin::Name;
use crate::kind::Kind;
use crate::update::Event;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The same Event of the same release is sent once in this time.
const WINDOW: Duration = Duration::from_secs(300);
/// So many Events of one release at once,
const BURST: u32 = 25;
/// and one more after each of these.
const REFILL: Duration = Duration::from_secs(10);

/// An Event and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) uid: String,
    pub(super) event: Event,
}

/// What makes two Events the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: String,
    reason: String,
    message: String,
}

/// What was sent lately.
#[derive(Debug, Default)]
pub(super) struct Filter {
    same: HashMap<Key, Same>,
    budgets: HashMap<String, Budget>,
}

#[derive(Debug)]
struct Same {
    sent: Instant,
    held: u32,
}

/// Events that may be sent, of one release.
#[derive(Debug)]
struct Budget {
    left: u32,
    since: Instant,
}

impl Filter {
    /// How often this has happened since it was last sent, if it is to be sent now.
    pub(super) fn count(&mut self, told: &Told, now: Instant) -> Option<u32> {
        self.forget(now);
        let Told { uid, event, .. } = told;
        let key = Key { uid: uid.clone(), reason: event.reason.clone(), message: event.message.clone() };
        if let Some(same) = self.same.get_mut(&key)
            && now.saturating_duration_since(same.sent) < WINDOW
        {
            same.held += 1;
            return None;
        }
        let budget = self.budgets.entry(uid.clone()).or_insert(Budget { left: BURST, since: now });
        if !budget.take(now) {
            return None;
        }
        let held = self.same.insert(key, Same { sent: now, held: 0 }).map_or(0, |same| same.held);
        Some(held + 1)
    }

    /// What says nothing any more. What was held back is kept for a second window, to be counted if it happens again.
    fn forget(&mut self, now: Instant) {
        self.same.retain(|_, same| {
            let age = now.saturating_duration_since(same.sent);
            age < WINDOW || (same.held > 0 && age < WINDOW * 2)
        });
        self.budgets.retain(|_, budget| now.saturating_duration_since(budget.since) < REFILL * BURST);
    }
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        while self.left < BURST && now.saturating_duration_since(self.since) >= REFILL {
            self.left += 1;
            self.since += REFILL;
        }
        if self.left == BURST {
            self.since = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uid: &str, message: &str) -> Told {
        let event = Event { warning: false, reason: "PhaseChanged".to_owned(), message: message.to_owned() };
        Told {
            kind: Kind::CanaryRelease,
            name: Name { namespace: "shop".to_owned(), name: "checkout".to_owned() },
            uid: uid.to_owned(),
            event,
        }
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn the_same_again_is_counted_and_told_when_the_window_is_over() {
        let (mut filter, start) = (Filter::default(), Instant::now());
        assert_eq!(filter.count(&told("a", "x"), start), Some(1));
        assert_eq!(filter.count(&told("a", "x"), at(start, 100)), None);
        assert_eq!(filter.count(&told("a", "x"), at(start, 299)), None);
        assert_eq!(filter.count(&told("a", "x"), at(start, 300)), Some(3));
        assert_eq!(filter.count(&told("a", "x"), at(start, 301)), None);
    }

    #[test]
    fn another_message_or_another_release_is_another_event() {
        let (mut filter, start) = (Filter::default(), Instant::now());
        for told in [told("a", "x"), told("a", "y"), told("b", "x")] {
            assert_eq!(filter.count(&told, start), Some(1));
        }
    }

    #[test]
    fn a_storm_of_one_release_is_held_back_and_no_other_release_pays() {
        let (mut filter, start) = (Filter::default(), Instant::now());
        let mut storm = |seconds, from: u32| {
            (from..from + 1_000).filter(|n| filter.count(&told("a", &n.to_string()), at(start, seconds)).is_some()).count()
        };
        assert_eq!(storm(0, 0), 25);
        assert_eq!(storm(9, 1_000), 0);
        assert_eq!(storm(30, 2_000), 3);
        assert_eq!(filter.count(&told("b", "x"), at(start, 30)), Some(1));
    }

    #[test]
    fn nothing_is_kept_for_ever() {
        let (mut filter, start) = (Filter::default(), Instant::now());
        for n in 0..1_000_u32 {
            filter.count(&told(&n.to_string(), "x"), start);
        }
        filter.count(&told("a", "x"), at(start, 601));
        assert_eq!((filter.same.len(), filter.budgets.len()), (1, 1));
    }
}
