//! Episodes of fallbacks: from the first request that was not decided as asked to a minute without one (S8).

use crate::update::Event;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long there must be none before an episode is over.
const CALM: SignedDuration = SignedDuration::from_secs(60);

/// What took the place of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fallback {
    /// The consumer, of a missing identity.
    Consumer,
    /// The originating address, of a missing identity.
    ClientIp,
    /// The request's own turn, of a missing identity.
    Request,
    /// Stable, of a canary without a ready endpoint.
    Stable,
}

/// Those of one release.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    release: String,
    by: BTreeMap<Fallback, Episode>,
}

#[derive(Debug, Default)]
struct Episode {
    /// How many there were, as far as it is known.
    count: u64,
    /// While one is under way: how many there were before it, and when there was one last.
    under_way: Option<(u64, Timestamp)>,
}

impl Fallback {
    /// As `split.by` and status write it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Consumer => "Consumer",
            Self::ClientIp => "ClientIP",
            Self::Request => "Request",
            Self::Stable => "Stable",
        }
    }
}

impl Episodes {
    /// What began and what is over, by the number of fallbacks of a release since it began. Another release begins with none.
    pub(super) fn observe(&mut self, release: &str, counts: impl IntoIterator<Item = (Fallback, u64)>, now: Timestamp) -> Vec<Event> {
        if self.release != release {
            *self = Self { release: release.to_owned(), by: BTreeMap::new() };
        }
        counts.into_iter().filter_map(|(to, count)| self.by.entry(to).or_default().observe(to, count, now)).collect()
    }
}

impl Episode {
    fn observe(&mut self, to: Fallback, count: u64, now: Timestamp) -> Option<Event> {
        let before = std::mem::replace(&mut self.count, count);
        match self.under_way {
            None if count > before => {
                self.under_way = Some((before, now));
                Some(began(to))
            }
            Some((first, _)) if count > before => {
                self.under_way = Some((first, now));
                None
            }
            Some((first, last)) if now.duration_since(last) >= CALM => {
                self.under_way = None;
                Some(ended(to, count.saturating_sub(first)))
            }
            _ => None,
        }
    }
}

fn began(to: Fallback) -> Event {
    let message = match to {
        Fallback::Stable => "The canary has no ready endpoint, so stable takes its requests. Look at its pods.".to_owned(),
        to => format!("Requests come without the identity that split.by asks for; for them {} decides.", to.word()),
    };
    Event { warning: to == Fallback::Stable, reason: "FallbackBegan".to_owned(), message }
}

fn ended(to: Fallback, requests: u64) -> Event {
    let message = match to {
        Fallback::Stable => format!("Stable took {requests} requests of the canary's, and none for a minute now."),
        to => format!("{} decided {requests} requests that came without the identity, and none for a minute now.", to.word()),
    };
    Event { warning: false, reason: "FallbackEnded".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each second so many more fallbacks to ClientIP; the second and the reason of each Event.
    fn told(counts: impl IntoIterator<Item = u64>) -> Vec<(usize, Event)> {
        let (mut episodes, mut count) = (Episodes::default(), 0);
        let mut told = Vec::new();
        for (second, more) in counts.into_iter().enumerate() {
            count += more;
            let now = Timestamp::from_second(second as i64).unwrap();
            told.extend(episodes.observe("a", [(Fallback::ClientIp, count)], now).into_iter().map(|event| (second, event)));
        }
        told
    }

    #[test]
    fn s8_an_episode_is_told_when_it_begins_and_after_a_minute_without_one() {
        let hour = (0..3_600).map(|second| u64::from((100..200).contains(&second) || second == 250) * 5);
        let told = told(hour);
        let seconds: Vec<_> = told.iter().map(|(second, event)| (*second, &*event.reason)).collect();
        assert_eq!(seconds, [(100, "FallbackBegan"), (310, "FallbackEnded")]);
        assert_eq!(told[1].1.message, "ClientIP decided 505 requests that came without the identity, and none for a minute now.");
    }

    #[test]
    fn s8_each_kind_has_its_own_episode_and_another_release_none() {
        let mut episodes = Episodes::default();
        let mut observe = |release, address, stable, second| {
            let counts = [(Fallback::ClientIp, address), (Fallback::Stable, stable)];
            let events = episodes.observe(release, counts, Timestamp::from_second(second).unwrap());
            events.into_iter().map(|event| (event.warning, event.reason)).collect::<Vec<_>>()
        };
        assert_eq!(observe("a", 3, 0, 0), [(false, "FallbackBegan".to_owned())]);
        assert_eq!(observe("a", 3, 1, 30), [(true, "FallbackBegan".to_owned())]);
        assert_eq!(observe("a", 3, 1, 60), [(false, "FallbackEnded".to_owned())]);
        assert_eq!(observe("b", 0, 0, 200), [], "what another release began is not ended");
        assert_eq!(observe("b", 0, 1, 201), [(true, "FallbackBegan".to_owned())]);
    }
}
