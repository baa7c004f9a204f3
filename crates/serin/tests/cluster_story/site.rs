//! A namespace with serin's rights, two versions of an application and a route to it; and serin itself, as it is shipped.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{self, Answer};
use serin_testkit::cluster::Cluster;
use serin_testkit::load::Plan;
use serin_testkit::origin::{LABEL, Origin};
use serin_testkit::process::Process;
use serin_testkit::{eventually, manifests};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// The rights, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
/// The CRD, as it is shipped.
pub(crate) const CRD: &str = include_str!("../../../../crds/canaryreleases.serin.dev.yaml");
/// The program, as it is built.
const SERIN: &str = env!("CARGO_BIN_EXE_serin");
/// For what takes moments, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// The host of the application's route.
pub(crate) const HOST: &str = "shop.example";

/// The cluster of all tests that break nothing in it.
pub(crate) fn shared() -> Result<&'static Cluster> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let cluster = Cluster::shared()?;
    let prepared = PREPARED.get_or_init(|| cluster.apply_crds(manifests::CRDS).map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))?;
    Ok(cluster)
}

/// One namespace, which is serin's own and the application's at once: the serin of one test sees nothing of another's.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
    pub(crate) stable: Origin,
    pub(crate) canary: Origin,
}

impl<'a> Site<'a> {
    /// Installs serin's rights and its class, two Services and a route to the stable one.
    pub(crate) fn new(cluster: &'a Cluster, namespace: &'a str) -> Result<Self> {
        let start = |label| Origin::start((cluster.outside(200), 0), label);
        let (stable, canary) = (start("v1")?, start("v2")?);
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
            "spec": {"controller": "serin.dev/ingress-controller"}});
        let documents = [
            RIGHTS.replace("serin-system", namespace),
            format!("\n---\n{class}\n"),
            manifests::service(namespace, "checkout", &[stable.address()]),
            manifests::service(namespace, "checkout-v2", &[canary.address()]),
            manifests::ingress(namespace, "shop", HOST, "/", "checkout"),
        ];
        cluster.apply(&documents.concat())?;
        Ok(Self { cluster, namespace, stable, canary })
    }

    /// Starts `serin controller` at this address inside with the rights of its service account, and waits until it is ready.
    pub(crate) fn serin(&self, host: u8) -> Result<Serin> {
        self.serin_of(host, self.namespace)
    }

    /// The same with further options.
    pub(crate) fn serin_with(&self, host: u8, options: &[&str]) -> Result<Serin> {
        self.started(host, self.namespace, "serin", options)
    }

    /// The same for these namespaces, with commas between.
    pub(crate) fn serin_of_with(&self, host: u8, namespaces: &str, options: &[&str]) -> Result<Serin> {
        self.started(host, namespaces, "serin", options)
    }

    /// The same with the rights of another account of this namespace.
    pub(crate) fn serin_as(&self, host: u8, account: &str, options: &[&str]) -> Result<Serin> {
        self.started(host, self.namespace, account, options)
    }

    /// The same for these namespaces, with commas between.
    pub(crate) fn serin_of(&self, host: u8, namespaces: &str) -> Result<Serin> {
        self.started(host, namespaces, "serin", &[])
    }

    fn started(&self, host: u8, namespaces: &str, account: &str, options: &[&str]) -> Result<Serin> {
        let address = self.cluster.inside(host);
        let mut command = self.cluster.command(SERIN);
        command.args(["controller", "--http", &format!("{address}:8080"), "--admin-listen", &format!("{address}:9901")]);
        command.args(["--own-namespace", self.namespace, "--watch-namespaces", namespaces]).args(options);
        command.env("KUBECONFIG", self.cluster.kubeconfig_of(self.namespace, account)?);
        let serin = Serin { process: self.cluster.spawn(&format!("{}-serin", self.namespace), command)?, address };
        eventually("serin is ready", SOON, || {
            let answer = ask::get(serin.admin(), "/readyz", &[("Host", "admin")])?;
            ensure!(answer.status == 200, "readiness is {}:\n{}", answer.status, serin.process.last_lines());
            Ok(())
        })?;
        Ok(serin)
    }

    /// The manifest of the release that most tests are about; what is not in `spec` is as in the README.
    pub(crate) fn release(&self, spec: &Value) -> String {
        let mut whole = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"},
            "split": {"by": "Header", "name": "X-User"}});
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        manifests::release(self.namespace, "checkout", &whole)
    }

    /// kubectl in this namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.cluster.kubectl(&[&["-n", self.namespace], arguments].concat(), "")?.ok()
    }

    /// kubectl in this namespace that goes on beside the test; what it prints is its log.
    pub(crate) fn kubectl_beside(&self, what: &str, arguments: &[&str]) -> Result<Process> {
        let command = self.cluster.kubectl_command(&[&["-n", self.namespace], arguments].concat());
        self.cluster.spawn(&format!("{}-{what}", self.namespace), command)
    }

    /// A line that serin told somebody to paste.
    pub(crate) fn paste(&self, line: &str) -> Result<String> {
        let folder = Path::new(SERIN).parent().context("serin is in no folder")?;
        self.cluster.shell(line, &[folder])?.ok()
    }

    /// The release as the API server has it.
    pub(crate) fn stored(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&["get", "crel", "checkout", "-o", "json", "--show-managed-fields"])?)?)
    }

    /// Waits until the release as the API server has it is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, SOON, || {
            let stored = self.stored()?;
            ensure!(is_so(&stored), "it is {}", stored["status"]);
            Ok(stored)
        })
    }

    /// Waits for a phase.
    pub(crate) fn until_phase(&self, phase: &str) -> Result<Value> {
        self.until(&format!("it is {phase}"), |release| release["status"]["phase"] == phase)
    }

    /// So many requests a second of 200 users to the route, for as long as the test lasts.
    pub(crate) fn plan(&self, serin: &Serin, rate: u32) -> Plan {
        Plan { rate, host: HOST.to_owned(), ..Plan::new(serin.http(), Duration::from_secs(3600)) }
    }
}

