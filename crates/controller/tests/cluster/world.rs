//! A cluster with serin's CRD and rights in it, and serin's own client.

use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use serin_controller::admin::Name;
use serin_controller::cluster;
use serin_testkit::cluster::Cluster;
use serin_testkit::manifests;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// The rights, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
/// The CRD, as it is shipped.
pub(crate) const CRD: &str = include_str!("../../../../crds/canaryreleases.serin.dev.yaml");
/// For what takes moments, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The cluster that tests share, with the CRD. Each test takes a namespace of its own.
pub(crate) fn shared() -> Result<&'static Cluster> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let cluster = Cluster::shared()?;
    let prepared = PREPARED.get_or_init(|| cluster.apply_crds(manifests::CRDS).map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))?;
    Ok(cluster)
}

/// Makes a namespace for a test.
pub(crate) fn namespace(cluster: &Cluster, name: &str) -> Result<()> {
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string())
}

/// Installs serin's rights and Lease with this namespace as serin's own, and gives the token of its service account.
pub(crate) fn install(cluster: &Cluster, namespace: &str) -> Result<String> {
    cluster.apply(&RIGHTS.replace("serin-system", namespace))?;
    let token = cluster.kubectl(&["create", "token", "serin", "-n", namespace], "")?.ok()?;
    Ok(token.trim().to_owned())
}

/// A client of the service account with this token.
pub(crate) async fn serin(kubeconfig: &std::path::Path, token: &str) -> Result<kube::Client> {
    let mut config = config(kubeconfig).await?;
    config.auth_info = kube::config::AuthInfo { token: Some(token.to_owned().into()), ..Default::default() };
    Ok(cluster::client(config)?)
}

/// The same by another way: a wire that leads to the API server.
pub(crate) async fn through(kubeconfig: &std::path::Path, token: &str, wire: SocketAddr) -> Result<kube::Client> {
    let mut config = config(kubeconfig).await?;
    config.auth_info = kube::config::AuthInfo { token: Some(token.to_owned().into()), ..Default::default() };
    config.tls_server_name = config.cluster_url.host().map(str::to_owned);
    config.cluster_url = format!("https://{wire}").parse()?;
    Ok(cluster::client(config)?)
}

/// The administrator's client, for what a user does.
pub(crate) async fn admin(cluster: &Cluster) -> Result<kube::Client> {
    Ok(kube::Client::try_from(config(&cluster.kubeconfig()).await?)?)
}

async fn config(kubeconfig: &std::path::Path) -> Result<kube::Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// The releases of a namespace.
pub(crate) fn releases(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("serin.dev", "v1alpha1", "CanaryRelease");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, "canaryreleases"))
}

/// The least release that works.
pub(crate) fn release(namespace: &str, name: &str) -> Value {
    let spec = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}});
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// Creates the least release that works.
pub(crate) async fn create_release(client: &kube::Client, namespace: &str, name: &str) -> Result<DynamicObject> {
    let object = serde_json::from_value(release(namespace, name))?;
    Ok(releases(client, namespace).create(&PostParams::default(), &object).await?)
}

/// A namespace and a name.
pub(crate) fn named(namespace: &str, name: &str) -> Name {
    Name { namespace: namespace.to_owned(), name: name.to_owned() }
}

/// Asks until there is an answer; the error has what was waited for and the last refusal.
pub(crate) async fn eventually<T, F: Future<Output = Result<T>>>(what: &str, mut condition: impl FnMut() -> F) -> Result<T> {
    let deadline = Instant::now() + SOON;
    loop {
        match condition().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => return Err(error).with_context(|| format!("not within {SOON:?}: {what}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
