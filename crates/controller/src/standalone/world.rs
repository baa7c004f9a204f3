//! Standalone mode as a [`World`]: files and the store in place of the API server.

use super::admission;
use super::edit::Edit;
use super::manifests::{Folder, Key, Reading};
use super::state_file::StateFile;
use super::store::{Admission, Change, Store};
use crate::admin::{Name, Refusal};
use crate::kind::Kind;
use crate::run::{Input, World};
use crate::update::{Delta, Event, Named, StatusWrite, Update};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_api::Finding;
use serin_compiler::{AnyReferenceGrant, Need, SecretNeeds};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// The group of ReferenceGrants, before the slash of `apiVersion`.
const GATEWAY_API: &str = "gateway.networking.k8s.io/";

/// What standalone mode knows and does.
#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
    folder: Folder,
    store: Store,
    state: Option<StateFile>,
    changed: mpsc::Receiver<Edit>,
    /// When the folder is read again.
    due: Option<Instant>,
    /// Keeps the watch alive.
    _watcher: notify::RecommendedWatcher,
    inputs: VecDeque<Input>,
    told: BTreeSet<String>,
}

/// The rules of the API server, and uids.
struct Rules;

impl Files {
    /// Reads the folder for the first time.
    pub(super) fn open(dir: PathBuf, state: Option<PathBuf>) -> anyhow::Result<Self> {
        let (tell, changed) = mpsc::channel(64);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Some(edit) = event.ok().and_then(|event| Edit::of(&event.kind)) {
                // When many wait already all files are read again.
                let _ = tell.try_send(edit);
            }
        })?;
        notify::Watcher::watch(&mut watcher, &dir, notify::RecursiveMode::NonRecursive)
            .map_err(|error| anyhow::anyhow!("{}: {error}", dir.display()))?;
        let mut store = Store::default();
        let state = match state {
            Some(path) => {
                let (state, kept) = StateFile::open(&path)?;
                store.restore(kept);
                Some(state)
            }
            None => {
                tracing::warn!("without --state a restart begins each release again");
                None
            }
        };
        let inputs = empty_lists().map(Input::Update).into();
        let mut files =
            Self { dir, folder: Folder::default(), store, state, changed, due: None, _watcher: watcher, inputs, told: BTreeSet::new() };
        let restored: Vec<Key> = files.store.objects().map(|(key, _)| key.clone()).collect();
        files.begin()?;
        // What was restored and is as the file has it is no change of the store, and still new to everyone else.
        restored.into_iter().for_each(|key| files.tell(&Change::Applied(key)));
        files.save()?;
        Ok(files)
    }

    /// Whatever else is wrong with it, a file that could not be read never was served, and nobody knows whom it meant to keep out.
    fn begin(&mut self) -> anyhow::Result<()> {
        let reading = self.folder.read(&self.dir)?;
        if let Some(error) = reading.errors.first() {
            anyhow::bail!("{error}: mend the file, or move it out of the folder, and start again");
        }
        self.take(reading);
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let reading = self.folder.read(&self.dir)?;
        self.take(reading);
        Ok(())
    }

    fn take(&mut self, mut reading: Reading) {
        let repeated =
            reading.repeated.iter().map(|(key, path)| format!("{}: {key} is given in an earlier file too, which holds", path.display()));
        let mut told: BTreeSet<String> = reading.errors.iter().map(ToString::to_string).chain(repeated).collect();
        reading.manifests.retain(|key, manifest| {
            let unnamed = admission::unnamed(&manifest.object);
            told.extend(unnamed.iter().map(|finding| format!("{}: {key}: {finding}", manifest.path.display())));
            unnamed.is_none()
        });
        let paths: BTreeMap<Key, PathBuf> = reading.manifests.iter().map(|(key, m)| (key.clone(), m.path.clone())).collect();
        let changes = self.store.replace(reading.manifests, &mut Rules, Timestamp::now());
        for (key, stored) in self.store.objects() {
            let path = paths.get(key).map(|path| path.display());
            told.extend(stored.refused.iter().zip(path).map(|(finding, path)| format!("{path}: {key}: {finding}")));
        }
        for complaint in told.difference(&self.told) {
            tracing::warn!("{complaint}");
        }
        self.told = told;
        changes.iter().for_each(|change| self.tell(change));
    }

    /// Tells of a change what the controller reads of it.
    fn tell(&mut self, change: &Change) {
        let (key, object) = match change {
            Change::Applied(key) => (key, self.store.object(key)),
            Change::Deleted(key) => (key, None),
        };
        let name = Name { namespace: key.namespace.clone(), name: key.name.clone() };
        let value = object.map(|stored| stored.object.clone());
        let update = match key.kind.as_str() {
            "Service" => Some(Update::Service(typed(key, value))),
            "Pod" => Some(Update::Pod(key.namespace.clone(), typed(key, value))),
            "Deployment" => Some(Update::Deployment(key.namespace.clone(), typed(key, value.map(of_file)))),
            "StatefulSet" => Some(Update::StatefulSet(key.namespace.clone(), typed(key, value.map(of_file)))),
            "EndpointSlice" => Some(Update::EndpointSlice(typed(key, value))),
            "Ingress" => Some(Update::Ingress(typed(key, value))),
            "IngressClass" => Some(Update::IngressClass(typed(key, value))),
            "ReferenceGrant" => {
                // Of other groups it would be another kind.
                let value = value.filter(|value| value["apiVersion"].as_str().is_some_and(|text| text.starts_with(GATEWAY_API)));
                Some(Update::ReferenceGrant(
                    value.map_or(Delta::Deleted(name.clone()), |value| Delta::Applied(Box::new(AnyReferenceGrant(value)))),
                ))
            }
            "Secret" => {
                let named = Named { namespace: key.namespace.clone(), names: [key.name.clone()].into() };
                Some(Update::Secret(Arc::new(named), typed(key, value)))
            }
            ours => Kind::named(ours).and_then(|kind| {
                let delta = value.map_or(Delta::Deleted(name.clone()), |value| Delta::Applied(Box::new(value)));
                Some(match kind {
                    Kind::AuthPolicy => Update::AuthPolicy(delta),
                    Kind::BackendPolicy => Update::BackendPolicy(delta),
                    Kind::CanaryRelease => Update::CanaryRelease(delta),
                    Kind::Consumer => Update::Consumer(delta),
                    // None of serin's own, and told above.
                    Kind::Ingress => return None,
                })
            }),
        };
        let refused = object.and_then(|stored| Some((Kind::named(&key.kind)?, stored.refused.clone())));
        self.inputs.extend(update.map(Input::Update));
        self.inputs.extend(refused.map(|(kind, findings)| Input::Refused(kind, name, findings)));
    }

    fn save(&mut self) -> anyhow::Result<()> {
        match &mut self.state {
            Some(state) => state.save(self.store.kept()),
            None => Ok(()),
        }
    }

    /// On disk before it is shown. A disk that fails is told of, and serving goes on.
    fn save_or_tell(&mut self) {
        if let Err(error) = self.save() {
            tracing::error!("{error:#}: a restart would go back to what was written before");
        }
    }
}

