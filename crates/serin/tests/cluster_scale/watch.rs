//! What a watch of the test sees: when an object came, when its status was right, and how often it was written.

use crate::apply::{Name, client, name, resource};
use anyhow::Result;
use futures::StreamExt;
use futures::stream::select;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::watcher::{Config, Event, watcher};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What is known of one object.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When it was first seen.
    pub(crate) came: Instant,
    /// When it first had any status.
    pub(crate) told: Option<Instant>,
    /// When its status was first seen right.
    pub(crate) settled: Option<Instant>,
    /// How many versions came after the first.
    pub(crate) writes: usize,
    pub(crate) object: Value,
}

/// All Ingresses and releases, from now on; it ends with the test.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Mutex<HashMap<Name, Seen>>>);

impl Watch {
    /// `is_settled` says whether an object's status is right.
    pub(crate) fn start(kubeconfig: &Path, is_settled: fn(&Value) -> bool) -> Result<Self> {
        let watch = Self(Arc::default());
        let (told, kubeconfig) = (watch.clone(), kubeconfig.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(client(&kubeconfig))?;
        std::thread::spawn(move || {
            let of = |kind| watcher(Api::<DynamicObject>::all_with(client.clone(), &resource(kind)), Config::default()).boxed();
            let mut events = select(of("Ingress"), of("CanaryRelease"));
            runtime.block_on(async {
                // A break is taken up again by a list, which tells what there is.
                while let Some(event) = events.next().await {
                    match event {
                        Ok(Event::Apply(object) | Event::InitApply(object)) => told.take(&object, is_settled),
                        Ok(Event::Delete(object)) => told.forget(&object),
                        Ok(Event::Init | Event::InitDone) | Err(_) => {}
                    }
                }
            });
        });
        Ok(watch)
    }

    fn take(&self, object: &DynamicObject, is_settled: fn(&Value) -> bool) {
        let now = Instant::now();
        let object = serde_json::to_value(object).unwrap_or_default();
        let (told, settled) = (object["status"]["conditions"].is_array().then_some(now), is_settled(&object).then_some(now));
        let mut all = self.all();
        let seen = all.entry(name(&object)).and_modify(|seen| seen.writes += 1);
        let seen = seen.or_insert_with(|| Seen { came: now, told: None, settled: None, writes: 0, object: Value::Null });
        (seen.told, seen.settled) = (seen.told.or(told), seen.settled.or(settled));
        seen.object = object;
    }

    fn forget(&self, object: &DynamicObject) {
        self.all().remove(&name(&serde_json::to_value(object).unwrap_or_default()));
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, name: &Name) -> Option<Seen> {
        self.all().get(name).cloned()
    }

    /// How many of a kind there are.
    pub(crate) fn count(&self, kind: &str, is: impl Fn(&Seen) -> bool) -> usize {
        self.all().iter().filter(|(name, seen)| name.0 == kind && is(seen)).count()
    }

    /// All versions of a kind that came after the first of each.
    pub(crate) fn writes(&self, kind: &str) -> usize {
        self.all().iter().filter(|(name, _)| name.0 == kind).map(|(_, seen)| seen.writes).sum()
    }
}
