//! Between what is watched and what is served and written: the cache, the table of it, and the decision on each release.
//!
//! Nothing here waits. The loop around it ([`crate::run`]) brings changes, the time and the counters, and takes tables and writes away.

mod complaints;
mod evidence;
mod fallbacks;
mod identities;
mod ingresses;
mod metrics;
mod needs;
mod pace;
mod peers;
mod policies;
mod release;
mod routes;

use crate::admin::Name;
use crate::kind::Kind;
use crate::update::{Counted, Delta, Event, Said, StatusWrite, Update};
use complaints::Complaints;
pub use evidence::Totals;
use ingresses::Ingresses;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use needs::Needs;
use peers::Peers;
use release::{Seen, Tracked};
use serde_json::Value;
use serin_api::{Condition, Finding, reason};
use serin_compiler::{
    AnyAuthPolicy, AnyBackendPolicy, AnyConsumer, AnyRelease, Cached, Compiled, Compiler, Key, Need, Needed, Objects, Options,
};
use serin_proxy::Counters;
use serin_routing::{Policies, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

/// All that one replica knows.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    objects: Objects,
    stale: bool,
    needs: Needs,
    /// Names outside the cluster that are sent to, and whether they are others than before.
    names: BTreeSet<String>,
    names_differ: bool,
    complaints_differ: bool,
    compiler: Compiler,
    compiled: Compiled,
    policies: Policies,
    version: u64,
    publishing: Duration,
    table: Option<Arc<Table>>,
    /// The epoch that every worker serves, by uid.
    served: BTreeMap<String, u64>,
    releases: BTreeMap<Key, Tracked>,
    /// Whether more of them are due than were decided.
    has_undecided: bool,
    backend_policies: policies::Tracked,
    auth_policies: policies::Tracked,
    consumers: policies::Tracked,
    ingresses: Ingresses,
    complaints: Complaints,
    /// The other replicas, where it is known how to find them, and whether they are asked now.
    peers: Option<Peers>,
    asks_peers: bool,
}

/// So many releases are decided at once: a table, or an answer, does not wait for hundreds.
const AT_ONCE: usize = 16;

/// A table to serve, and what it is called in `serin_table_version`.
#[derive(Debug, Clone)]
pub struct NextTable {
    /// To be published to the proxy.
    pub table: Arc<Table>,
    /// Grows with each table.
    pub version: u64,
}

