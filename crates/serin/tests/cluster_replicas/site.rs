//! serin's rights and an application in a namespace of their own, and the release that a test is about.

use crate::history::History;
use crate::replica::Replica;
use crate::turn::Turn;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::origin::Origin;
use serin_testkit::process::{Process, shift_clock};
use serin_testkit::{eventually, manifests, program};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// The rights, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
/// The CRD, as it is shipped.
pub(crate) const CRD: &str = include_str!("../../../../crds/canaryreleases.serin.dev.yaml");
/// For what takes moments, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// A hundred to a percent: a ramp moves by many of them each second, so a jump shows.
pub(crate) const BUCKETS: u32 = 10_000;
/// The host of the one route.
pub(crate) const HOST: &str = "shop.example";

/// The cluster of all tests that stop no API server and change no CRD.
pub(crate) fn shared() -> Result<&'static Cluster> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let cluster = Cluster::shared()?;
    let prepared = PREPARED.get_or_init(|| cluster.apply_crds(CRD).map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))?;
    Ok(cluster)
}

/// One namespace, which is serin's own and the application's at once: replicas of one test see nothing of another's.
pub(crate) struct Site<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
    origins: [Origin; 2],
    _turn: Turn,
}

impl<'a> Site<'a> {
    /// Waits for the test's turn, and installs serin's rights, its class, two Services and a route.
    pub(crate) fn new(cluster: &'a Cluster, namespace: &'a str) -> Result<Self> {
        let turn = Turn::take();
        let start = |label| Origin::start((cluster.outside(200), 0), label);
        let origins = [start("v1")?, start("v2")?];
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
            "spec": {"controller": "serin.dev/ingress-controller"}});
        let [stable, canary] = &origins;
        let documents = [
            format!("{class}\n"),
            manifests::service(namespace, "checkout", &[stable.address()]),
            manifests::service(namespace, "checkout-v2", &[canary.address()]),
            manifests::ingress(namespace, "shop", HOST, "/", "checkout"),
        ];
        let site = Self { cluster, namespace, origins, _turn: turn };
        site.install(namespace)?;
        cluster.apply(&documents.concat())?;
        Ok(site)
    }

    /// serin's rights and Lease in this namespace, and a kubeconfig of its service account there.
    pub(crate) fn install(&self, own: &str) -> Result<()> {
        self.cluster.apply(&RIGHTS.replace("serin-system", own))?;
        let token = self.cluster.kubectl(&["create", "token", "serin", "-n", own], "")?.ok()?;
        let authority = self.cluster.folder().join("ca.crt");
        let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "serin"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.cluster.server(), "certificate-authority": authority}}],
            "users": [{"name": "serin", "user": {"token": token.trim()}}]});
        fs::write(self.kubeconfig(own), kubeconfig.to_string()).context("cannot write the kubeconfig of serin")
    }

    fn kubeconfig(&self, own: &str) -> PathBuf {
        self.cluster.folder().join(format!("kubeconfig-{own}"))
    }

    /// Starts a replica at this address inside, and waits until it is ready.
    pub(crate) fn replica(&self, host: u8) -> Result<Replica> {
        self.replica_of(self.namespace, host, 0)
    }

    /// The same with further options.
    pub(crate) fn replica_with(&self, host: u8, options: &[&str]) -> Result<Replica> {
        self.started(self.namespace, host, 0, options)
    }

    /// What the canary's origin is.
    pub(crate) fn canary(&self) -> &Origin {
        &self.origins[1]
    }

    /// The same with the Lease of another installation, and a wall clock that is ahead by so many seconds.
    pub(crate) fn replica_of(&self, own: &str, host: u8, ahead: i64) -> Result<Replica> {
        self.started(own, host, ahead, &[])
    }

    fn started(&self, own: &str, host: u8, ahead: i64, options: &[&str]) -> Result<Replica> {
        let replica = self.starting(own, host, ahead, options)?;
        eventually("a replica is ready", SOON, || replica.is_ready())?;
        Ok(replica)
    }

    /// Starts a replica at this address inside, as one that a node starts again: whether it gets ready is the test's affair.
    pub(crate) fn restarted(&self, host: u8) -> Result<Replica> {
        self.starting(self.namespace, host, 0, &[])
    }

    fn starting(&self, own: &str, host: u8, ahead: i64, options: &[&str]) -> Result<Replica> {
        let address = self.cluster.inside(host);
        let mut command = self.cluster.command(program("serin")?);
        command.args(["controller", "--http", &format!("{address}:8080"), "--admin-listen", &format!("{address}:9901")]);
        command.args(["--own-namespace", own, "--watch-namespaces", self.namespace, "--decision-header"]);
        command.args(["--propagation-seconds", "10"]).args(options);
        command.env("KUBECONFIG", self.kubeconfig(own)).env("SERIN_LOG", "info,serin_controller=debug");
        if ahead != 0 {
            shift_clock(&mut command, ahead)?;
        }
        let name = format!("{}-serin-{host}", self.namespace);
        Ok(Replica::new(self.cluster.spawn(&name, command)?, address, self.namespace))
    }

    /// Creates the release, or changes its strategy.
    pub(crate) fn release(&self, spec: &Value) -> Result<()> {
        let mut whole = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"},
            "split": {"by": "Header", "name": "X-User", "buckets": BUCKETS}});
        for (field, value) in spec.as_object().into_iter().flatten() {
            whole[field] = value.clone();
        }
        self.cluster.apply(&manifests::release(self.namespace, "checkout", &whole))
    }

    /// The release as the API server has it.
    pub(crate) fn stored(&self) -> Result<Value> {
        let text = self.cluster.kubectl(&["get", "canaryrelease", "checkout", "-n", self.namespace, "-o", "json"], "")?.ok()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until the release as the API server has it is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, SOON, || {
            let stored = self.stored()?;
            ensure!(is_so(&stored), "it is {}", stored["status"]);
            Ok(stored)
        })
    }

    /// kubectl on the release: a verb, and what follows its name.
    pub(crate) fn kubectl(&self, verb: &str, rest: &[&str]) -> Result<()> {
        let mut arguments = vec![verb, "canaryrelease", "checkout", "-n", self.namespace];
        arguments.extend(rest);
        self.cluster.kubectl(&arguments, "")?.ok().map(drop)
    }

    /// Orders a percentage by a merge patch, as somebody would with kubectl.
    pub(crate) fn percentage(&self, percentage: u32) -> Result<()> {
        let patch = json!({"spec": {"strategy": {"percentage": percentage}}}).to_string();
        self.kubectl("patch", &["--type=merge", "-p", &patch])
    }

    /// Starts `serin abort` as the administrator. It ends when a leader has recorded the abort.
    pub(crate) fn start_abort(&self) -> Result<Process> {
        let mut command = self.cluster.command(program("serin")?);
        command.args(["abort", "checkout", "-n", self.namespace]).env("KUBECONFIG", self.cluster.kubeconfig());
        self.cluster.spawn(&format!("{}-abort", self.namespace), command)
    }

    /// `serin abort` until a leader has recorded it.
    pub(crate) fn abort(&self) -> Result<()> {
        let mut abort = self.start_abort()?;
        let status = abort.wait(SOON)?;
        ensure!(status.success(), "serin abort: {}", abort.last_lines());
        Ok(())
    }

    /// Who the Lease says holds it; empty when it was given back.
    pub(crate) fn holder(&self) -> Result<String> {
        let arguments = ["get", "lease", "serin", "-n", self.namespace, "-o", "jsonpath={.spec.holderIdentity}"];
        self.cluster.kubectl(&arguments, "")?.ok()
    }

    /// Takes the replica that leads out of these.
    pub(crate) fn take_leader(&self, replicas: &mut Vec<Replica>) -> Result<Replica> {
        let at = eventually("one of the replicas leads", SOON, || {
            let holder = self.holder()?;
            replicas.iter().position(|replica| replica.leads_as(&holder)).with_context(|| format!("{holder:?} is none of them"))
        })?;
        Ok(replicas.swap_remove(at))
    }

    /// Every version of the release from now on.
    pub(crate) fn history(&self) -> Result<History> {
        let command = self.cluster.kubectl_command(&["get", "canaryreleases", "-n", self.namespace, "-o", "json", "--watch"]);
        let process: Process = self.cluster.spawn(&format!("{}-history", self.namespace), command)?;
        Ok(History::new(process))
    }
}
