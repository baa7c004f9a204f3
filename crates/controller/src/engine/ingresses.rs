//! Ingresses as this replica knows them: the addresses that their status shows.
//!
//! An Ingress of ours shows where serin is reached. One that leaves our class is cleared only where serin is the field's manager by the API
//! server's own record: what another controller wrote is never touched.

use crate::admin::Name;
use crate::kind::Kind;
use crate::update::{Delta, StatusWrite};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::networking::v1::{Ingress, IngressLoadBalancerIngress};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};
use serin_compiler::Key;
use std::collections::{BTreeMap, BTreeSet};

/// How long a write may be on its way before it is sent again.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(15);
/// How soon a write is sent again that failed: by then a conflicting object has come, or the API server is back. Each further failure doubles
/// it, so that a right which is missing is no storm.
const RETRY: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_RETRY: SignedDuration = SignedDuration::from_secs(256);
/// How soon the same Ingress is written again: another controller that takes it for its own must not make it a race.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// So many writes are on their way at once: a thousand Ingresses that get an address together are no storm.
const AT_ONCE: usize = 32;

/// All Ingresses that are read.
#[derive(Debug, Default)]
pub(super) struct Ingresses {
    /// Where serin is reached; `None` while nobody knows or asked: then what is there stays.
    addresses: Option<Vec<IngressLoadBalancerIngress>>,
    objects: BTreeMap<Key, Object>,
    /// Those whose status may be another one than what it should be.
    open: BTreeSet<Key>,
}

#[derive(Debug)]
struct Object {
    uid: String,
    resource_version: String,
    /// `status.loadBalancer.ingress`.
    shown: Vec<IngressLoadBalancerIngress>,
    /// Whether serin wrote it.
    is_serins: bool,
    waits_until: Option<Timestamp>,
    /// Writes that failed in a row.
    failures: u32,
    written: Option<Timestamp>,
}

impl Ingresses {
    /// Takes a change; the compiler's cache takes the same.
    pub(super) fn take(&mut self, delta: &Delta<Ingress>) {
        match delta {
            Delta::Applied(ingress) => self.apply(ingress),
            Delta::Deleted(name) => {
                let key = super::key(name);
                self.objects.remove(&key);
                self.open.remove(&key);
            }
            Delta::Listed(ingresses) => {
                let listed: BTreeSet<Key> = ingresses.iter().map(|ingress| key_of(&ingress.metadata)).collect();
                self.objects.retain(|key, _| listed.contains(key));
                self.open.retain(|key| listed.contains(key));
                ingresses.iter().for_each(|ingress| self.apply(ingress));
            }
        }
    }

    fn apply(&mut self, ingress: &Ingress) {
        let metadata = &ingress.metadata;
        let (key, uid) = (key_of(metadata), metadata.uid.clone().unwrap_or_default());
        let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let old = self.objects.remove(&key).filter(|old| old.uid == uid);
        let object = Object {
            uid,
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            shown: balancer.and_then(|balancer| balancer.ingress.clone()).unwrap_or_default(),
            is_serins: metadata.managed_fields.iter().flatten().any(is_serins),
            waits_until: None,
            failures: 0,
            written: old.and_then(|old| old.written),
        };
        self.objects.insert(key.clone(), object);
        self.open.insert(key);
    }

    /// Where serin is reached from now on.
    pub(super) fn are_at(&mut self, addresses: Option<Vec<IngressLoadBalancerIngress>>) {
        if self.addresses != addresses {
            self.addresses = addresses;
            self.open_all();
        }
    }

    /// All are to be looked at again: whose they are may have changed, or somebody else wrote until now.
    pub(super) fn open_all(&mut self) {
        if self.open.len() < self.objects.len() {
            self.open = self.objects.keys().cloned().collect();
        }
    }

    /// `metadata.uid` of one that is there.
    pub(super) fn uid(&self, key: &Key) -> Option<&str> {
        self.objects.get(key).map(|object| object.uid.as_str())
    }

