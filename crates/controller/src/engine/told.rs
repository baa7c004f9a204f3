//! Objects of serin's whose status is nothing but conditions: what their authors are told.

use crate::admin::Name;
use crate::kind::Kind;
use crate::update::{Delta, StatusWrite};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use serin_api::{ConditionsStatus, Finding};
use serin_compiler::{Cached, Key, Objects};
use std::collections::{BTreeMap, BTreeSet};

/// How long a write may be on its way before the object is looked at again.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(15);
/// How soon one is looked at again whose write failed.
const RETRY: SignedDuration = SignedDuration::from_secs(1);

/// All objects of one kind.
#[derive(Debug)]
pub(super) struct Told {
    kind: Kind,
    listed: bool,
    objects: BTreeMap<Key, Author>,
}

/// One object, for whoever wrote it.
#[derive(Debug)]
struct Author {
    object: Value,
    /// Why the content that its file has now is refused (standalone mode).
    refused: Vec<Finding>,
    /// When it is looked at again; `None`: not before something changes.
    due: Option<Timestamp>,
}

impl Told {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, listed: false, objects: BTreeMap::new() }
    }

    /// Whether the kind was listed once.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Takes a change, here and into the cache, which holds such an object as `as_read`; `false` when nothing that is read changed.
    pub(super) fn take<K: Cached>(&mut self, cache: &mut Objects, delta: Delta<Value>, as_read: fn(Value) -> K) -> bool {
        match delta {
            Delta::Applied(object) => self.apply(cache, *object, as_read),
            Delta::Deleted(name) => self.delete::<K>(cache, &super::key(&name)),
            Delta::Listed(items) => {
                self.listed = true;
                let listed: BTreeSet<Key> = items.iter().map(super::release::key_of).collect();
                let gone: Vec<Key> = self.objects.keys().filter(|key| !listed.contains(key)).cloned().collect();
                let matters = gone.iter().fold(false, |matters, key| self.delete::<K>(cache, key) | matters);
                items.into_iter().fold(matters, |matters, item| self.apply(cache, item, as_read) | matters)
            }
        }
    }

    fn apply<K: Cached>(&mut self, cache: &mut Objects, object: Value, as_read: fn(Value) -> K) -> bool {
        let key = super::release::key_of(&object);
        let refused = self.objects.remove(&key).map(|old| old.refused).unwrap_or_default();
        self.objects.insert(key, Author { object: object.clone(), refused, due: Some(Timestamp::MIN) });
        cache.apply(as_read(object))
    }

    fn delete<K: Cached>(&mut self, cache: &mut Objects, key: &Key) -> bool {
        self.objects.remove(key);
        cache.delete::<K>(key)
    }

    /// What the API server of standalone mode refuses of an object whose last good content serves on.
    pub(super) fn refused(&mut self, key: &Key, findings: Vec<Finding>) {
        if let Some(author) = self.objects.get_mut(key) {
            author.refused = findings;
            author.due = Some(Timestamp::MIN);
        }
    }

    /// Something that findings are made from changed.
    pub(super) fn wake(&mut self) {
        self.objects.values_mut().for_each(|author| author.due = Some(Timestamp::MIN));
    }

    /// What is to be written now: the statuses that say something else than these findings.
    pub(super) fn decide(&mut self, findings: &BTreeMap<Key, Vec<Finding>>, now: Timestamp) -> Vec<StatusWrite> {
        let mut writes = Vec::new();
        for (key, author) in &mut self.objects {
            let Some(found) = findings.get(key) else { continue };
            // A clock that was set back must not make it wait for longer than that.
            let is_due = author.due.is_some_and(|due| now >= due || due.duration_since(now) > IN_FLIGHT);
            if !is_due {
                continue;
            }
            author.due = None;
            if let Some(status) = author.write(found, now) {
                author.due = now.checked_add(IN_FLIGHT).ok();
                writes.push(StatusWrite {
                    kind: self.kind,
                    name: Name { namespace: key.namespace.clone(), name: key.name.clone() },
                    uid: author.text("uid"),
                    resource_version: author.text("resourceVersion"),
                    status,
                    events: Vec::new(),
                });
            }
        }
        writes
    }

    /// A write onto this `resourceVersion` did not go through: another one is made in a moment, of the object that is there by then.
    pub(super) fn write_failed(&mut self, key: &Key, from: &str, now: Timestamp) {
        if let Some(author) = self.objects.get_mut(key)
            && author.object["metadata"]["resourceVersion"] == from
        {
            author.due = now.checked_add(RETRY).ok();
        }
    }
}

impl Author {
    /// The status to write, if it is another one than the object's.
    fn write(&self, found: &[Finding], now: Timestamp) -> Option<Value> {
        // A status that does not parse is none.
        let before: ConditionsStatus = serde_json::from_value(self.object["status"].clone()).unwrap_or_default();
        let findings: Vec<Finding> = self.refused.iter().chain(found).cloned().collect();
        let status = before.next(&findings, self.object["metadata"]["generation"].as_i64().unwrap_or(0), now);
        let status = serde_json::to_value(status).expect("a status has only text keys");
        (self.object["status"] != status).then_some(status)
    }

    fn text(&self, field: &str) -> String {
        self.object["metadata"][field].as_str().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serin_compiler::AnyBackendPolicy;

    fn object(version: &str, status: &Value) -> Value {
        let metadata = json!({"namespace": "shop", "name": "checkout", "uid": "u", "resourceVersion": version, "generation": 1});
        json!({"metadata": metadata, "spec": {"service": "checkout"}, "status": status})
    }

    #[test]
    fn a_status_is_written_once_and_again_when_it_says_something_else_or_was_lost() {
        let (mut told, mut cache) = (Told::new(Kind::BackendPolicy), Objects::default());
        let at = |second| Timestamp::from_second(second).unwrap();
        let key = Key::new("shop", "checkout");
        let findings = BTreeMap::from([(key.clone(), Vec::new())]);
        assert!(told.take(&mut cache, Delta::Listed(vec![object("1", &json!(null))]), AnyBackendPolicy) && told.is_listed());
        let first = told.decide(&findings, at(10));
        assert_eq!((first.len(), first[0].resource_version.as_str(), first[0].uid.as_str()), (1, "1", "u"));
        assert!(told.decide(&findings, at(11)).is_empty(), "one is on its way");
        told.write_failed(&key, "0", at(11));
        assert!(told.decide(&findings, at(13)).is_empty(), "what failed was an older one");
        told.write_failed(&key, "1", at(13));
        assert_eq!((told.decide(&findings, at(13)).len(), told.decide(&findings, at(14)).len()), (0, 1));
        let written = told.take(&mut cache, Delta::Applied(Box::new(object("2", &first[0].status))), AnyBackendPolicy);
        assert!(!written && told.decide(&findings, at(20)).is_empty(), "it says so already");
        told.refused(
            &key,
            vec![Finding {
                condition: serin_api::Condition::Accepted,
                reason: "InvalidSpec",
                field: String::new(),
                message: "It is bad.".into(),
            }],
        );
        let next = told.decide(&findings, at(21));
        assert_eq!(next[0].status.pointer("/conditions/0/status"), Some(&json!("False")));
    }
}
