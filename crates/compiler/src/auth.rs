//! Who may ask what: AuthPolicies and Consumers to what the proxy authenticates by, and what their authors are told.
//!
//! It depends on these kinds, on Secrets and on key sets alone, so it is kept until one of them changes: with ten thousand consumers the next table
//! gets the same directories.

mod consumers;
mod declared;
mod key_sets;
mod policies;
mod routes;
mod secret;

use crate::key::Age;
use crate::{Key, Objects, Options};
pub use declared::{AnyAuthPolicy, AnyConsumer};
pub(crate) use declared::{DeclaredAuthPolicy, DeclaredConsumer};
pub use key_sets::KeySetNeeds;
pub(crate) use key_sets::{KeySet, KeySets};
use policies::{Known, Ruling};
pub(crate) use routes::{Applied, apply};
pub use secret::SecretData;
pub(crate) use secret::{Secrets, invalid as invalid_secret};
use serin_api::Finding;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a Consumer comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOutcome {
    /// The username in force.
    pub username: String,
    /// Whether an AuthPolicy looks for it; if not, its Secrets are not read.
    pub in_reach: bool,
    /// The parser's in the order of the spec, then those of the objects around it; each once.
    pub findings: Vec<Finding>,
}

/// What an AuthPolicy comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthPolicyOutcome {
    /// The scope in force, in words.
    pub resolved_scope: String,
    /// The parser's in the order of the spec, then those of the objects around it; each once. While Accepted or ResolvedRefs is False its
    /// scope answers 503.
    pub findings: Vec<Finding>,
}

/// The Secrets that are read, by namespace.
pub type SecretNeeds = BTreeMap<String, BTreeSet<String>>;

/// All that follows from AuthPolicies, Consumers, Secrets and key sets.
#[derive(Debug)]
pub(crate) struct Resolved {
    options: Options,
    /// In the order of their names.
    rulings: Vec<Ruling>,
    pub(crate) consumers: Arc<BTreeMap<Key, ConsumerOutcome>>,
}

impl Resolved {
    fn new(objects: &Objects, options: &Options) -> Self {
        let reached = reached(objects, options);
        let secrets = Secrets::new(objects, options);
        let (directories, consumers) = consumers::resolve(objects, &secrets, &reached, &options.own_namespace);
        let known = Known { secrets, key_sets: KeySets::new(objects, options) };
        let rulings = objects.auth_policies.values().map(|policy| policies::rule(policy, &known, &directories, &options.own_namespace));
        Self { options: options.clone(), rulings: rulings.collect(), consumers: Arc::new(consumers) }
    }
}

impl Objects {
    /// Kept from the last call, unless something changed since.
    pub(crate) fn resolved(&self, options: &Options) -> Arc<Resolved> {
        let kept = self.resolved.get_or_init(|| Arc::new(Resolved::new(self, options)));
        if kept.options == *options { Arc::clone(kept) } else { Arc::new(Resolved::new(self, options)) }
    }

    /// The Secrets that Ingresses, AuthPolicies and BackendPolicies name, those of the Consumers that AuthPolicies look for, and the operator's.
    pub fn secret_needs(&self, options: &Options) -> SecretNeeds {
        let reached = reached(self, options);
        let mut needs = SecretNeeds::new();
        let of_policies = self.auth_policies.values().flat_map(|policy| policy.secrets().map(|name| (&policy.key, name)));
        let consumers = self.consumers.values().filter(|consumer| reached.contains(consumer.key.namespace.as_str()));
        let of_consumers = consumers.flat_map(|consumer| consumer.secrets().map(|name| (&consumer.key, name)));
        let of_backends = self.policies.iter().flat_map(|(key, policy)| policy.secrets().map(move |name| (key, name)));
        for (key, name) in of_policies.chain(of_consumers).chain(of_backends) {
            if !needs.get(&key.namespace).is_some_and(|names| names.contains(name)) {
                needs.entry(key.namespace.clone()).or_default().insert(name.to_owned());
            }
        }
        for key in self.certificate_secrets(options) {
            needs.entry(key.namespace).or_default().insert(key.name);
        }
        needs
    }

    /// Whether there is any AuthPolicy.
    pub fn has_auth_policies(&self) -> bool {
        !self.auth_policies.is_empty()
    }

    /// Whether every Secret of these was looked for once.
    pub fn has_secrets(&self, needs: &SecretNeeds) -> bool {
        let known = |namespace: &String, name: &String| self.known_secrets.contains(&Key::new(namespace, name));
        needs.iter().all(|(namespace, names)| names.iter().all(|name| known(namespace, name)))
    }

    /// Takes what is there of these Secrets of a namespace; `false` when nothing that is read changed.
    pub fn replace_secrets(&mut self, namespace: &str, names: &BTreeSet<String>, found: Vec<k8s_openapi::api::core::v1::Secret>) -> bool {
        let mut matters = false;
        let mut absent: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        for secret in found {
            let name = secret.metadata.name.clone().unwrap_or_default();
            matters |= absent.remove(name.as_str()) && self.apply(secret);
        }
        for name in absent {
            matters |= self.delete::<k8s_openapi::api::core::v1::Secret>(&Key::new(namespace, name));
        }
        for name in names {
            matters |= self.known_secrets.insert(Key::new(namespace, name.as_str()));
        }
        if matters {
            self.resolved.take();
        }
        matters
    }

    /// Forgets a Secret that nobody names any more.
    pub fn forget_secret(&mut self, key: &Key) {
        self.known_secrets.remove(key);
        self.delete::<k8s_openapi::api::core::v1::Secret>(key);
    }
}

/// The namespaces whose Consumers some AuthPolicy looks for: its own, and serin's.
fn reached<'o>(objects: &'o Objects, options: &'o Options) -> BTreeSet<&'o str> {
    let mut reached: BTreeSet<&str> = objects.auth_policies.keys().map(|key| key.namespace.as_str()).collect();
    if !reached.is_empty() {
        reached.insert(options.own_namespace.as_str());
    }
    reached
}

/// Orders policies on one route: the most specific, then the oldest. The order is that of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    rank: Rank,
    age: Age,
}

/// How specific the scope of a policy is. The order is that of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    RouteService,
    Route,
    Service,
    Namespace,
    Everything,
}
