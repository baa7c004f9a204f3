//! A folder of `e2e/node` on the node, with serin beside it as `deploy/` ships it.

use crate::site::{SOON, shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{self, Answer};
use serin_testkit::authority::{Authority, Certificate};
use serin_testkit::helm::{CHART, Helm};
use serin_testkit::load::{Plan, Protocol};
use serin_testkit::node::{Node, SERIN};
use serin_testkit::origin::LABEL;
use serin_testkit::process::Process;
use serin_testkit::{eventually, manifests};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// serin's objects, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
pub(crate) const WORKLOAD: &str = include_str!("../../../../deploy/serin.yaml");
/// The program, for commands.
const PROGRAM: &str = env!("CARGO_BIN_EXE_serin");

/// The namespace that the manifests of a folder are in, and the namespace of the serin that watches it.
pub(crate) struct Scenario {
    pub(crate) node: &'static Node,
    folder: PathBuf,
    pub(crate) namespace: &'static str,
    /// serin's own.
    pub(crate) own: String,
    http: SocketAddr,
    pub(crate) https: SocketAddr,
    /// Whom clients by TLS believe, and nobody else.
    pub(crate) authority: Authority,
}

impl Scenario {
    /// Installs so many replicas of serin for this namespace, where PodSecurity `restricted` is enforced, and waits until they are ready.
    pub(crate) fn new(folder: &str, namespace: &'static str, replicas: u32) -> Result<Self> {
        Self::with(folder, namespace, replicas, &[])
    }

    /// The same with further options of serin.
    pub(crate) fn with(folder: &str, namespace: &'static str, replicas: u32, options: &[&str]) -> Result<Self> {
        let (node, own) = (shared()?, format!("{namespace}-serin"));
        let rights = RIGHTS.replace("serin-system", &own);
        node.apply(&[&rights, "\n", &restricted(&own), &workload(&own, namespace, replicas, options)?].concat())?;
        node.wait_for_rollout(&own, "deployment/serin", SOON)?;
        Self::of(node, folder, namespace, own)
    }

    /// The same by the chart, as `serin`.
    pub(crate) fn by_helm(helm: &Helm, folder: &str, namespace: &'static str, replicas: u32) -> Result<Self> {
        let (node, own) = (shared()?, format!("{namespace}-serin"));
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
            "spec": {"controller": "serin.dev/ingress-controller"}});
        node.apply(&[restricted(&own), manifests::namespace(namespace), manifests::document(&class)].concat())?;
        let (repository, tag) = SERIN.rsplit_once(':').context("the image has a tag")?;
        // What all installations on the node share is there.
        let values = json!({"image": {"repository": repository, "tag": tag, "pullPolicy": "Never"}, "replicas": replicas,
            "watchNamespaces": [namespace], "decisionHeader": true, "crds": {"install": false}, "ingressClassResource": {"create": false},
            "rbac": {"aggregate": false}, "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}});
        let values = helm.values(&values.to_string())?;
        let install = ["install", "serin", CHART, "-n", &own, "--values", &values, "--wait", "--timeout", "3m"];
        helm.on(&node.kubeconfig(), &install)?.ok().context("helm install")?;
        Self::of(node, folder, namespace, own)
    }

    fn of(node: &'static Node, folder: &str, namespace: &'static str, own: String) -> Result<Self> {
        let [http, https] = [node.balancer(&own, "serin", 80)?, node.balancer(&own, "serin", 443)?];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/node").join(folder);
        Ok(Self { node, folder, namespace, own, http, https, authority: Authority::new()? })
    }

    /// `kubectl create secret tls` with a new certificate for these names.
    pub(crate) fn secret(&self, name: &str, names: &[&str]) -> Result<Certificate> {
        let certificate = self.authority.certificate(names)?;
        let file = |kind: &str| self.node.folder().join(format!("{}-{name}.{kind}", self.namespace));
        fs::write(file("crt"), &certificate.chain)?;
        fs::write(file("key"), &certificate.key)?;
        let [chain, key] = ["crt", "key"].map(|kind| file(kind).display().to_string());
        self.kubectl(&["create", "secret", "tls", name, "--cert", &chain, "--key", &key])?;
        Ok(certificate)
    }

    /// `kubectl apply -f` of a file of the folder.
    pub(crate) fn apply(&self, file: &str) -> Result<()> {
        let path = self.folder.join(file);
        self.node.kubectl(&["apply", "-f", &path.display().to_string()], "")?.ok().map(drop).context(file.to_owned())
    }

    /// kubectl in the namespace of the manifests.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.node.kubectl(&[&["-n", self.namespace], arguments].concat(), "")?.ok()
    }

    /// kubectl there that goes on beside the test; what it prints is its log.
    pub(crate) fn kubectl_beside(&self, what: &str, arguments: &[&str]) -> Result<Process> {
        let command = self.node.kubectl_command(&[&["-n", self.namespace], arguments].concat());
        self.node.spawn(&format!("{}-{what}", self.namespace), command)
    }

    /// A line for a shell that has `serin` and `kubectl`.
    pub(crate) fn shell(&self, line: &str) -> Result<String> {
        let folder = Path::new(PROGRAM).parent().context("serin is in no folder")?;
        self.node.shell(line, &[folder])?.ok().with_context(|| line.to_owned())
    }

    /// Waits until these workloads of the manifests are rolled out.
    pub(crate) fn rolled_out(&self, workloads: &[&str]) -> Result<()> {
        workloads.iter().try_for_each(|workload| self.node.wait_for_rollout(self.namespace, workload, SOON))
    }

    /// Waits until the release as the API server has it is so.
    pub(crate) fn until(&self, release: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, SOON, || {
            let stored: Value = serde_json::from_str(&self.kubectl(&["get", "crel", release, "-o", "json"])?)?;
            ensure!(is_so(&stored), "it is {}", stored["status"]);
            Ok(stored)
        })
    }

    /// The pods of serin.
    pub(crate) fn replicas(&self) -> Result<Vec<Replica>> {
        let selector = "app.kubernetes.io/component=controller";
        let text = self.node.kubectl(&["get", "pods", "-n", &self.own, "-l", selector, "-o", "json"], "")?.ok()?;
        let list: Value = serde_json::from_str(&text)?;
        let pods = list["items"].as_array().context("no list")?;
        pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).map(Replica::of).collect()
    }

    /// A request over the load balancer's address.
    pub(crate) fn ask(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        ask::get(self.http, path, &[&[("Host", host)], headers].concat())
    }

    /// The same by TLS.
    pub(crate) fn ask_tls(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let headers = [&[("Host", host)], headers].concat();
        Ok(ask::get_tls(&self.authority.client(), host, self.https, path, &headers)?.1)
    }

    /// Waits until this origin answers there.
    pub(crate) fn until_origin(&self, host: &str, path: &str, label: &str) -> Result<()> {
        until_label(&format!("{label} answers {host}{path}"), label, || self.ask(host, path, &[]))
    }

    /// The same by TLS.
    pub(crate) fn until_origin_tls(&self, host: &str, path: &str, label: &str) -> Result<()> {
        until_label(&format!("{label} answers {host}{path} by TLS"), label, || self.ask_tls(host, path, &[]))
    }

    /// So many requests a second of 200 users over the load balancer, for as long as the test lasts.
    pub(crate) fn plan(&self, host: &str, rate: u32) -> Plan {
        Plan { rate, host: host.to_owned(), ..Plan::new(self.http, Duration::from_secs(3600)) }
    }

    /// The same by TLS; by HTTP/2 over a few connections.
    pub(crate) fn plan_tls(&self, host: &str, rate: u32, protocol: Protocol) -> Plan {
        let (connections, streams) = if protocol == Protocol::Http2 { (10, 5) } else { (50, 1) };
        Plan { target: self.https, protocol, tls: Some(self.authority.client()), connections, streams, ..self.plan(host, rate) }
    }
}