/// A running `serin controller`.
pub(crate) struct Serin {
    pub(crate) process: Process,
    address: Ipv4Addr,
}

impl Serin {
    /// Where its proxy listens.
    pub(crate) fn http(&self) -> SocketAddr {
        (self.address, 8080).into()
    }

    fn admin(&self) -> SocketAddr {
        (self.address, 9901).into()
    }

    /// Its metrics. It answers between two tables, so what was published before is what every worker serves.
    pub(crate) fn metrics(&self) -> Result<String> {
        Ok(ask::get(self.admin(), "/metrics", &[("Host", "admin")])?.body)
    }

    /// A request to this host of this user.
    pub(crate) fn ask(&self, host: &str, path: &str, user: &str) -> Result<Answer> {
        ask::get(self.http(), path, &[("Host", host), ("X-User", user)])
    }

    /// Which origin answers there; an error for every status but 200.
    pub(crate) fn origin(&self, host: &str, path: &str, user: &str) -> Result<String> {
        let answer = self.ask(host, path, user)?;
        ensure!(answer.status == 200, "{host}{path}: {}", answer.status);
        Ok(answer.header(LABEL).context("no origin answered")?.to_owned())
    }

    /// Waits until this origin answers there.
    pub(crate) fn until_origin(&self, host: &str, path: &str, user: &str, label: &str) -> Result<()> {
        eventually(&format!("{label} answers {host}{path}"), SOON, || {
            let seen = self.origin(host, path, user)?;
            ensure!(seen == label, "{seen} answers");
            Ok(())
        })
    }
}

/// The condition of this type, as `True/Reason`.
pub(crate) fn condition(release: &Value, of: &str) -> String {
    let (status, reason) = (said(release, of, "status"), said(release, of, "reason"));
    format!("{status}/{reason}")
}

/// A member of the condition of this type.
pub(crate) fn said<'r>(release: &'r Value, of: &str, member: &str) -> &'r str {
    let conditions = release["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == of);
    found.and_then(|condition| condition[member].as_str()).unwrap_or("-")
}
