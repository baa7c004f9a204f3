//! `kubectl apply` by a client in the test, which knows when each object was answered.

use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use tokio::runtime::Runtime;

/// An object by kind and name; names are unique over all namespaces here.
pub(crate) type Name = (String, String);

/// When an object was sent, and when the API server had answered.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) name: Name,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
}

/// Applies objects as the administrator.
pub(crate) struct Applier {
    runtime: Runtime,
    client: kube::Client,
}

/// A client as the administrator, for the runtime that asks.
pub(crate) async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// The kinds that are applied.
pub(crate) fn resource(kind: &str) -> ApiResource {
    match kind {
        "Ingress" => ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("networking.k8s.io", "v1", kind), "ingresses"),
        _ => ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("serin.dev", "v1alpha1", kind), "canaryreleases"),
    }
}

pub(crate) fn name(object: &Value) -> Name {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

impl Applier {
    pub(crate) fn new(kubeconfig: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(client(kubeconfig))?;
        Ok(Self { runtime, client })
    }

    /// One after the other, as kubectl does.
    pub(crate) fn in_turn(&self, objects: &[Value]) -> Result<Vec<Applied>> {
        objects.iter().map(|object| self.one(object)).collect()
    }

    pub(crate) fn one(&self, object: &Value) -> Result<Applied> {
        self.runtime.block_on(apply(self.client.clone(), object.clone()))
    }

    /// So many at once, as fast as the API server takes them.
    pub(crate) fn at_once(&self, objects: &[Value], at_once: usize) -> Result<Vec<Applied>> {
        self.runtime.block_on(async {
            let lane = |lane: usize| {
                let (client, objects) = (self.client.clone(), objects.iter().skip(lane).step_by(at_once).cloned().collect::<Vec<_>>());
                tokio::spawn(async move {
                    let mut applied = Vec::new();
                    for object in objects {
                        applied.push(apply(client.clone(), object).await?);
                    }
                    anyhow::Ok(applied)
                })
            };
            let mut applied = Vec::new();
            for lane in (0..at_once).map(lane).collect::<Vec<_>>() {
                applied.extend(lane.await.context("a lane panicked")??);
            }
            Ok(applied)
        })
    }

    /// All Ingresses of this namespace go.
    pub(crate) fn delete_ingresses(&self, namespace: &str) -> Result<()> {
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource("Ingress"));
        self.runtime.block_on(api.delete_collection(&DeleteParams::default(), &ListParams::default()))?;
        Ok(())
    }
}

async fn apply(client: kube::Client, object: Value) -> Result<Applied> {
    let name = name(&object);
    let namespace = object["metadata"]["namespace"].as_str().context("no namespace")?;
    let api = Api::<DynamicObject>::namespaced_with(client, namespace, &resource(&name.0));
    let (params, patch) = (PatchParams::apply("kubectl"), Patch::Apply(&object));
    let sent = Instant::now();
    api.patch(&name.1, &params, &patch).await.with_context(|| format!("cannot apply {name:?}"))?;
    Ok(Applied { name, sent, answered: Instant::now() })
}
