//! What is known of endpoints and policies from table to table, until they are gone.

use super::{Clock, Group, PolicyState, State};
use serin_routing::Table;
use serin_routing::upstream::Upstream;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

/// The groups of a table, by the place of their backends.
pub(crate) type Groups = Arc<[Option<Arc<Group>>]>;

/// A policy, by namespace and name.
type Name = (String, String);

/// Everything that outlives tables.
#[derive(Debug)]
pub(crate) struct Registry {
    clock: Clock,
    workers: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    policies: HashMap<Name, (Arc<Upstream>, Arc<PolicyState>)>,
    endpoints: HashMap<Name, HashMap<SocketAddr, Arc<State>>>,
}

/// What was counted of a policy, and how its endpoints are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCounts {
    /// The namespace of the policy.
    pub namespace: String,
    /// The name of the policy.
    pub name: String,
    /// Endpoints that are used.
    pub healthy: u64,
    /// Those that are not, by their answers to active checks.
    pub down: u64,
    /// Those that are left out for what requests met there, and are not down.
    pub ejected: u64,
    /// How many times one was left out.
    pub ejections: u64,
    /// Active checks that were passed.
    pub passed: u64,
    /// Active checks that were not.
    pub failed: u64,
}

impl Registry {
    pub(crate) fn new(workers: usize) -> Self {
        Self { clock: Clock::new(), workers, known: Mutex::default() }
    }

    /// What a table needs. What it does not is forgotten.
    pub(crate) fn succeed(&self, table: &Table) -> Groups {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { policies: old_policies, endpoints: old_endpoints } = &mut *known;
        let mut next = Known::default();
        let groups = table.backends().iter().map(|backend| {
            let upstream = backend.upstream.as_ref()?;
            let name = (upstream.namespace.clone(), upstream.name.clone());
            let old = old_endpoints.get(&name);
            let endpoints = next.endpoints.entry(name.clone()).or_default();
            let mut state = |address: &SocketAddr| {
                let kept = || old.and_then(|old| old.get(address)).cloned().unwrap_or_else(|| Arc::new(State::new(*address)));
                Arc::clone(endpoints.entry(*address).or_insert_with(kept))
            };
            let states = backend.ready.iter().chain(&backend.draining).map(&mut state).collect();
            let (_, policy) = next.policies.entry(name).or_insert_with_key(|name| {
                let policy = old_policies.remove(name).map_or_else(|| Arc::new(PolicyState::new(self.workers)), |(_, policy)| policy);
                (Arc::clone(upstream), policy)
            });
            Some(Arc::new(Group { upstream: Arc::clone(upstream), states, policy: Arc::clone(policy), clock: self.clock }))
        });
        let groups = groups.collect();
        *known = next;
        groups
    }

    /// Of each policy that is served, by namespace and name.
    pub(crate) fn counts(&self) -> Vec<PolicyCounts> {
        let (known, now) = (self.known.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now());
        let of = |(name, (upstream, policy)): (&Name, &(Arc<Upstream>, Arc<PolicyState>))| {
            let mut counts = PolicyCounts {
                namespace: name.0.clone(),
                name: name.1.clone(),
                healthy: 0,
                down: 0,
                ejected: 0,
                ejections: policy.ejections.load(Relaxed),
                passed: policy.passed.load(Relaxed),
                failed: policy.failed.load(Relaxed),
            };
            for state in known.endpoints.get(name).into_iter().flat_map(HashMap::values) {
                let count = match state.is_healthy(upstream, now) {
                    true => &mut counts.healthy,
                    false if upstream.active.is_some() && state.is_down() => &mut counts.down,
                    false => &mut counts.ejected,
                };
                *count += 1;
            }
            counts
        };
        let mut all: Vec<_> = known.policies.iter().map(of).collect();
        all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        all
    }
}
