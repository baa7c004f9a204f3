//! For whom buckets decided: how many requests each identity made, and who the first ones were (S7).
//!
//! An identity is counted in one cell of many, by its hash. Cells only grow, so what was counted between two looks is their difference:
//! the cells that grew tell how many identities there were, and the fullest one how busy the busiest was.

use crate::RequestFacts;
use serin_split::{Decision, Facts, Identity, Kind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Cells a release: 20,000 identities leave enough of them empty to be estimated to within a few percent.
const CELLS: usize = 8192;
/// Identities that a worker lists one by one.
const LISTED: usize = 32;

/// The identities of one release, for which buckets decided on this replica since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identities {
    /// Requests by cell, the same identity always in the same one. They only grow, until one begins again at 0 behind 4,294,967,295.
    pub cells: Vec<u32>,
    /// The first ones, by hash: all, while there are fewer than 32.
    pub first: Vec<FirstSeen>,
}

/// One of the first identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstSeen {
    /// Its hash.
    pub hash: u64,
    /// What it is.
    pub kind: Kind,
    /// Its text, if it is an address or a consumer: others may be secrets.
    pub name: Option<Box<str>>,
}

/// The same, while it is counted by one worker.
#[derive(Debug)]
pub(crate) struct IdentityCells {
    cells: Box<[AtomicU32]>,
    first: [OnceLock<FirstSeen>; LISTED],
    listed: AtomicUsize,
}

impl Identities {
    /// The cell of an identity.
    pub fn requests_of(&self, hash: u64) -> u32 {
        self.cells[cell(hash)]
    }

    pub(crate) fn add(&mut self, worker: &IdentityCells) {
        for (sum, more) in self.cells.iter_mut().zip(&worker.cells) {
            *sum = sum.wrapping_add(more.load(Relaxed));
        }
        for seen in worker.listed() {
            if let Err(place) = self.first.binary_search_by_key(&seen.hash, |known| known.hash) {
                self.first.insert(place, seen.clone());
            }
        }
    }
}

impl Default for Identities {
    fn default() -> Self {
        Self { cells: vec![0; CELLS], first: Vec::new() }
    }
}

impl IdentityCells {
    /// A bucket decided for this identity. Allocates only for the names of the first ones.
    pub(crate) fn count(&self, decision: &Decision, facts: &RequestFacts<'_>) {
        let Some(Identity::Value { kind, hash }) = decision.identity else { return };
        let cell = &self.cells[cell(hash)];
        let before = cell.load(Relaxed);
        cell.store(before.wrapping_add(1), Relaxed);
        // A list that is full says all that it can: there are many.
        let listed = self.listed.load(Relaxed);
        if listed == LISTED || (before > 0 && self.listed().any(|seen| seen.hash == hash)) {
            return;
        }
        let name = match kind {
            Kind::Ip => facts.client_ip().map(|ip| ip.to_canonical().to_string().into()),
            Kind::Consumer => facts.consumer().map(Into::into),
            Kind::Header | Kind::Cookie | Kind::Query | Kind::Claim => None,
        };
        // Only this worker writes here, so the place is free.
        let _ = self.first[listed].set(FirstSeen { hash, kind, name });
        self.listed.store(listed + 1, Relaxed);
    }

    fn listed(&self) -> impl Iterator<Item = &FirstSeen> {
        self.first.iter().map_while(OnceLock::get)
    }
}

impl Default for IdentityCells {
    fn default() -> Self {
        Self {
            cells: (0..CELLS).map(|_| AtomicU32::default()).collect(),
            first: [const { OnceLock::new() }; LISTED],
            listed: AtomicUsize::default(),
        }
    }
}

/// The low bits: the high ones chose the bucket, so those of the canary's identities are alike.
fn cell(hash: u64) -> usize {
    (hash % CELLS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_split::{Rule, Side};

    fn decision(kind: Kind, hash: u64) -> Decision {
        let identity = Some(Identity::Value { kind, hash });
        Decision { side: Side::Stable, rule: Rule::Bucket, identity, fallback: false, bucket: Some(0), k: 0 }
    }

    fn count(cells: &IdentityCells, decision: &Decision) {
        let parts = http::Request::new(()).into_parts().0;
        let client_ip = Some("::ffff:192.0.2.7".parse().expect("an address"));
        cells.count(decision, &RequestFacts { parts: &parts, client_ip, identity: None });
    }

    fn sum(workers: &[IdentityCells]) -> Identities {
        let mut sum = Identities::default();
        workers.iter().for_each(|worker| sum.add(worker));
        sum
    }

    #[test]
    fn an_identity_is_one_whatever_worker_it_comes_to() {
        let workers = [IdentityCells::default(), IdentityCells::default()];
        // 5 and the next one share a cell, and are two nevertheless.
        for hash in [5, 5 + CELLS as u64, 9, 5] {
            count(&workers[0], &decision(Kind::Header, hash));
        }
        count(&workers[1], &decision(Kind::Header, 5));
        let seen = sum(&workers);
        assert_eq!(seen.first.iter().map(|seen| seen.hash).collect::<Vec<_>>(), [5, 9, 5 + CELLS as u64]);
        assert_eq!((seen.requests_of(5), seen.requests_of(9), seen.requests_of(7)), (4, 1, 0));
    }

    #[test]
    fn the_list_is_whole_while_it_is_short_and_cells_go_on() {
        let worker = [IdentityCells::default()];
        for hash in 0..100 {
            count(&worker[0], &decision(Kind::Ip, hash));
        }
        let seen = sum(&worker);
        assert_eq!((seen.first.len(), seen.cells.iter().sum::<u32>()), (LISTED, 100));
    }

    #[test]
    fn only_addresses_and_consumers_are_kept_as_text_and_a_request_of_its_own_is_nobody() {
        let worker = [IdentityCells::default()];
        for (hash, kind) in [Kind::Ip, Kind::Header, Kind::Cookie, Kind::Query, Kind::Claim].into_iter().enumerate() {
            count(&worker[0], &decision(kind, hash as u64));
        }
        count(&worker[0], &Decision { identity: Some(Identity::Request), ..decision(Kind::Ip, 0) });
        let seen = sum(&worker);
        let names: Vec<_> = seen.first.iter().map(|seen| seen.name.as_deref()).collect();
        assert_eq!(names, [Some("192.0.2.7"), None, None, None, None]);
        assert_eq!(seen.cells.iter().sum::<u32>(), 5);
    }
}