    pub(super) fn write_failed(&mut self, key: &Key, from: &str, now: Timestamp) {
        if let Some(object) = self.objects.get_mut(key) {
            object.written = None;
            if object.resource_version == from {
                let wait = RETRY * 2_i32.saturating_pow(object.failures.min(8));
                (object.waits_until, object.failures) = (now.checked_add(wait).ok(), object.failures.saturating_add(1));
            }
        }
    }

    /// What is to be written now.
    pub(super) fn decide(&mut self, is_ours: impl Fn(&Key) -> bool, now: Timestamp) -> Vec<StatusWrite> {
        let under_way =
            self.open.iter().filter(|key| self.objects.get(key).is_some_and(|object| object.failures == 0 && object.waits(now))).count();
        let (mut writes, mut done) = (Vec::new(), BTreeSet::new());
        for key in &self.open {
            if under_way + writes.len() >= AT_ONCE {
                break;
            }
            let Some(object) = self.objects.get_mut(key).filter(|object| !object.waits(now)) else { continue };
            let Some(status) = object.next(is_ours(key), self.addresses.as_deref()) else {
                done.insert(key.clone());
                continue;
            };
            if object.written.is_some_and(|written| within(written, AGAIN, now)) {
                continue;
            }
            (object.written, object.waits_until) = (Some(now), now.checked_add(IN_FLIGHT).ok());
            writes.push(StatusWrite {
                kind: Kind::Ingress,
                name: Name { namespace: key.namespace.clone(), name: key.name.clone() },
                uid: object.uid.clone(),
                resource_version: object.resource_version.clone(),
                status,
                events: Vec::new(),
            });
        }
        self.open.retain(|key| !done.contains(key));
        writes
    }
}

impl Object {
    fn waits(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make it wait for longer than that.
        self.waits_until.is_some_and(|until| now < until && until.duration_since(now) <= LONGEST_RETRY)
    }

    /// The status that it should have, if that is another one.
    fn next(&self, is_ours: bool, addresses: Option<&[IngressLoadBalancerIngress]>) -> Option<Value> {
        match addresses.filter(|addresses| is_ours && !addresses.is_empty()) {
            Some(addresses) => (self.shown != addresses).then(|| json!({"loadBalancer": {"ingress": addresses}})),
            // Nobody knows where serin is: what is there may be right.
            None if is_ours && addresses.is_none() => None,
            // Applied without its fields, a status loses those that serin alone manages.
            None => (self.is_serins && !self.shown.is_empty()).then(|| json!({})),
        }
    }
}

/// Whether `earlier` is less than `span` before `now`, by a clock that may have been set back.
fn within(earlier: Timestamp, span: SignedDuration, now: Timestamp) -> bool {
    let since = now.duration_since(earlier);
    !since.is_negative() && since < span
}

fn key_of(metadata: &ObjectMeta) -> Key {
    Key::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
}