impl Engine {
    /// Nothing is known yet, and nothing is served.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            objects: Objects::default(),
            stale: true,
            needs: Needs::new(),
            names: BTreeSet::new(),
            names_differ: false,
            complaints_differ: false,
            compiler: Compiler::default(),
            compiled: Compiled::default(),
            policies: Policies::default(),
            version: 0,
            publishing: Duration::ZERO,
            table: None,
            served: BTreeMap::new(),
            releases: BTreeMap::new(),
            has_undecided: false,
            backend_policies: policies::Tracked::new(Kind::BackendPolicy),
            auth_policies: policies::Tracked::new(Kind::AuthPolicy),
            consumers: policies::Tracked::new(Kind::Consumer),
            ingresses: Ingresses::default(),
            complaints: Complaints::default(),
            peers: None,
            asks_peers: false,
        }
    }

    /// From now on other replicas count too: what they say comes as updates. `boot` is the boot id of this one's counters.
    pub fn has_peers(&mut self, boot: &str) {
        self.peers = Some(Peers::of(boot));
    }

    /// Takes a change into the cache.
    pub fn apply(&mut self, update: Update) {
        let objects = &mut self.objects;
        self.stale |= match update {
            // Both say where the API server is too.
            Update::Service(delta) => {
                let matters = take(objects, delta, &mut self.needs.listed.services);
                self.needs.key_sets_may_differ |= matters;
                matters
            }
            Update::EndpointSlice(delta) => {
                let matters = take(objects, delta, &mut self.needs.listed.slices);
                self.needs.key_sets_may_differ |= matters;
                matters
            }
            Update::Ingress(delta) => {
                self.ingresses.take(&delta);
                let matters = take(objects, delta, &mut self.needs.listed.ingresses);
                self.needs.objects_may_differ |= matters;
                self.needs.secrets_may_differ |= matters;
                matters
            }
            Update::Peers(ready, now) => {
                let uids: BTreeSet<&str> = self.releases.values().map(Tracked::uid).collect();
                if let Some(peers) = &mut self.peers {
                    peers.retain(|uid| uids.contains(uid));
                    peers.are(&ready, now);
                }
                self.releases.values_mut().for_each(Tracked::wake);
                false
            }
            Update::Said(address, said, now) => {
                if self.peers.as_mut().is_some_and(|peers| peers.heard(address, said, now)) {
                    self.releases.values_mut().for_each(Tracked::wake);
                }
                false
            }
            Update::Addresses(addresses) => {
                self.ingresses.are_at(addresses);
                false
            }
            Update::IngressClass(delta) => {
                let matters = take(objects, delta, &mut self.needs.listed.classes);
                self.needs.objects_may_differ |= matters;
                self.needs.secrets_may_differ |= matters;
                matters
            }
            Update::BackendPolicy(delta) => {
                let matters = self.backend_policies.take(objects, delta, &mut self.needs.listed.backend_policies, AnyBackendPolicy);
                self.needs.secrets_may_differ |= matters;
                matters
            }
            Update::CanaryRelease(delta) => {
                let matters = self.take_release(delta);
                self.needs.objects_may_differ |= matters;
                matters
            }
            Update::AuthPolicy(delta) => {
                let matters = self.auth_policies.take(objects, delta, &mut self.needs.listed.auth_policies, AnyAuthPolicy);
                self.needs.secrets_may_differ |= matters;
                self.needs.key_sets_may_differ |= matters;
                matters
            }
            Update::Consumer(delta) => {
                self.needs.listed.consumers_unreadable &= !matches!(delta, Delta::Listed(_));
                let matters = self.consumers.take(objects, delta, &mut self.needs.listed.consumers, AnyConsumer);
                self.needs.secrets_may_differ |= matters;
                matters
            }
            Update::Unreadable(kind) => {
                self.needs.listed.consumers_unreadable |= kind == Kind::Consumer;
                false
            }
            Update::ReferenceGrant(delta) => {
                let need = Need::reference_grants();
                // One may still have been on its way when nobody asked for them any more: it would outlive its withdrawal.
                let is_needed = self.options.standalone || self.needs.objects.contains(&need);
                let matters = is_needed && take_needed(objects, need, delta);
                self.needs.secrets_may_differ |= matters;
                matters
            }
            Update::Secret(named, Delta::Listed(found)) => objects.replace_secrets(&named.namespace, &named.names, found),
            // One that nobody names any more may still have been on its way.
            Update::Secret(_, Delta::Applied(secret)) => {
                let (namespace, name) = (secret.metadata.namespace.as_deref(), secret.metadata.name.as_deref());
                let names = namespace.and_then(|namespace| self.needs.secrets.get(namespace));
                let is_needed = self.options.standalone || names.zip(name).is_some_and(|(names, name)| names.contains(name));
                is_needed && objects.apply(*secret)
            }
            // A watch that several share sees all Secrets of its namespace: of one that is not among them it knows nothing.
            Update::Secret(named, Delta::Deleted(name)) => named.names.contains(&name.name) && objects.delete::<Secret>(&key(&name)),
            // One that nobody names any more may still have been on its way.
            Update::KeySet(url, answer) => self.needs.key_sets.urls.contains(&url) && objects.take_key_set(url, answer),
            Update::Host(name, resolution) => objects.take_host(name, resolution),
            Update::Pod(namespace, delta) => take_needed(objects, Need { kind: Needed::Pods, namespace }, delta),
            Update::Deployment(namespace, delta) => take_needed(objects, Need { kind: Needed::Deployments, namespace }, delta),
            Update::StatefulSet(namespace, delta) => take_needed(objects, Need { kind: Needed::StatefulSets, namespace }, delta),
        };
    }

    /// Which names outside the cluster are to be looked up from now on, if those are others than before.
    pub fn changed_names(&mut self) -> Option<&BTreeSet<String>> {
        std::mem::take(&mut self.names_differ).then_some(&self.names)
    }

    /// What the API server of standalone mode refuses of an object whose last good content serves on.
    pub fn refused(&mut self, kind: Kind, name: &Name, findings: Vec<Finding>) {
        match kind {
            Kind::AuthPolicy => self.auth_policies.refused(&key(name), findings),
            Kind::BackendPolicy => self.backend_policies.refused(&key(name), findings),
            Kind::Consumer => self.consumers.refused(&key(name), findings),
            Kind::Ingress => {}
            Kind::CanaryRelease => {
                if let Some(tracked) = self.releases.get_mut(&key(name)) {
                    tracked.refused = findings;
                    tracked.wake();
                }
            }
        }
    }

    fn take_release(&mut self, delta: Delta<Value>) -> bool {
        match delta {
            Delta::Applied(object) => self.release_applied(*object),
            Delta::Deleted(name) => {
                self.releases.remove(&key(&name));
                self.objects.delete::<AnyRelease>(&key(&name))
            }
            Delta::Listed(items) => {
                self.needs.listed.releases = true;
                let listed: Vec<Key> = items.iter().map(release::key_of).collect();
                let gone: Vec<Key> = self.releases.keys().filter(|key| !listed.contains(key)).cloned().collect();
                let mut matters = false;
                for key in gone {
                    self.releases.remove(&key);
                    matters |= self.objects.delete::<AnyRelease>(&key);
                }
                items.into_iter().fold(matters, |matters, item| self.release_applied(item) | matters)
            }
        }
    }

    fn release_applied(&mut self, object: Value) -> bool {
        let key = release::key_of(&object);
        let read = AnyRelease(object.clone());
        match self.releases.get_mut(&key) {
            Some(tracked) => tracked.replace(object),
            None => drop(self.releases.insert(key, Tracked::new(object))),
        }
        self.objects.apply(read)
    }

    /// The table of what is known now, if it is another one than the last. Equal input, equal table, no swap.
    pub fn rebuild(&mut self) -> Option<NextTable> {
        if !self.stale || !self.is_complete() {
            return None;
        }
        self.stale = false;
        self.objects.keep_certificates(&self.options);
        let compiled = self.compiler.compile(&self.objects, &self.options);
        if compiled.names != self.names {
            self.objects.keep_names(&compiled.names);
            (self.names, self.names_differ) = (compiled.names.clone(), true);
        }
        // Else it would send nobody there who was sent there before a restart. Each name is told of soon, be it that nobody answers.
        if !self.has_table() && !self.objects.knows_names(&self.names) {
            return None;
        }
        let same = self.version > 0 && compiled.config == self.compiled.config;
        if compiled != self.compiled {
            self.complaints_differ = true;
            for key in differing(&compiled.releases, &self.compiled.releases) {
                if let Some(tracked) = self.releases.get_mut(key) {
                    tracked.wake();
                }
            }
            self.backend_policies.open(differing(&compiled.policies, &self.compiled.policies));
            if !compiled.ingresses.keys().eq(self.compiled.ingresses.keys()) {
                self.ingresses.open_all();
            }
            self.auth_policies.open(differing(&compiled.auth_policies, &self.compiled.auth_policies));
            if !Arc::ptr_eq(&compiled.consumers, &self.compiled.consumers) {
                self.consumers.open(differing(&compiled.consumers, &self.compiled.consumers));
            }
        }
        self.compiled = compiled;
        if same {
            return None;
        }
        self.version += 1;
        let table = Arc::new(Table::new(&self.compiled.config, &mut self.policies));
        Some(NextTable { table, version: self.version })
    }

    /// Every worker serves this table; how long it took to build it and to bring it there.
    pub fn served(&mut self, table: Arc<Table>, took: Duration) {
        self.publishing += took;
        let served = table.releases().iter().map(|release| (release.uid.clone(), release.epoch())).collect();
        let before = std::mem::replace(&mut self.served, served);
        for tracked in self.releases.values_mut() {
            if self.served.get(tracked.uid()) != before.get(tracked.uid()) {
                tracked.wake();
            }
        }
        self.table = Some(table);
    }

    /// What is served, once anything is.
    pub fn table(&self) -> Option<&Arc<Table>> {
        self.table.as_ref()
    }

    /// Decides the releases that are due, a few at once, and says what is to be written now of each object. Only the leader
    /// writes.
    pub fn decide(&mut self, counters: &Counters, clock_skew: Option<SignedDuration>, now: Timestamp) -> Vec<StatusWrite> {
        self.has_undecided = false;
        if !self.is_complete() || self.stale {
            return Vec::new();
        }
        let mut writes = Vec::new();
        if let Some(peers) = self.peers.as_mut().filter(|_| !std::mem::replace(&mut self.asks_peers, true)) {
            peers.begin(now);
        }
        let peers = self.peers.as_ref();
        let waits_for = clock_skew.and_then(skew_finding).or_else(|| peers.and_then(|peers| peers.finding(now)));
        let known = self.releases.iter_mut().filter_map(|(key, tracked)| Some((key, tracked, self.compiled.releases.get(key)?)));
        let mut due: Vec<_> = known.filter(|(_, tracked, _)| tracked.is_due(now)).collect();
        due.sort_by_key(|(_, tracked, _)| tracked.due_since());
        self.has_undecided = due.len() > AT_ONCE;
        let counts = if due.is_empty() { Vec::new() } else { counters.snapshot() };
        for (key, tracked, outcome) in due.into_iter().take(AT_ONCE) {
            let (served, waits_for) = (self.served.get(tracked.uid()).copied(), waits_for.as_ref());
            let seen = Seen { outcome, config: &self.compiled.config, served, counts: &counts, counters, peers, waits_for };
            writes.extend(tracked.decide(key, &seen, now));
        }
        // What was compiled is served by now.
        writes.extend(self.backend_policies.decide(&self.compiled, now));
        writes.extend(self.auth_policies.decide(&self.compiled, now));
        writes.extend(self.consumers.decide(&self.compiled, now));
        writes.extend(self.ingresses.decide(|key| self.compiled.ingresses.contains_key(key), now));
        writes
    }

    /// Whether more releases are due than were decided: they are when [`Engine::decide`] is called again.
    pub fn has_undecided(&self) -> bool {
        self.has_undecided
    }

    /// Whether a release waits until each ready replica has said that it serves it.
    pub fn waits_for_peers(&self) -> bool {
        self.peers.is_some() && self.releases.values().any(|tracked| tracked.waits_for_peers)
    }

    /// What is to be told now of Ingresses that are at fault: name, uid and Events. Only the leader tells.
    pub fn faults(&mut self, now: Timestamp) -> Vec<(Name, String, Vec<Event>)> {
        if !self.is_complete() || self.stale {
            return Vec::new();
        }
        let found = self.compiled.ingresses.iter().map(|(key, findings)| (key, &findings[..]));
        let due = self.complaints.due(found.chain(self.compiled.unclassed.iter().map(|(key, finding)| (key, from_ref(finding)))), now);
        let told = due.into_iter().filter_map(|(key, events)| {
            let uid = self.ingresses.uid(&key)?.to_owned();
            Some((Name { namespace: key.namespace, name: key.name }, uid, events))
        });
        told.collect()
    }

    /// This replica does not decide: what it shows is what the leader wrote.
    pub fn follow(&mut self) {
        self.has_undecided = false;
        self.releases.values_mut().for_each(Tracked::follow);
        self.backend_policies.open_all();
        self.auth_policies.open_all();
        self.consumers.open_all();
        self.ingresses.open_all();
        self.complaints.forget();
        if let Some(peers) = self.peers.as_mut().filter(|_| std::mem::replace(&mut self.asks_peers, false)) {
            peers.rest();
        }
    }

    /// A write went through, without the fields that the CRD of the cluster does not have.
    pub fn written(&mut self, kind: Kind, name: &Name, cut: Vec<String>) {
        // Conditions alone have never had other fields.
        if let (Kind::CanaryRelease, Some(tracked)) = (kind, self.releases.get_mut(&key(name))) {
            tracked.cut = cut;
        }
    }

    /// A write onto this `resourceVersion` did not go through: the object is decided on again in a moment.
    pub fn write_failed(&mut self, kind: Kind, name: &Name, from: &str, now: Timestamp) {
        match kind {
            Kind::AuthPolicy => self.auth_policies.write_failed(&key(name), from, now),
            Kind::BackendPolicy => self.backend_policies.write_failed(&key(name), from, now),
            Kind::Consumer => self.consumers.write_failed(&key(name), from, now),
            Kind::Ingress => self.ingresses.write_failed(&key(name), from, now),
            Kind::CanaryRelease => {
                if let Some(tracked) = self.releases.get_mut(&key(name)) {
                    tracked.write_failed(from, now);
                }
            }
        }
    }

    /// What this replica says of itself.
    pub fn said(&self, counters: &Counters, now: Timestamp) -> Said {
        let counted = evidence::by_release(&counters.snapshot());
        let exists = |uid: &str| self.releases.values().any(|tracked| tracked.uid() == uid);
        let counted = counted.into_iter().filter(|((uid, _), _)| exists(uid));
        Said {
            boot: counters.boot().to_owned(),
            at: now,
            served: self.served.clone(),
            counted: counted.map(|((uid, id), totals)| Counted { uid, id, totals }).collect(),
        }
    }

    /// All releases with their status, true to the moment.
    pub fn releases(&self) -> Vec<Value> {
        self.releases.values().map(Tracked::shown).collect()
    }

    /// One release with its status, true to the moment.
    pub fn release(&self, name: &Name) -> Option<Value> {
        self.releases.get(&key(name)).map(Tracked::shown)
    }

    /// Whether each release was decided, and what its status says is served (standalone mode's readiness).
    pub fn is_settled(&self) -> bool {
        self.version > 0 && self.releases.values().all(|tracked| tracked.is_settled(self.served.get(tracked.uid()).copied()))
    }

    /// Whether a table is served.
    pub fn has_table(&self) -> bool {
        self.version > 0
    }

    /// Whether [`Engine::complaints`] may be others than when this was last asked.
    pub fn complaints_differ(&mut self) -> bool {
        std::mem::take(&mut self.complaints_differ)
    }

    /// What is wrong with objects that have no status of ours, or one that nobody can ask for where there is no API server:
    /// `kind namespace/name` and what to say.
    pub fn complaints(&self) -> impl Iterator<Item = (String, &Finding)> {
        let policies = self.compiled.policies.iter().filter(|_| self.options.standalone).map(|told| ("BackendPolicy", told));
        let all = self.compiled.ingresses.iter().map(|told| ("Ingress", told)).chain(policies);
        let unclassed = self.compiled.unclassed.iter().map(|(key, finding)| (format!("Ingress {key}"), finding));
        let all =
            unclassed.chain(all.flat_map(|(kind, (key, findings))| findings.iter().map(move |finding| (format!("{kind} {key}"), finding))));
        all.chain(self.compiled.default_certificate.iter().map(|finding| ("--default-tls-secret".to_owned(), finding)))
    }
}

