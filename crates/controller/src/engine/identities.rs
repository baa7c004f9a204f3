//! The identities behind what buckets decided: how many within the window, how busy the busiest, and who they are while they are few (S7).

use crate::window::{LENGTH, SPACING};
use jiff::Timestamp;
use serin_proxy::Identities;
use serin_rollout::status::Decided;
use std::collections::VecDeque;

/// What is remembered of one release's identities. `K` is what ends a window when it changes.
#[derive(Debug)]
pub(super) struct Crowd<K> {
    key: Option<K>,
    looked: Option<Timestamp>,
    /// What there was at the last look.
    decided: Decided,
    cells: Vec<u32>,
    /// What each look within the window found more, by cell.
    looks: VecDeque<(Timestamp, Vec<(usize, u32)>)>,
    /// The same, all together.
    inside: Vec<u32>,
}

impl<K> Default for Crowd<K> {
    fn default() -> Self {
        Self { key: None, looked: None, decided: Decided::default(), cells: Vec::new(), looks: VecDeque::new(), inside: Vec::new() }
    }
}

impl<K: PartialEq> Crowd<K> {
    /// Looks, if it is time to and other requests were decided than at the last look; `turns` of them counted for themselves.
    pub(super) fn observe(&mut self, key: K, now: Timestamp, requests: u64, turns: u64, identities: impl FnOnce() -> Option<Identities>) {
        let begins = self.key.as_ref() != Some(&key);
        if !begins && self.looked.is_some_and(|at| now.duration_since(at) < SPACING) {
            return;
        }
        self.looked = Some(now);
        if self.decided.requests != requests {
            let identities = identities().unwrap_or(Identities { cells: Vec::new(), first: Vec::new() });
            self.decided = decided(requests, turns, &identities);
            self.take(now, identities.cells);
        }
        if begins {
            self.key = Some(key);
            self.looks.clear();
            self.inside.fill(0);
        }
        while let Some((_, old)) = self.looks.pop_front_if(|(at, _)| now.duration_since(*at) >= LENGTH) {
            old.into_iter().for_each(|(cell, count)| self.inside[cell] -= count);
        }
    }

    fn take(&mut self, now: Timestamp, cells: Vec<u32>) {
        self.inside.resize(self.inside.len().max(cells.len()), 0);
        // A cell that fell is of counters that began anew, and says nothing.
        let before = self.cells.iter().copied().chain(std::iter::repeat(0));
        let grown = cells.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).enumerate();
        let grown: Vec<_> = grown.filter(|(_, more)| *more > 0).collect();
        grown.iter().for_each(|(cell, more)| self.inside[*cell] += more);
        self.looks.push_back((now, grown));
        self.cells = cells;
    }

    /// About how many identities the window has, by the share of cells that are empty (linear counting, Whang 1990).
    pub(super) fn seen(&self) -> u64 {
        let cells = self.inside.len() as f64;
        match self.inside.iter().filter(|count| **count == 0).count() {
            _ if self.inside.is_empty() => 0,
            // So many that it cannot be told: more than those that would leave one cell empty.
            0 => (cells * cells.ln()) as u64,
            empty => (cells * (cells / empty as f64).ln()).round() as u64,
        }
    }

    /// Requests of the busiest identity of the window; a few more when others share its cell.
    pub(super) fn largest(&self) -> u64 {
        self.inside.iter().max().map_or(0, |most| u64::from(*most))
    }

    /// What was decided since the release began, at the last look.
    pub(super) fn decided(&self) -> &Decided {
        &self.decided
    }
}

/// Each of `turns` is somebody of its own.
fn decided(requests: u64, turns: u64, identities: &Identities) -> Decided {
    let first = &identities.first;
    let busiest = first.iter().max_by_key(|seen| identities.requests_of(seen.hash));
    Decided {
        requests,
        identities: first.len() as u64 + turns,
        kind: busiest.map(|seen| seen.kind).filter(|kind| first.iter().all(|seen| seen.kind == *kind)),
        busiest: busiest.and_then(|seen| seen.name.as_deref()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
