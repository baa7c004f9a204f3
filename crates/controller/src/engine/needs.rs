//! What is watched beside the kinds that always are, as the objects ask for it, and whether all of it has been told.

use super::Engine;
use serin_compiler::{Key, KeySetNeeds, Need, SecretNeeds};
use std::collections::BTreeSet;
use std::mem::take;

/// What is watched and fetched now, and whether that must be looked at again.
#[derive(Debug)]
pub(super) struct Needs {
    pub(super) listed: Listed,
    /// What releases and Ingresses ask for.
    pub(super) objects: BTreeSet<Need>,
    pub(super) objects_may_differ: bool,
    /// The Secrets that are read.
    pub(super) secrets: SecretNeeds,
    pub(super) secrets_may_differ: bool,
    /// The key sets that are fetched.
    pub(super) key_sets: KeySetNeeds,
    pub(super) key_sets_may_differ: bool,
}

/// Which kinds were listed: the first table waits for all of them.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) services: bool,
    pub(super) slices: bool,
    pub(super) ingresses: bool,
    pub(super) classes: bool,
    pub(super) releases: bool,
    pub(super) backend_policies: bool,
    pub(super) auth_policies: bool,
    pub(super) consumers: bool,
    /// They cannot be read, for want of rights.
    pub(super) consumers_unreadable: bool,
}

impl Needs {
    /// Nothing was listed yet. A Secret may be needed without an object that names it.
    pub(super) fn new() -> Self {
        Self {
            listed: Listed::default(),
            objects: BTreeSet::new(),
            objects_may_differ: false,
            secrets: SecretNeeds::new(),
            secrets_may_differ: true,
            key_sets: KeySetNeeds::default(),
            key_sets_may_differ: false,
        }
    }
}

impl Engine {
    /// What must be watched from now on beside the kinds that always are, if that is something else than before.
    pub fn changed_needs(&mut self) -> Option<&BTreeSet<Need>> {
        if !take(&mut self.needs.objects_may_differ) {
            return None;
        }
        let needs = self.objects.needs(&self.options);
        if needs == self.needs.objects {
            return None;
        }
        let before = std::mem::replace(&mut self.needs.objects, needs);
        // The files of standalone mode have all of it.
        if !self.options.standalone {
            before.difference(&self.needs.objects).for_each(|need| self.objects.forget(need));
        }
        Some(&self.needs.objects)
    }

    /// The Secrets that must be watched from now on, if they are others than before.
    pub fn changed_secret_needs(&mut self) -> Option<&SecretNeeds> {
        if !take(&mut self.needs.secrets_may_differ) {
            return None;
        }
        let needs = self.objects.secret_needs(&self.options);
        if needs == self.needs.secrets {
            return None;
        }
        let before = std::mem::replace(&mut self.needs.secrets, needs);
        // The files of standalone mode have all of them.
        if !self.options.standalone {
            let is_needed = |namespace: &String, name: &String| self.needs.secrets.get(namespace).is_some_and(|names| names.contains(name));
            for (namespace, name) in before.iter().flat_map(|(namespace, names)| names.iter().map(move |name| (namespace, name))) {
                if !is_needed(namespace, name) {
                    self.objects.forget_secret(&Key::new(namespace, name));
                }
            }
        }
        Some(&self.needs.secrets)
    }

    /// The key sets that must be fetched from now on, if they are others than before.
    pub fn changed_key_sets(&mut self) -> Option<&KeySetNeeds> {
        if !take(&mut self.needs.key_sets_may_differ) {
            return None;
        }
        let needs = self.objects.key_set_needs(&self.options);
        if needs == self.needs.key_sets {
            return None;
        }
        self.stale |= self.objects.keep_key_sets(&needs.urls);
        self.needs.key_sets = needs;
        Some(&self.needs.key_sets)
    }

    /// The key sets of which tokens named a key that they do not have, since this was last asked.
    pub fn missed_key_sets(&self) -> impl Iterator<Item = &str> {
        self.objects.missed_key_sets()
    }

    /// Whether every kind was listed once: before that a table would forget routes. What objects ask for is waited for only before the
    /// first table: a release in a namespace that cannot be listed must not stop the others.
    pub fn is_complete(&self) -> bool {
        let Needs { listed, secrets, secrets_may_differ, .. } = &self.needs;
        let Listed { services, slices, ingresses, classes, releases, backend_policies, auth_policies, consumers, consumers_unreadable } =
            *listed;
        let people = || !consumers_unreadable || !self.objects.has_auth_policies();
        let known = || self.objects.has_what_it_needs(&self.options) && self.objects.has_secrets(secrets) && !secrets_may_differ;
        let needed = || self.has_table() || self.options.standalone || (people() && known());
        let listed = services && slices && ingresses && classes && releases && backend_policies && auth_policies && consumers;
        // A fetch is bounded, so this wait is.
        let fetched = || self.has_table() || self.objects.knows_key_sets(&self.options);
        listed && needed() && fetched()
    }
}
