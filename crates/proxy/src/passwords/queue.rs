//! The guesses that wait for a thread: of each policy in turn, so that one with a dear hash, or with many guesses, holds up no other by more
//! than the check of one.

use serin_auth::{Fingerprint, Guess};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// A guess that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) print: Fingerprint,
    pub(super) guess: Guess,
    pub(super) network: IpAddr,
}

/// The guesses that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Of each policy that has any.
    of: HashMap<Box<str>, VecDeque<Job>>,
    /// Those policies; the first is next.
    turns: VecDeque<Box<str>>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.of.values().map(VecDeque::len).sum()
    }

    /// How many of them a client made.
    pub(super) fn waiting_of(&self, network: &IpAddr) -> usize {
        self.of.values().flatten().filter(|job| job.network == *network).count()
    }

    pub(super) fn push(&mut self, policy: &str, job: Job) {
        if let Some(jobs) = self.of.get_mut(policy) {
            jobs.push_back(job);
        } else {
            self.of.insert(policy.into(), VecDeque::from([job]));
            self.turns.push_back(policy.into());
        }
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        let policy = self.turns.pop_front()?;
        let jobs = self.of.get_mut(&policy)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.of.remove(&policy);
        } else {
            self.turns.push_back(policy);
        }
        job
    }

    /// Takes out the newest of the policy that has most, if it has more than this one would: a full queue of one is no reason to refuse others.
    pub(super) fn make_room(&mut self, policy: &str) -> Option<Job> {
        let own = self.of.get(policy).map_or(0, VecDeque::len);
        let most = self.of.values_mut().max_by_key(|jobs| jobs.len())?;
        if most.len() > own + 1 { most.pop_back() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::tests::{guess, print};

    fn push(queue: &mut Queue, policy: &str, password: &str) {
        let guess = guess("alice", password);
        let (print, network) = (print(&guess), IpAddr::from([192, 0, 2, password.len() as u8]));
        queue.push(policy, Job { print, guess, network });
    }

    /// Of which guess this is.
    fn is(job: Option<Job>, password: &str) -> bool {
        job.is_some_and(|job| job.print == print(&guess("alice", password)))
    }

    #[test]
    fn policies_take_turns() {
        let mut queue = Queue::default();
        for (policy, password) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b-1"), ("c", "c1")] {
            push(&mut queue, policy, password);
        }
        assert_eq!((queue.len(), queue.waiting_of(&[192, 0, 2, 2].into()), queue.waiting_of(&[192, 0, 2, 3].into())), (5, 4, 1));
        for password in ["a1", "b-1", "c1", "a2", "a3"] {
            assert!(is(queue.pop(), password), "{password}");
        }
        assert!(queue.pop().is_none() && queue.turns.is_empty() && queue.of.is_empty());
    }

    #[test]
    fn policy_that_has_most_makes_room_for_another() {
        let mut queue = Queue::default();
        for (policy, password) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")] {
            push(&mut queue, policy, password);
        }
        assert!(queue.make_room("a").is_none(), "for its own it makes none");
        assert!(is(queue.make_room("b"), "a3"), "its newest");
        assert!(queue.make_room("b").is_none(), "they would only change places");
        assert!(is(queue.make_room("c"), "a2"));
    }
}