/// Whether the entry says that serin wrote the addresses.
fn is_serins(entry: &ManagedFieldsEntry) -> bool {
    let has_addresses = |FieldsV1(fields): &FieldsV1| fields.pointer("/f:status/f:loadBalancer").is_some();
    entry.manager.as_deref() == Some(crate::cluster::FIELD_MANAGER) && entry.fields_v1.as_ref().is_some_and(has_addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(ip: &str) -> IngressLoadBalancerIngress {
        IngressLoadBalancerIngress { ip: Some(ip.to_owned()), ..IngressLoadBalancerIngress::default() }
    }

    fn ingress(version: &str, shown: &[&str], manager: &str) -> Delta<Ingress> {
        let fields = json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}});
        let managers = if shown.is_empty() { json!([]) } else { json!([{"manager": manager, "fieldsV1": fields}]) };
        let shown: Vec<Value> = shown.iter().map(|ip| json!({"ip": ip})).collect();
        let metadata = json!({"namespace": "shop", "name": "shop", "uid": "u", "resourceVersion": version, "managedFields": managers});
        let ingress = json!({"metadata": metadata, "status": {"loadBalancer": {"ingress": shown}}});
        Delta::Applied(Box::new(serde_json::from_value(ingress).unwrap()))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_addresses_are_written_where_they_differ_and_cleared_only_where_serin_wrote_them() {
        let known = Some(vec![ip("10.0.0.1")]);
        let write = || Some(json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}));
        let clear = || Some(json!({}));
        let none = Some(Vec::new());
        // Where serin is; whose the Ingress is; what it shows, and who wrote that; what is written.
        let cases = [
            (&known, true, vec![], "", write()),
            (&known, true, vec!["10.0.0.1"], "serin", None),
            (&known, true, vec!["10.0.0.1"], "nginx", None),
            (&known, true, vec!["10.0.0.9"], "serin", write()),
            (&known, true, vec!["10.0.0.9"], "nginx", write()),
            (&known, false, vec!["10.0.0.1"], "serin", clear()),
            (&known, false, vec!["10.0.0.1"], "nginx", None),
            (&known, false, vec![], "", None),
            (&none, true, vec!["10.0.0.1"], "serin", clear()),
            (&none, true, vec!["10.0.0.1"], "nginx", None),
            (&None, true, vec!["10.0.0.1"], "serin", None),
            (&None, true, vec![], "", None),
            (&None, false, vec!["10.0.0.1"], "serin", clear()),
        ];
        for (addresses, is_ours, shown, manager, expected) in cases {
            let mut ingresses = Ingresses::default();
            ingresses.are_at(addresses.clone());
            ingresses.take(&ingress("1", &shown, manager));
            let writes = ingresses.decide(|_| is_ours, at(100));
            let case = format!("{addresses:?} {is_ours} {shown:?} {manager}");
            assert_eq!(writes.first().map(|write| write.status.clone()), expected, "{case}");
            assert!(writes.iter().all(|write| (write.uid.as_str(), write.resource_version.as_str()) == ("u", "1")), "{case}");
        }
    }

    #[test]
    fn one_is_written_once_again_at_once_when_that_failed_and_slowly_when_somebody_else_writes_it_too() {
        let mut ingresses = Ingresses::default();
        ingresses.are_at(Some(vec![ip("10.0.0.1")]));
        ingresses.take(&ingress("1", &[], ""));
        let writes = |ingresses: &mut Ingresses, second| ingresses.decide(|_| true, at(second)).len();
        assert_eq!((writes(&mut ingresses, 100), writes(&mut ingresses, 101)), (1, 0), "one is on its way");
        ingresses.write_failed(&Key::new("shop", "shop"), "1", at(101));
        assert_eq!((writes(&mut ingresses, 101), writes(&mut ingresses, 102)), (0, 1));
        ingresses.write_failed(&Key::new("shop", "shop"), "1", at(102));
        assert_eq!((writes(&mut ingresses, 103), writes(&mut ingresses, 104)), (0, 1), "the second time it waits twice as long");
        ingresses.take(&ingress("2", &["10.0.0.9"], "nginx"));
        assert_eq!((writes(&mut ingresses, 105), writes(&mut ingresses, 113), writes(&mut ingresses, 114)), (0, 0, 1));
        ingresses.take(&ingress("3", &["10.0.0.1"], "serin"));
        assert_eq!(writes(&mut ingresses, 200), 0);
        ingresses.take(&Delta::Listed(Vec::new()));
        assert!(ingresses.open.is_empty() && ingresses.objects.is_empty());
    }

    #[test]
    fn so_many_are_on_their_way_at_once() {
        let mut ingresses = Ingresses::default();
        ingresses.are_at(Some(vec![ip("10.0.0.1")]));
        let one = |n: u32| serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": n.to_string(), "uid": "u"}})).unwrap();
        ingresses.take(&Delta::Listed((0..100).map(one).collect()));
        assert_eq!(ingresses.decide(|_| true, at(100)).len(), 32);
        assert_eq!(ingresses.decide(|_| true, at(101)).len(), 0);
    }
}
