//! A namespace with serin in pods of its own, two versions of an application, and a route to it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{self, Answer};
use serin_testkit::node::{APP, Node, SERIN};
use serin_testkit::origin::LABEL;
use serin_testkit::{eventually, manifests};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// The rights, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
/// For what takes moments, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// The host of the application's route.
pub(crate) const HOST: &str = "shop.example";

/// The node of all tests that break nothing in it.
pub(crate) fn shared() -> Result<&'static Node> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let node = Node::shared()?;
    let prepared = PREPARED.get_or_init(|| node.apply_crds(manifests::CRDS).map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))?;
    Ok(node)
}

/// One namespace, which is serin's own and the application's at once: the serin of one test sees nothing of another's. PodSecurity
/// `restricted` is enforced in it.
pub(crate) struct Site<'a> {
    pub(crate) node: &'a Node,
    pub(crate) namespace: &'a str,
    http: SocketAddr,
}

impl<'a> Site<'a> {
    /// Installs all of it and waits until pods are ready and serin is reached.
    pub(crate) fn new(node: &'a Node, namespace: &'a str) -> Result<Self> {
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
            "spec": {"controller": "serin.dev/ingress-controller"}});
        let enforced = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}
        }});
        let documents = [
            RIGHTS.replace("serin-system", namespace),
            "\n".to_owned(),
            manifests::document(&enforced),
            manifests::document(&class),
            serin(namespace),
            version(namespace, "checkout", APP[0], "v1"),
            version(namespace, "checkout-v2", APP[1], "v2"),
            manifests::ingress(namespace, "shop", HOST, "/", "checkout"),
        ];
        node.apply(&documents.concat())?;
        for workload in ["deployment/checkout", "deployment/checkout-v2", "deployment/serin"] {
            node.wait_for_rollout(namespace, workload, SOON)?;
        }
        Ok(Self { node, namespace, http: node.balancer(namespace, "serin", 80)? })
    }

    /// Applies the release of Service `checkout` with what differs from the README's.
    pub(crate) fn release(&self, spec: &Value) -> Result<()> {
        let mut whole = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"},
            "split": {"by": "Header", "name": "X-User"}});
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        self.node.apply(&manifests::release(self.namespace, "checkout", &whole))
    }

    /// Waits until the release as the API server has it is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, SOON, || {
            let text = self.node.kubectl(&["get", "crel", "checkout", "-n", self.namespace, "-o", "json"], "")?.ok()?;
            let stored: Value = serde_json::from_str(&text)?;
            ensure!(is_so(&stored), "it is {}", stored["status"]);
            Ok(stored)
        })
    }

    /// A request over the load balancer's address.
    pub(crate) fn ask(&self, user: &str) -> Result<Answer> {
        ask::get(self.http, "/", &[("Host", HOST), ("X-User", user)])
    }

    /// Which version answers this user; an error for every status but 200.
    pub(crate) fn version(&self, user: &str) -> Result<String> {
        let answer = self.ask(user)?;
        ensure!(answer.status == 200, "{user}: {}", answer.head);
        Ok(answer.header(LABEL).context("no origin answered")?.to_owned())
    }
}

/// serin as a Deployment, and its Service of type LoadBalancer.
fn serin(namespace: &str) -> String {
    let container = json!({
        "name": "serin", "image": SERIN, "imagePullPolicy": "Never",
        "args": ["controller", "--own-namespace", namespace, "--watch-namespaces", namespace],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9901}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "admin"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": locked(),
    });
    let mut deployment = deployment(namespace, "serin", &container);
    deployment["spec"]["template"]["spec"]["serviceAccountName"] = "serin".into();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "serin", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "selector": {"app": "serin"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    });
    manifests::document(&deployment) + &manifests::document(&service)
}

/// A version of the application, and its Service.
fn version(namespace: &str, name: &str, image: &str, label: &str) -> String {
    let container = json!({
        "name": "app", "image": image, "imagePullPolicy": "Never",
        "args": ["origin", "--listen", "0.0.0.0:8080", "--label", label],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": locked(),
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": manifests::PORT, "targetPort": "http"}]}
    });
    manifests::document(&deployment(namespace, name, &container)) + &manifests::document(&service)
}

fn deployment(namespace: &str, name: &str, container: &Value) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 30, "containers": [container]}
        }}
    })
}

fn locked() -> Value {
    json!({
        "runAsNonRoot": true, "runAsUser": 65532, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}
    })
}
