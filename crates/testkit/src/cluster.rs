//! A real etcd and kube-apiserver, fresh for whoever starts them, without node and controllers.
//!
//! Each cluster has a network namespace of its own, so ports of the machine and other clusters do not matter. A wire leads from the
//! machine into it: a client in the test reaches the API server at [`Cluster::server`], and origins in the test listen on an address
//! of [`Cluster::outside`], where processes in the namespace reach them. The API server refuses endpoints on loopback.
//!
//! No controllers means: no EndpointSlices from Services, no garbage collection, no end to the deletion of a namespace. Tests create
//! EndpointSlices, and take a namespace of their own when they share a cluster.
//!
//! All goes when the value is dropped, when the test panics, and when the test process is killed: see `site`.

mod etcd;
mod site;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use crate::kubectl::Output;

use crate::kubectl::Kubectl;
use crate::process::Process;
use crate::run::is_there;
use crate::{certificates, eventually, tools};
use site::Site;

/// Alone on two cores it takes 3 s; beside builds, much longer.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What this machine lacks to start a cluster, and how to get it; `None` when it can.
pub fn missing() -> Option<String> {
    let tools = [
        ("openssl", "version", "openssl"),
        ("ip", "-V", "iproute2"),
        ("unshare", "-V", "util-linux"),
        ("testssl", "--version", "testssl.sh"),
    ];
    if let Some((tool, _, package)) = tools.iter().find(|(tool, argument, _)| !is_there(tool, argument)) {
        return Some(format!("{tool} is not there; install the Debian package {package}"));
    }
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root; run as root, or in a container that is".into());
    }
    let may = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !may {
        return Some("this container may not make network namespaces; give it the capabilities SYS_ADMIN and NET_ADMIN".into());
    }
    tools::KUBERNETES.missing()
}

/// A running control plane without controllers.
pub struct Cluster {
    emulated: Option<String>,
    api_server: Mutex<Option<Process>>,
    _etcd: Process,
    kubectl: Kubectl,
    site: Site,
}

impl Cluster {
    /// Starts both and waits until the API server is ready. The first call on a machine builds them, for minutes.
    ///
    /// # Errors
    /// With the reason of [`missing`], or with the last lines of what did not start. Nothing is left behind.
    pub fn start() -> Result<Self> {
        Self::launch(None)
    }

    /// [`Cluster::start`] with the API of an older version, such as `1.31`: its fields, its defaults and its feature gates.
    ///
    /// # Errors
    /// Those of [`Cluster::start`]; the API server emulates no more than the last few versions.
    pub fn emulating(version: &str) -> Result<Self> {
        Self::launch(Some(version.to_owned()))
    }

    fn launch(emulated: Option<String>) -> Result<Self> {
        if let Some(reason) = missing() {
            bail!("no cluster can run here: {reason}");
        }
        let binaries = tools::KUBERNETES.folder()?;
        let site = Site::claim()?;
        let server = site.address(1);
        certificates::authority(&site.folder, "ca")?;
        certificates::api_server(&site.folder, server)?;
        certificates::client(&site.folder, "ca", "admin", "/O=system:masters/CN=admin")?;
        certificates::service_accounts(&site.folder)?;
        let kubectl = Kubectl { programs: binaries.clone(), folder: site.folder.clone(), namespace: Some(site.namespace.clone()), server };
        kubectl.write_kubeconfig("kubeconfig", "admin")?;
        let etcd = Process::start("etcd", etcd_command(&binaries, &site), &site.folder.join("etcd.log"))?;
        let cluster = Self { emulated, api_server: Mutex::new(None), _etcd: etcd, kubectl, site };
        cluster.start_api_server()?;
        Ok(cluster)
    }