fn until_label(what: &str, label: &str, ask: impl Fn() -> Result<Answer>) -> Result<()> {
    eventually(what, SOON, || {
        let answer = ask()?;
        ensure!(answer.status == 200 && answer.header(LABEL) == Some(label), "{}", answer.head);
        Ok(())
    })
}

/// A namespace for serin, where PodSecurity `restricted` is enforced.
fn restricted(name: &str) -> String {
    manifests::document(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}
    }}))
}

/// A pod of serin.
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    /// As containerd names it.
    pub(crate) container: String,
}

impl Replica {
    fn of(pod: &Value) -> Result<Self> {
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).with_context(|| format!("a pod without {pointer}"));
        let container = text("/status/containerStatuses/0/containerID")?.trim_start_matches("containerd://").to_owned();
        Ok(Self { name: text("/metadata/name")?.to_owned(), address: text("/status/podIP")?.parse()?, container })
    }

    /// A request to this replica alone.
    pub(crate) fn ask(&self, host: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        ask::get((self.address, 8080).into(), "/", &[&[("Host", host)], headers].concat())
    }

    /// The same by TLS.
    pub(crate) fn ask_tls(&self, authority: &Authority, host: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let headers = [&[("Host", host)], headers].concat();
        Ok(ask::get_tls(&authority.client(), host, (self.address, 8443).into(), "/", &headers)?.1)
    }

    /// The value of the metric that is so labelled; absent when it is not told.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> Result<Option<f64>> {
        let page = ask::get((self.address, 9901).into(), "/metrics", &[("Host", "admin")])?;
        let line = page.body.lines().find(|line| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label)));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.parse().context("no number")).transpose()
    }
}

/// `deploy/serin.yaml` with the image of the tests, for one namespace, with so many replicas and these options.
fn workload(own: &str, watched: &str, replicas: u32, options: &[&str]) -> Result<String> {
    let image = WORKLOAD.lines().find_map(|line| line.trim().strip_prefix("image: ")).context("no image in deploy/serin.yaml")?;
    let options: String = options.iter().map(|option| format!("        - {option}\n")).collect();
    let mut text = WORKLOAD.replace("serin-system", own);
    for (from, to) in [
        (format!("image: {image}"), format!("image: {SERIN}")),
        (
            "        - controller\n".into(),
            format!("        - controller\n        - --watch-namespaces={watched}\n        - --decision-header\n{options}"),
        ),
        ("replicas: 2\n".into(), format!("replicas: {replicas}\n")),
        // A node of the tests is small, and many are on it.
        ("cpu: 100m".into(), "cpu: 10m".into()),
    ] {
        ensure!(text.contains(&from), "deploy/serin.yaml has no {from:?}");
        text = text.replace(&from, &to);
    }
    Ok(text)
}
