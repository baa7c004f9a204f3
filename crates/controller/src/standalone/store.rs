//! The store of standalone mode: it plays the API server's part, with the same rules.
//!
//! Files own an object's content, labels and annotations; commands add annotations of their own; status is written against a
//! resourceVersion. What the API server would refuse is not stored: the last good content serves on.

use super::manifests::{Key, Manifest};
use crate::kind::Kind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use serin_api::Finding;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Every object, as an API server would serve it.
#[derive(Debug, Default)]
pub struct Store {
    objects: BTreeMap<Key, Stored>,
    resource_version: u64,
}

/// One object.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The object with its metadata and status.
    pub object: Value,
    /// Why the content that the file has now is refused; the object holds the last good one.
    pub refused: Vec<Finding>,
    /// Whether the content is one that was admitted; what never was is shown as it is, so that its author sees what is refused.
    good: bool,
    /// Annotations that the file gave: only these go when the file drops them.
    of_file: BTreeSet<String>,
    /// What was applied last: the same again changes nothing.
    applied: Option<Arc<Manifest>>,
}

/// An object as `--state` keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    object: Value,
    of_file: BTreeSet<String>,
    good: bool,
}

/// An object that is another one now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was written.
    Applied(Key),
    /// It is gone.
    Deleted(Key),
}

/// A write that came too late, or to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is no such object.
    #[error("{0} not found")]
    NotFound(Key),
    /// The object changed since it was read: read and decide again.
    #[error("{0} has changed: read it again")]
    Conflict(Key),
}

/// What may be stored at all, and what a new object is given.
pub trait Admission {
    /// Applies defaults, and says why the content would be refused; empty when it would not.
    fn admit(&mut self, key: &Key, object: &mut Value) -> Vec<Finding>;
    /// A uid for a new object.
    fn uid(&mut self) -> String;
}

impl Store {
    /// Every object, in the order of its key.
    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Stored)> {
        self.objects.iter()
    }

    /// One object.
    pub fn object(&self, key: &Key) -> Option<&Stored> {
        self.objects.get(key)
    }

    /// What `--state` keeps: the objects of serin's own kinds, whole.
    pub fn kept(&self) -> Vec<Kept> {
        let ours = self.objects.iter().filter(|(key, _)| Kind::named(&key.kind).is_some());
        ours.map(|(_, stored)| Kept { object: stored.object.clone(), of_file: stored.of_file.clone(), good: stored.good }).collect()
    }

    /// Objects as they were kept, before the files are read for the first time.
    pub fn restore(&mut self, kept: Vec<Kept>) {
        for Kept { object, of_file, good } in kept {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let key = Key { kind: text("/kind"), namespace: text("/metadata/namespace"), name: text("/metadata/name") };
            let version = text("/metadata/resourceVersion").parse().unwrap_or(0);
            self.resource_version = self.resource_version.max(version);
            self.objects.insert(key, Stored { object, refused: Vec::new(), good, of_file, applied: None });
        }
    }

    /// The files hold exactly these objects now.
    pub fn replace(&mut self, mut manifests: BTreeMap<Key, Arc<Manifest>>, admission: &mut impl Admission, now: Timestamp) -> Vec<Change> {
        let gone: Vec<Key> = self.objects.keys().filter(|key| !manifests.contains_key(key)).cloned().collect();
        let mut changes: Vec<Change> = gone.into_iter().inspect(|key| drop(self.objects.remove(key))).map(Change::Deleted).collect();
        while let Some((key, manifest)) = manifests.pop_first() {
            let is_known =
                self.objects.get(&key).and_then(|stored| stored.applied.as_ref()).is_some_and(|last| Arc::ptr_eq(last, &manifest));
            if !is_known && self.apply(&key, &manifest, admission, now) {
                changes.push(Change::Applied(key));
            }
        }
        changes
    }

    fn apply(&mut self, key: &Key, manifest: &Arc<Manifest>, admission: &mut impl Admission, now: Timestamp) -> bool {
        let mut object = manifest.object.clone();
        let refused = admission.admit(key, &mut object);
        let old = self.objects.get(key);
        let (content, labels, annotations) = (content(&object), object["metadata"]["labels"].take(), annotations(&object));
        let of_file: BTreeSet<String> = annotations.keys().cloned().collect();
        let mut next = match old {
            Some(old) => old.clone(),
            None => Stored {
                object: born(key, &object, admission.uid(), now),
                refused: Vec::new(),
                good: false,
                of_file: BTreeSet::new(),
                applied: None,
            },
        };
        if refused.is_empty() || !next.good {
            next.good = refused.is_empty();
            let changed = self::content(&next.object) != content;
            // Another version, or a kind of the same name: whoever reads it looks at that.
            next.object["apiVersion"] = object["apiVersion"].take();
            replace_content(&mut next.object, content);
            if old.is_some() && changed {
                next.object["metadata"]["generation"] = json!(generation(&next.object) + 1);
            }
        }
        let mut merged = self::annotations(&next.object);
        merged.retain(|name, _| !next.of_file.contains(name));
        merged.extend(annotations);
        set_or_remove(&mut next.object["metadata"], "annotations", Value::Object(merged));
        set_or_remove(&mut next.object["metadata"], "labels", labels);
        (next.refused, next.of_file) = (refused, of_file);
        next.applied = Some(Arc::clone(manifest));
        if let Some(old) = self.objects.get_mut(key)
            && old.object == next.object
            && old.refused == next.refused
        {
            old.applied = next.applied;
            return false;
        }
        self.put(key.clone(), next);
        true
    }

    /// Merges annotations, as a merge patch of `metadata.annotations` does; `None` removes one.
    pub fn annotate(&mut self, key: &Key, patch: &[(&str, Option<&str>)]) -> Result<(), WriteError> {
        let mut next = self.objects.get(key).cloned().ok_or_else(|| WriteError::NotFound(key.clone()))?;
        let mut merged = annotations(&next.object);
        for (name, value) in patch {
            match value {
                Some(value) => merged.insert((*name).to_owned(), json!(value)),
                None => merged.remove(*name),
            };
        }
        set_or_remove(&mut next.object["metadata"], "annotations", Value::Object(merged));
        self.put(key.clone(), next);
        Ok(())
    }

    /// Writes the whole status, if the object is still the one that the decision was made from. Unchanged content bumps nothing.
    pub fn write_status(&mut self, key: &Key, resource_version: &str, status: Value) -> Result<(), WriteError> {
        let mut next = self.objects.get(key).cloned().ok_or_else(|| WriteError::NotFound(key.clone()))?;
        if next.object["metadata"]["resourceVersion"] != resource_version {
            return Err(WriteError::Conflict(key.clone()));
        }
        if next.object["status"] != status {
            next.object["status"] = status;
            self.put(key.clone(), next);
        }
        Ok(())
    }

    fn put(&mut self, key: Key, mut stored: Stored) {
        self.resource_version += 1;
        stored.object["metadata"]["resourceVersion"] = json!(self.resource_version.to_string());
        self.objects.insert(key, stored);
    }
}