    /// One cluster for all tests of a test binary, started by the first who asks. Give each test a namespace of its own; a test that
    /// stops the API server starts a cluster of its own.
    ///
    /// # Errors
    /// Those of [`Cluster::start`], for everyone who asks.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
    }

    /// The administrator's kubeconfig, good inside and outside the namespace. For a client in the test:
    /// `kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default())`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubectl.kubeconfig()
    }

    /// The URL of the API server.
    pub fn server(&self) -> String {
        format!("https://{}:6443", self.site.address(1))
    }

    /// A folder for what tests write; it goes with the cluster.
    pub fn folder(&self) -> &Path {
        &self.site.folder
    }

    /// An address for a process in the namespace, 2 to 99 (1 is the API server's). The machine reaches it too.
    pub fn inside(&self, host: u8) -> Ipv4Addr {
        debug_assert!(site::INSIDE.contains(&host), "no address {host} inside");
        self.site.address(host)
    }

    /// An address for an origin or a client in the test process, 200 to 249. Processes in the namespace reach it.
    pub fn outside(&self, host: u8) -> Ipv4Addr {
        debug_assert!(site::OUTSIDE.contains(&host), "no address {host} outside");
        self.site.address(host)
    }

    /// A program inside the namespace; start it with [`Cluster::spawn`].
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.kubectl.beside(program.as_ref())
    }

    /// Starts a command of [`Cluster::command`]; its log is `NAME.log` in [`Cluster::folder`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, command: Command) -> Result<Process> {
        Process::start(name, command, &self.site.folder.join(format!("{name}.log")))
    }

    /// kubectl as the administrator, with this standard input.
    ///
    /// # Errors
    /// When it cannot be started; that it failed is in the output.
    pub fn kubectl(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        self.kubectl.run(arguments, stdin)
    }

    /// kubectl as the administrator, for [`Cluster::spawn`]: what it prints is the process's log.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        self.kubectl.command(arguments)
    }

    /// A shell as the administrator, for text that a person would paste: `kubectl` and these programs' folders are in its path.
    ///
    /// # Errors
    /// When it cannot be started; that it failed is in the output.
    pub fn shell(&self, script: &str, folders: &[&Path]) -> Result<Output> {
        self.kubectl.shell(script, folders)
    }

    /// A kubeconfig of this service account, by a token of an hour.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        self.kubectl.kubeconfig_of(namespace, account)
    }

    /// Applies these manifests, server-side.
    ///
    /// # Errors
    /// With what kubectl says when one is refused.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        self.kubectl.apply(manifests)
    }

    /// Applies CRDs and waits until their kinds are served. Apply all in one call and early: the first object of a kind that came
    /// less than 2 s ago waits 2 s in the API server.
    ///
    /// # Errors
    /// When one is refused or not established within 30 s.
    pub fn apply_crds(&self, crds: &str) -> Result<()> {
        self.kubectl.apply_crds(crds)
    }

    /// Kills the API server; etcd stays. Whoever is connected sees the connection break.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stop_api_server(&self) -> Result<()> {
        let process = self.api_server.lock().unwrap_or_else(PoisonError::into_inner).take();
        process.map_or(Ok(()), |mut process| process.sigkill().map(drop))
    }

    /// Starts it again and waits until it is ready.
    ///
    /// # Errors
    /// With its last lines when it ends or is not ready in time.
    pub fn start_api_server(&self) -> Result<()> {
        let mut running = self.api_server.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = api_server_command(&self.kubectl.programs, &self.site);
        command.args(self.emulated.iter().map(|version| format!("--emulated-version={version}")));
        let process = running.insert(self.spawn("kube-apiserver", command)?);
        let answers = eventually("the API server is ready", READY_WITHIN, || {
            if let Some(status) = process.ended()? {
                // Not an error of the condition: it would be asked again until the deadline.
                return Ok(Err(anyhow::anyhow!("kube-apiserver ended ({status})")));
            }
            self.kubectl(&["get", "--raw", "/readyz"], "")?.ok()?;
            // The API server makes this namespace itself, a moment later.
            self.kubectl(&["get", "--raw", "/api/v1/namespaces/default"], "")?.ok().map(|_| Ok(()))
        });
        let outcome = answers.and_then(|ended| ended);
        outcome.with_context(|| format!("kube-apiserver:\n{}", process.last_lines()))
    }

    /// Stores an object past schema and validation, as JSON, under a key such as
    /// `/registry/serin.dev/canaryreleases/NAMESPACE/NAME`. Watchers see it.
    ///
    /// # Errors
    /// When etcd does not answer or refuses.
    pub fn put_raw(&self, key: &str, value: &[u8]) -> Result<()> {
        etcd::put(self.etcd(), key, value)
    }

    /// What etcd holds under this key.
    ///
    /// # Errors
    /// When etcd does not answer.
    pub fn read_raw(&self, key: &str) -> Result<Option<Vec<u8>>> {
        etcd::read(self.etcd(), key)
    }

    fn etcd(&self) -> SocketAddr {
        (self.site.address(1), 2379).into()
    }
}

fn inside(site: &Site, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &site.namespace]).arg(program).current_dir(&site.folder);
    command
}

fn etcd_command(binaries: &Path, site: &Site) -> Command {
    let (client, peer) = (format!("http://{}:2379", site.address(1)), "http://127.0.0.1:2380");
    let mut command = inside(site, &binaries.join("etcd"));
    // A lone etcd waits its election timeout, a second by default.
    command.args(["--data-dir", "etcd", "--unsafe-no-fsync", "--heartbeat-interval", "20", "--election-timeout", "200"]);
    command.args(["--log-level", "warn", "--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]).arg(format!("--initial-cluster=default={peer}"));
    command
}

fn api_server_command(binaries: &Path, site: &Site) -> Command {
    let address = site.address(1);
    let mut command = inside(site, &binaries.join("kube-apiserver"));
    command.arg(format!("--etcd-servers=http://{address}:2379")).arg(format!("--advertise-address={address}"));
    command.args(["--bind-address=0.0.0.0", "--secure-port=6443", "--cert-dir=certificates"]);
    command.args(["--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key", "--client-ca-file=ca.crt"]);
    command.args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"]);
    command.args(["--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=sa.pub"]);
    command.args(["--service-account-signing-key-file=sa.key", "--endpoint-reconciler-type=none", "--profiling=false"]);
    command
}
