//! The choice itself: of the endpoints that may be chosen, by their places.

use super::Group;
use serin_routing::upstream::Balance;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// Chance, of one worker. Not for secrets.
#[derive(Debug)]
pub(crate) struct Chance(Cell<u64>);

impl Chance {
    pub(crate) fn new() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0)))
    }

    /// A number below `count`.
    fn below(&self, count: usize) -> usize {
        let next = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(next);
        let scaled = (u128::from(mixed(next)) * count as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }
}

impl Group {
    /// One of `count` endpoints that may be chosen; `None` when none may. `turn` is where a round begins.
    pub(crate) fn choose(
        &self,
        count: usize,
        key: Option<u64>,
        turn: usize,
        chance: &Chance,
        may: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match (&self.upstream.balance, key) {
            (Balance::RoundRobin, _) | (Balance::ConsistentHash(_), None) => next(count, turn, may),
            (Balance::LeastRequest, _) => of_two(count, chance, may, |index| self.states[index].under_way()),
            (Balance::Ewma, _) => of_two(count, chance, may, |index| self.states[index].cost()),
            // Rendezvous hashing: each key has an order of endpoints of its own, so one that goes moves only its own keys.
            (Balance::ConsistentHash(_), Some(key)) => {
                (0..count).filter(|index| may(*index)).max_by_key(|index| mixed(key ^ self.states[*index].hash))
            }
        }
    }
}

/// The first one from a place on, around.
pub(crate) fn next(count: usize, from: usize, may: impl Fn(usize) -> bool) -> Option<usize> {
    (0..count).map(|step| from.wrapping_add(step) % count).find(|index| may(*index))
}

/// The cheaper one of two by chance.
fn of_two(count: usize, chance: &Chance, may: impl Fn(usize) -> bool, cost: impl Fn(usize) -> u64) -> Option<usize> {
    let one = next(count, chance.below(count), &may)?;
    let other = next(count, chance.below(count), |index| index != one && may(index));
    Some(other.filter(|other| cost(*other) < cost(one)).unwrap_or(one))
}

/// Spreads the bits of a number (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
