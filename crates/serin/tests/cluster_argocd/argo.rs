//! A whole Argo CD as plain processes beside the API server, with the ConfigMap that this repository ships.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::{Cluster, Output};
use serin_testkit::process::Process;
use serin_testkit::{argocd, ask, eventually, manifests};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// What users apply.
const CONFIG: &str = include_str!("../../../../deploy/argocd/argocd-cm.yaml");
/// For what takes moments, on a machine that does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// Where redis and the repo-server listen, inside of the cluster's network namespace.
const REDIS: &str = "127.0.0.1:6379";
const REPOSITORIES: &str = "127.0.0.1:8081";
/// The port of argocd-server.
const PORT: u16 = 8088;

/// Argo CD on the cluster of all tests. All of it ends with the cluster's namespace.
pub(crate) struct Argo {
    pub(crate) cluster: &'static Cluster,
    home: PathBuf,
    server: SocketAddr,
    processes: Vec<Process>,
}

/// The one of all tests, started by the first who asks.
pub(crate) fn shared() -> Result<&'static Argo> {
    static SHARED: OnceLock<Result<Argo, String>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Argo::start().map_err(|error| format!("{error:#}")));
    shared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
}

/// The cluster of all tests, with the CRDs of serin and of Argo CD.
pub(crate) fn prepared() -> Result<&'static Cluster> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let cluster = Cluster::shared()?;
    let apply = || cluster.apply_crds(&[manifests::CRDS, &argocd::crds()?].join("\n---\n"));
    let prepared = PREPARED.get_or_init(|| apply().map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))?;
    Ok(cluster)
}

impl Argo {
    fn start() -> Result<Self> {
        let cluster = prepared()?;
        let label = json!({"app.kubernetes.io/part-of": "argocd"});
        let object = |kind: &str, name: &str| {
            manifests::document(&json!({"apiVersion": "v1", "kind": kind,
                "metadata": {"name": name, "namespace": "argocd", "labels": label}}))
        };
        let everything = json!([{"group": "*", "kind": "*"}]);
        let project = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"namespace": "*", "server": "*"}], "clusterResourceWhitelist": everything}});
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
            "spec": {"controller": "serin.dev/ingress-controller"}});
        cluster.apply(
            &[
                manifests::namespace("argocd"),
                object("Secret", "argocd-secret"),
                object("ConfigMap", "argocd-cm"),
                object("ConfigMap", "argocd-rbac-cm"),
                manifests::document(&project),
                manifests::document(&class),
            ]
            .concat(),
        )?;
        // As docs/argocd.md says.
        cluster.kubectl(&["apply", "--server-side", "-f", "-"], CONFIG)?.ok()?;

        let home = cluster.folder().join("argocd");
        for folder in ["tls", "ssh", "gpg", "gnupg", "plugins"] {
            fs::create_dir_all(home.join(folder))?;
        }
        let kubeconfig = fs::read_to_string(cluster.kubeconfig())?;
        let inside = kubeconfig.replacen("cluster: test, user: test", "cluster: test, user: test, namespace: argocd", 1);
        ensure!(inside != kubeconfig, "the kubeconfig has another form");
        fs::write(home.join("kubeconfig"), inside)?;
        let server = SocketAddr::from((cluster.inside(90), PORT));
        let mut argo = Self { cluster, home, server, processes: Vec::new() };
        argo.run()?;
        Ok(argo)
    }

    fn run(&mut self) -> Result<()> {
        let mut redis = self.cluster.command("redis-server");
        redis.args(["--save", "", "--bind", "127.0.0.1", "--port", "6379"]);
        self.processes.push(self.cluster.spawn("redis", redis)?);
        let (address, port) = (self.server.ip().to_string(), PORT.to_string());
        let common = ["--redis", REDIS, "--repo-server", REPOSITORIES];
        let programs: [(&str, Vec<&str>); 3] = [
            ("argocd-repo-server", vec!["--address", "127.0.0.1", "--port", "8081", "--redis", REDIS]),
            ("argocd-application-controller", [&common[..], &["--app-resync", "10"]].concat()),
            (
                "argocd-server",
                [
                    &common[..],
                    &["--disable-auth", "--insecure", "--address", &address, "--port", &port, "--dex-server", "http://127.0.0.1:1"],
                ]
                .concat(),
            ),
        ];
        for (name, arguments) in programs {
            let mut command = self.command()?;
            command.env("ARGOCD_BINARY_NAME", name).args(arguments);
            self.processes.push(self.cluster.spawn(name, command)?);
        }
        eventually("Argo CD answers", SOON, || {
            let answer = ask::get(self.server, "/healthz?full=true", &[("Host", "argocd")])?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
            Ok(())
        })
        .with_context(|| self.last_lines())
    }

    /// What its parts said last, for an error.
    pub(crate) fn last_lines(&self) -> String {
        self.processes.iter().map(Process::last_lines).collect::<Vec<_>>().join("\n--\n")
    }

    fn command(&self) -> Result<Command> {
        let mut command = self.cluster.command(argocd::program()?);
        let folder = |name: &str| self.home.join(name);
        command.env("HOME", &self.home).env("KUBECONFIG", folder("kubeconfig")).env("ARGOCD_FAKE_IN_CLUSTER", "true");
        command.env("ARGOCD_GPG_ENABLED", "false").env("ARGOCD_GPG_DATA_PATH", folder("gpg")).env("ARGOCD_GNUPGHOME", folder("gnupg"));
        command.env("ARGOCD_TLS_DATA_PATH", folder("tls")).env("ARGOCD_SSH_DATA_PATH", folder("ssh"));
        command.env("ARGOCD_PLUGINSOCKFILEPATH", folder("plugins"));
        Ok(command)
    }

    /// The command line.
    pub(crate) fn argocd(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command()?;
        command.args(["--server", &self.server.to_string(), "--plaintext"]).args(arguments);
        let output = command.output().context("cannot start argocd")?;
        let text = |bytes| String::from_utf8(bytes).context("it printed something other than UTF-8");
        Ok(Output { status: output.status, stdout: text(output.stdout)?, stderr: text(output.stderr)? })
    }

    /// A sync by hand; one that is under way already, by auto-sync, is waited for.
    pub(crate) fn sync(&self, application: &str) -> Result<()> {
        eventually("the sync", SOON, || match self.argocd(&["app", "sync", application, "--timeout", "60"])?.ok() {
            Ok(_) => Ok(()),
            Err(error) => bail!("{error:#}"),
        })
    }

    /// An application, with the health of each of its objects.
    pub(crate) fn application(&self, name: &str) -> Result<Value> {
        let text = self.argocd(&["app", "get", name, "-o", "json"])?.ok()?;
        serde_json::from_str(&text).context("argocd app get")
    }
}