/// A new object, without content yet.
fn born(key: &Key, object: &Value, uid: String, now: Timestamp) -> Value {
    let mut metadata = json!({"name": key.name, "uid": uid, "generation": 1, "creationTimestamp": format!("{now:.0}")});
    if !key.namespace.is_empty() {
        metadata["namespace"] = json!(key.namespace);
    }
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata})
}

/// All that files own beside metadata: `spec`, or what a kind has in its place.
fn content(object: &Value) -> Map<String, Value> {
    let (fields, is_ours) = (object.as_object().into_iter().flatten(), is_ours(object));
    fields.filter(|(name, _)| !is_of_the_store(name, is_ours)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn replace_content(object: &mut Value, content: Map<String, Value>) {
    let is_ours = is_ours(object);
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|name, _| is_of_the_store(name, is_ours));
        fields.extend(content);
    }
}

/// The status of another kind, such as a Deployment's, nobody but the author of the file can write.
fn is_of_the_store(field: &str, is_ours: bool) -> bool {
    matches!(field, "apiVersion" | "kind" | "metadata") || (field == "status" && is_ours)
}

fn is_ours(object: &Value) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| version.starts_with("serin.dev/"))
}

fn annotations(object: &Value) -> Map<String, Value> {
    object["metadata"]["annotations"].as_object().cloned().unwrap_or_default()
}

fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(1)
}