fn take<K: Cached>(objects: &mut Objects, delta: Delta<K>, listed: &mut bool) -> bool {
    match delta {
        Delta::Applied(object) => objects.apply(*object),
        Delta::Deleted(name) => objects.delete::<K>(&key(&name)),
        Delta::Listed(items) => {
            *listed = true;
            objects.replace(items)
        }
    }
}

/// The keys of what is another one now, or new.
fn differing<'o, T: PartialEq>(now: &'o BTreeMap<Key, T>, before: &'o BTreeMap<Key, T>) -> impl Iterator<Item = &'o Key> {
    now.iter().filter(|(key, outcome)| before.get(key) != Some(outcome)).map(|(key, _)| key)
}

fn take_needed<K: Cached>(objects: &mut Objects, need: Need, delta: Delta<K>) -> bool {
    match delta {
        Delta::Applied(object) => objects.apply(*object),
        Delta::Deleted(name) => objects.delete::<K>(&key(&name)),
        Delta::Listed(items) => objects.replace_needed(need, items),
    }
}

/// A leader whose clock is further off raises nothing: what it writes as `until` would be wrong by as much.
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(10);

fn skew_finding(skew: SignedDuration) -> Option<Finding> {
    let message =
        || format!("The leader's clock is {} s off the API server's, so nothing rises. Set the clock of its node.", skew.as_secs());
    (skew.abs() > MOST_SKEW).then(|| Finding {
        condition: Condition::Programmed,
        reason: reason::CLOCK_SKEW,
        field: String::new(),
        message: message(),
    })
}

fn key(name: &Name) -> Key {
    Key::new(&name.namespace, &name.name)
}

#[cfg(test)]
mod tests;
