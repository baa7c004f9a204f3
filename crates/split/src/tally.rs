//! What many decisions come to: which share of identities and of requests gets the canary (S7).

use crate::{Decision, Identity, Kind, Rule, Side};
use std::collections::{BTreeMap, HashMap};

/// Decisions at one threshold, added up.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests for which a bucket decided.
    pub requests: u64,
    /// Those of them that got the canary.
    pub canary: u64,
    /// Requests for which an override or a group decided.
    pub chosen: u64,
    /// Requests whose identity was missing, by what decided instead (S8).
    pub fallbacks: BTreeMap<&'static str, u64>,
    identities: HashMap<(Kind, u64), Seen>,
}

/// Identities for which buckets decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users {
    /// How many there are.
    pub seen: u64,
    /// How many of them get the canary.
    pub canary: u64,
    /// What they are, if they are all of one kind.
    pub kind: Option<Kind>,
    /// Requests of the busiest one; 0 when nobody was identified.
    pub largest: u64,
    /// Its hash.
    pub busiest: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    requests: u64,
    side: Side,
}

impl Tally {
    /// Counts a decision.
    pub fn add(&mut self, decision: &Decision) {
        if decision.rule != Rule::Bucket {
            self.chosen += 1;
            return;
        }
        self.requests += 1;
        self.canary += u64::from(decision.side == Side::Canary);
        let name = match decision.identity {
            Some(Identity::Value { kind, hash }) => {
                self.identities.entry((kind, hash)).or_insert(Seen { requests: 0, side: decision.side }).requests += 1;
                kind.name()
            }
            Some(Identity::Request | Identity::Issued) | None => "request",
        };
        if decision.fallback {
            *self.fallbacks.entry(name).or_default() += 1;
        }
    }

    /// Who made the requests. One that counted for itself is nobody's.
    pub fn users(&self) -> Users {
        let count = |side| self.identities.values().filter(|seen| seen.side == side).count() as u64;
        let busiest = self.identities.iter().max_by_key(|((_, hash), seen)| (seen.requests, *hash));
        let mut kinds = self.identities.keys().map(|(kind, _)| *kind);
        let kind = kinds.next().filter(|first| kinds.all(|kind| kind == *first));
        Users {
            seen: self.identities.len() as u64,
            canary: count(Side::Canary),
            kind,
            largest: busiest.map_or(0, |(_, seen)| seen.requests),
            busiest: busiest.map(|((_, hash), _)| *hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_shares_of_users_and_of_requests_are_counted_apart() {
        let mut tally = Tally::default();
        let decision = |hash, side, fallback| {
            let identity = Some(Identity::Value { kind: Kind::Ip, hash });
            Decision { side, rule: Rule::Bucket, identity, fallback, bucket: Some(0), k: 1 }
        };
        (0..7).for_each(|_| tally.add(&decision(1, Side::Canary, true)));
        (0..3).for_each(|n| tally.add(&decision(2 + n, Side::Stable, false)));
        tally.add(&Decision { rule: Rule::Override(0), identity: None, bucket: None, ..decision(9, Side::Canary, false) });
        assert_eq!((tally.requests, tally.canary, tally.chosen), (10, 7, 1));
        assert_eq!(tally.users(), Users { seen: 4, canary: 1, kind: Some(Kind::Ip), largest: 7, busiest: Some(1) });
        assert_eq!(tally.fallbacks, BTreeMap::from([("ip", 7)]));
    }
}