impl World for Files {
    async fn next(&mut self) -> Option<Input> {
        loop {
            if let Some(input) = self.inputs.pop_front() {
                return Some(input);
            }
            let edit = match self.due {
                Some(due) => timeout_at(due, self.changed.recv()).await,
                None => Ok(self.changed.recv().await),
            };
            match edit {
                Ok(edit) => self.due = Some(edit?.due(self.due)),
                Err(_) => {
                    self.due = None;
                    if let Err(error) = self.read() {
                        tracing::error!("{error:#}: what was read before serves on");
                    }
                    self.save_or_tell();
                }
            }
        }
    }

    /// A folder is read whole.
    fn need(&mut self, _: &BTreeSet<Need>) {}

    /// A folder is read whole.
    fn need_secrets(&mut self, _: &SecretNeeds) {}

    /// Many at once are saved once: that writes all objects, and waits for the disk.
    fn write(&mut self, writes: Vec<StatusWrite>) {
        let mut written = Vec::new();
        for write in writes {
            let key = key_of(write.kind, &write.name);
            for event in &write.events {
                let object = format_args!("{}/{}", key.namespace, key.name);
                match write.kind {
                    Kind::CanaryRelease => tracing::info!(release = %object, reason = event.reason, "{}", event.message),
                    kind => tracing::info!(kind = kind.name(), object = %object, reason = event.reason, "{}", event.message),
                }
            }
            match self.store.write_status(&key, &write.resource_version, write.status) {
                Ok(()) => written.push(Change::Applied(key)),
                Err(_) => self.inputs.push_back(Input::NotWritten { kind: write.kind, name: write.name, from: write.resource_version }),
            }
        }
        if !written.is_empty() {
            self.save_or_tell();
            written.iter().for_each(|change| self.tell(change));
        }
    }

    /// The log tells already; without an API server nobody asks for Events.
    fn tell(&mut self, _: &Name, _: &str, _: &[Event]) {}

    fn annotate(&mut self, name: &Name, patch: &[(String, Option<String>)]) -> Result<(), Refusal> {
        let key = key_of(Kind::CanaryRelease, name);
        let patch: Vec<(&str, Option<&str>)> = patch.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        self.store.annotate(&key, &patch).map_err(|_| Refusal::NotFound)?;
        self.save_or_tell();
        self.tell(&Change::Applied(key));
        Ok(())
    }

    fn leads(&self) -> bool {
        true
    }

    fn waits_for_peers(&mut self, _: bool) {}

    fn clock_skew(&self) -> Option<SignedDuration> {
        None
    }
}

impl Admission for Rules {
    fn admit(&mut self, key: &Key, object: &mut Value) -> Vec<Finding> {
        admission::refusals(&key.kind, object)
    }

    fn uid(&mut self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

fn key_of(kind: Kind, name: &Name) -> Key {
    Key { kind: kind.name().to_owned(), namespace: name.namespace.clone(), name: name.name.clone() }
}

/// A workload without what the store gave it: a uid that is another one after each restart, and a generation that its controller never saw.
fn of_file(mut workload: Value) -> Value {
    if let Some(metadata) = workload["metadata"].as_object_mut() {
        metadata.retain(|field, _| field != "uid" && field != "generation");
    }
    workload
}

/// A kind of Kubernetes' own. One that was refused from the start does not parse: it is as if it were not there.
fn typed<K: DeserializeOwned>(key: &Key, object: Option<Value>) -> Delta<K> {
    match object.map(serde_json::from_value) {
        Some(Ok(object)) => Delta::Applied(Box::new(object)),
        Some(Err(_)) | None => Delta::Deleted(Name { namespace: key.namespace.clone(), name: key.name.clone() }),
    }
}

/// A folder is complete from the start.
fn empty_lists() -> [Update; 8] {
    [
        Update::Service(Delta::Listed(Vec::new())),
        Update::EndpointSlice(Delta::Listed(Vec::new())),
        Update::Ingress(Delta::Listed(Vec::new())),
        Update::IngressClass(Delta::Listed(Vec::new())),
        Update::AuthPolicy(Delta::Listed(Vec::new())),
        Update::BackendPolicy(Delta::Listed(Vec::new())),
        Update::Consumer(Delta::Listed(Vec::new())),
        Update::CanaryRelease(Delta::Listed(Vec::new())),
    ]
}
