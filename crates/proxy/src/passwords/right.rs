//! Which guesses were right lately.

use serin_auth::Fingerprint;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// For how long after its last use a guess that was right is not checked again. A hash that was replaced makes it another guess at once, so
/// this is not how long an old password is good.
const FRESH: Duration = Duration::from_secs(60);
/// However often it is used, it is checked again after this; and for so long after its last use it is known that it was right.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// So many are remembered.
const REMEMBERED: usize = 16 * 1024;

/// The guesses that were right lately.
#[derive(Debug, Default)]
pub(super) struct Right(HashMap<Fingerprint, Times>);

#[derive(Debug)]
struct Times {
    checked: Instant,
    used: Instant,
}

impl Right {
    /// Whether it need not be checked, and is used.
    pub(super) fn is_fresh(&mut self, print: Fingerprint, now: Instant) -> bool {
        let Some(times) = self.0.get_mut(&print) else { return false };
        let is_fresh = times.is_fresh(now);
        if is_fresh {
            times.used = now;
        }
        is_fresh
    }

    /// Whether it was right within the hour.
    pub(super) fn was(&self, print: Fingerprint, now: Instant) -> bool {
        self.0.get(&print).is_some_and(|times| now.saturating_duration_since(times.used) < LONGEST)
    }

    /// It is right.
    pub(super) fn remember(&mut self, print: Fingerprint, now: Instant) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&print) {
            self.0.retain(|_, times| times.is_fresh(now));
        }
        if self.0.len() < REMEMBERED || self.0.contains_key(&print) {
            self.0.insert(print, Times { checked: now, used: now });
        }
    }
}

impl Times {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < FRESH && now.saturating_duration_since(self.checked) < LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::tests::{guess, print};

    #[test]
    fn guess_in_use_is_fresh_for_an_hour_and_one_at_rest_for_a_minute() {
        let (mut right, start, print) = (Right::default(), Instant::now(), print(&guess("alice", "x")));
        assert!(!right.is_fresh(print, start) && !right.was(print, start));
        right.remember(print, start);
        let mut now = start;
        while now + FRESH / 2 < start + LONGEST {
            assert!(right.is_fresh(print, now), "{:?}", now - start);
            now += FRESH / 2;
        }
        assert!(!right.is_fresh(print, start + LONGEST) && right.was(print, start + LONGEST));
        right.remember(print, start + LONGEST);
        let rested = start + LONGEST + FRESH;
        assert!(!right.is_fresh(print, rested) && right.was(print, rested));
        assert!(!right.was(print, start + 2 * LONGEST), "that is long ago");
    }
}
