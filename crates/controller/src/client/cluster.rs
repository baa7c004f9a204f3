//! A cluster's releases, by the user's own kubeconfig and rights.

use crate::admin::Name;
use anyhow::Context;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

/// The field manager of what these commands write, and so the tool that a status names.
const TOOL: &str = "serin-cli";

/// The API server that the kubeconfig names.
#[derive(Clone)]
pub struct ClusterClient {
    client: kube::Client,
    namespace: String,
}

impl ClusterClient {
    /// By `KUBECONFIG`, `~/.kube/config` or, in a pod, its service account.
    pub async fn infer() -> anyhow::Result<Self> {
        let config = kube::Config::infer().await.context("no cluster: set KUBECONFIG, or --admin for a standalone")?;
        let namespace = config.default_namespace.clone();
        Ok(Self { client: kube::Client::try_from(config)?, namespace })
    }

    /// The namespace of the kubeconfig's context.
    pub fn default_namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) async fn list(&self, namespace: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource()),
            None => Api::<DynamicObject>::all_with(self.client.clone(), &resource()),
        };
        let list = api.list(&ListParams::default()).await?;
        list.items.into_iter().map(|item| Ok(serde_json::to_value(item)?)).collect()
    }

    pub(super) async fn release(&self, name: &Name) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.api(name).get(&name.name).await?)?)
    }

    pub(super) async fn patch(&self, name: &Name, patch: &Value) -> anyhow::Result<Value> {
        let params = PatchParams { field_manager: Some(TOOL.to_owned()), ..PatchParams::default() };
        Ok(serde_json::to_value(self.api(name).patch(&name.name, &params, &Patch::Merge(patch)).await?)?)
    }

    fn api(&self, name: &Name) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &name.namespace, &resource())
    }
}

impl std::fmt::Debug for ClusterClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterClient").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("serin.dev", "v1alpha1", "CanaryRelease"), "canaryreleases")
}