fn set_or_remove(metadata: &mut Value, field: &str, value: Value) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    match &value {
        Value::Object(map) if !map.is_empty() => metadata.insert(field.to_owned(), value),
        _ => metadata.remove(field),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_api::Condition;

    /// Refuses what has `spec.bad`.
    struct Rules(u32);

    impl Admission for Rules {
        fn admit(&mut self, _: &Key, object: &mut Value) -> Vec<Finding> {
            let bad = object.pointer("/spec/bad").is_some();
            let finding =
                Finding { condition: Condition::Accepted, reason: "InvalidSpec", field: "spec.bad".into(), message: "It is bad.".into() };
            bad.then_some(finding).into_iter().collect()
        }

        fn uid(&mut self) -> String {
            self.0 += 1;
            format!("uid-{}", self.0)
        }
    }

    fn key() -> Key {
        Key { kind: "CanaryRelease".into(), namespace: "shop".into(), name: "checkout".into() }
    }

    fn file(spec: Value, annotations: Value) -> BTreeMap<Key, Arc<Manifest>> {
        let metadata = json!({"name": "checkout", "namespace": "shop", "annotations": annotations});
        let object = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": metadata, "spec": spec});
        BTreeMap::from([(key(), Arc::new(Manifest { key: key(), object, path: "release.yaml".into() }))])
    }

    fn replace(store: &mut Store, files: BTreeMap<Key, Arc<Manifest>>) -> Vec<Change> {
        store.replace(files, &mut Rules(0), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn generation_counts_changes_of_the_spec_only() {
        let mut store = Store::default();
        assert_eq!(replace(&mut store, file(json!({"weight": 1}), json!({}))), [Change::Applied(key())]);
        assert!(replace(&mut store, file(json!({"weight": 1}), json!({}))).is_empty(), "nothing changed");
        replace(&mut store, file(json!({"weight": 1}), json!({"team": "shop"})));
        assert_eq!(store.object(&key()).unwrap().object["metadata"]["generation"], 1);
        replace(&mut store, file(json!({"weight": 2}), json!({"team": "shop"})));
        let metadata = &store.object(&key()).unwrap().object["metadata"];
        assert_eq!((&metadata["generation"], &metadata["uid"], &metadata["resourceVersion"]), (&json!(2), &json!("uid-1"), &json!("3")));
        assert_eq!(replace(&mut store, BTreeMap::new()), [Change::Deleted(key())]);
    }

    #[test]
    fn refused_content_leaves_the_last_good_one() {
        let mut store = Store::default();
        replace(&mut store, file(json!({"bad": 1}), json!({})));
        assert_eq!(store.object(&key()).unwrap().object["spec"], json!({"bad": 1}), "what was never good is shown as it is");
        replace(&mut store, file(json!({"weight": 2}), json!({})));
        assert!(store.object(&key()).unwrap().refused.is_empty());
        replace(&mut store, file(json!({"bad": 3}), json!({})));
        replace(&mut store, file(json!({"bad": 4}), json!({})));
        let stored = store.object(&key()).unwrap();
        assert_eq!((&stored.object["spec"], stored.refused.len()), (&json!({"weight": 2}), 1));
        assert_eq!(stored.object["metadata"]["generation"], 2);
    }

    #[test]
    fn a_file_drops_its_own_annotations_and_no_command() {
        let mut store = Store::default();
        replace(&mut store, file(json!({}), json!({"team": "shop"})));
        store.annotate(&key(), &[("serin.dev/command", Some("pause@1"))]).unwrap();
        replace(&mut store, file(json!({}), json!({})));
        assert_eq!(store.object(&key()).unwrap().object["metadata"]["annotations"], json!({"serin.dev/command": "pause@1"}));
        store.annotate(&key(), &[("serin.dev/command", None)]).unwrap();
        assert_eq!(store.object(&key()).unwrap().object["metadata"].get("annotations"), None);
    }

    #[test]
    fn what_was_kept_goes_on_where_it_was() {
        let mut store = Store::default();
        replace(&mut store, file(json!({"weight": 1}), json!({"team": "shop"})));
        store.annotate(&key(), &[("serin.dev/command", Some("pause@1"))]).unwrap();
        store.write_status(&key(), "2", json!({"phase": "Paused"})).unwrap();
        let mut restarted = Store::default();
        restarted.restore(store.kept());
        assert!(replace(&mut restarted, file(json!({"weight": 1}), json!({"team": "shop"}))).is_empty());
        assert_eq!(restarted.object(&key()).unwrap().object, store.object(&key()).unwrap().object);
        replace(&mut restarted, file(json!({"weight": 2}), json!({})));
        let object = &restarted.object(&key()).unwrap().object;
        assert_eq!(object["metadata"]["generation"], 2);
        assert_eq!(object["metadata"]["annotations"], json!({"serin.dev/command": "pause@1"}));
        let service = Manifest { key: Key { kind: "Service".into(), ..key() }, object: json!({"kind": "Service"}), path: "a.yaml".into() };
        replace(&mut store, BTreeMap::from([(service.key.clone(), Arc::new(service))]));
        assert!(store.objects().count() == 1 && store.kept().is_empty(), "all else is in the files");
    }

    #[test]
    fn status_is_written_against_the_version_that_was_read() {
        let mut store = Store::default();
        replace(&mut store, file(json!({}), json!({})));
        store.write_status(&key(), "1", json!({"phase": "Pending"})).unwrap();
        assert_eq!(store.write_status(&key(), "1", json!({"phase": "Steady"})), Err(WriteError::Conflict(key())));
        store.write_status(&key(), "2", json!({"phase": "Pending"})).unwrap();
        assert_eq!(store.object(&key()).unwrap().object["metadata"]["resourceVersion"], "2", "unchanged content bumps nothing");
    }
}
