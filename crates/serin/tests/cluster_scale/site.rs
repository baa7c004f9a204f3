//! serin as its chart installs it: three replicas that hear each other, for all namespaces.

use crate::replica::Replica;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::{eventually, long, manifests, optimised, program};
use std::path::PathBuf;
use std::time::Duration;

/// The rights, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
const NAMESPACE: &str = "serin-system";
/// What the status of each Ingress shows.
pub(crate) const ADDRESS: &str = "192.0.2.7";
/// The addresses of the replicas.
pub(crate) const HOSTS: [u8; 3] = [10, 11, 12];
/// For what takes moments, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A cluster with serin's rights, and what its replicas need to start.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    serin: PathBuf,
    token: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Result<Self> {
        // The figures of the long form are of what is shipped; the short form takes what is there.
        let serin = if long() { optimised("serin")? } else { program("serin")? };
        let cluster = Cluster::start()?;
        cluster.apply_crds(manifests::CRDS)?;
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
            "spec": {"controller": "serin.dev/ingress-controller"}});
        cluster.apply(&format!("{RIGHTS}\n{}{}", manifests::document(&class), peers(&cluster)))?;
        let token = cluster.folder().join("peers-token");
        let asked = ["create", "token", "serin", "-n", NAMESPACE, "--audience", "serin.dev/peers"];
        std::fs::write(&token, cluster.kubectl(&asked, "")?.ok()?.trim())?;
        Ok(Self { cluster, serin, token })
    }

    /// Starts a replica at this address inside, and does not wait.
    pub(crate) fn replica(&self, host: u8) -> Result<Replica> {
        let address = self.cluster.inside(host);
        let mut command = self.cluster.command(&self.serin);
        command.args(["controller", "--http", &format!("{address}:8080"), "--admin", &format!("{address}:9901")]);
        command.args(["--own-namespace", NAMESPACE, "--publish-address", ADDRESS, "--peers-service", &format!("{NAMESPACE}/serin-peers")]);
        command.arg("--peers-token").arg(&self.token);
        command.env("KUBECONFIG", self.cluster.kubeconfig_of(NAMESPACE, "serin")?);
        Ok(Replica { process: self.cluster.spawn(&format!("serin-{host}"), command)?, address })
    }

    /// Waits until one of the replicas leads.
    pub(crate) fn until_led(&self) -> Result<()> {
        let arguments = ["get", "lease", "serin", "-n", NAMESPACE, "-o", "jsonpath={.spec.holderIdentity}"];
        eventually("a replica leads", SOON, || {
            ensure!(!self.cluster.kubectl(&arguments, "")?.ok()?.is_empty(), "nobody holds the Lease");
            Ok(())
        })
    }

    /// How often the status of this resource was written, by the API server's own count, whatever it answered.
    pub(crate) fn status_writes(&self, resource: &str) -> Result<f64> {
        let metrics = self.cluster.kubectl(&["get", "--raw", "/metrics"], "")?.ok()?;
        let is_it = |line: &&str| {
            let has = |label: &str, value: &str| line.contains(&format!("{label}=\"{value}\""));
            line.starts_with("apiserver_request_total{")
                && has("resource", resource)
                && has("subresource", "status")
                && !["GET", "LIST", "WATCH"].iter().any(|verb| has("verb", verb))
        };
        let counts = metrics.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(counts.sum())
    }
}

/// serin's headless Service with the admin ports of the replicas, as the controller of EndpointSlices would keep it.
fn peers(cluster: &Cluster) -> String {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "serin-peers", "namespace": NAMESPACE},
        "spec": {"clusterIP": "None", "ports": [{"name": "admin", "port": 9901}]}});
    let ends: Vec<Value> = HOSTS.iter().map(|host| json!({"addresses": [cluster.inside(*host)], "conditions": {"ready": true}})).collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "serin-peers", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": "serin-peers"}},
        "ports": [{"name": "admin", "port": 9901}], "endpoints": ends});
    manifests::document(&service) + &manifests::document(&slice)
}
