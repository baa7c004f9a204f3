//! A real node on this machine without a container engine of its own: kubelet, containerd, kube-proxy, CoreDNS, the controllers and the
//! scheduler beside etcd and the API server. Pods run.
//!
//! Each node has a network namespace and a subnet of its own, so several can be up. A wire leads from the machine into it, and the machine
//! has routes to the addresses of pods and of Services of type LoadBalancer: a client in the test reaches them as it reaches anything, and
//! pods reach origins in the test at [`Node::outside`]. Nothing gets out to other networks; images are loaded, never pulled.
//!
//! Tests share one ([`Node::shared`]) and have a namespace of their own each. Deleting a namespace takes 5 s and more: leave it be.
//!
//! All goes when the value is dropped, when the test panics, and when the test process is killed: see `keeper`.

mod cgroups;
mod configuration;
mod daemons;
mod images;
mod keeper;
mod place;
mod sysctls;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

pub use crate::kubectl::Output;
pub use daemons::Daemon;
pub use images::{APP, SERIN, target};
pub use keeper::keep;

use crate::kubectl::Kubectl;
use crate::packages::{self, Package};
use crate::process::Process;
use crate::{ask, cluster, eventually, tools};
use place::{Nodes, Place};

/// Alone on two cores all of it takes 6 s; beside builds, much longer.
const READY_WITHIN: Duration = Duration::from_secs(240);
/// The file with the keeper's pid.
const PID: &str = "keeper.pid";
/// Where Debian puts them.
const CNI_PLUGINS: &str = "/usr/lib/cni";

/// Programs of Debian packages that a node needs, and the packages.
pub const PACKAGES: &[Package] = &[
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/bin/nsenter", "util-linux"),
    ("curl", "curl"),
];

/// What this machine lacks to run a node, and how to get it; `None` when it can.
pub fn missing() -> Option<String> {
    let lacking: Vec<&str> = packages::lacking(PACKAGES).collect();
    if !lacking.is_empty() {
        return Some(format!("install the Debian packages {}", lacking.join(" ")));
    }
    cluster::missing().or_else(cgroups::missing).or_else(|| tools::NODE.missing()).or_else(|| tools::COREDNS.missing())
}

/// Builds the programs that are not in the cache yet; takes minutes then.
///
/// # Errors
/// When a build fails.
pub fn build() -> Result<()> {
    [&tools::KUBERNETES, &tools::NODE, &tools::COREDNS].iter().try_for_each(|tools| tools.folder().map(drop))
}

/// A running node with its control plane.
pub struct Node {
    place: Place,
    kubectl: Kubectl,
    /// Of whom this process is the starter; the node ends with its standard input.
    keeper: Option<Child>,
}

impl Node {
    /// Starts one for a test, and waits until it is ready. The first call on a machine builds its programs, for minutes.
    ///
    /// # Errors
    /// With the reason of [`missing`], or with the last lines of what did not start. Nothing is left behind.
    pub fn start() -> Result<Self> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self::launch(&format!("test-{}-{nth}", std::process::id()))
    }

    /// One node for all tests of a test binary, started by the first who asks. Give each test a namespace of its own; a test that kills
    /// what others need starts a node of its own.
    ///
    /// # Errors
    /// Those of [`Node::start`], for everyone who asks.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Node, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
    }

    /// Starts one that stays until [`down`], also when this process has ended.
    ///
    /// # Errors
    /// Those of [`Node::start`], and when a node of this name is up.
    pub fn up(name: &str) -> Result<()> {
        let mut node = Self::launch(name)?;
        let mut keeper = node.keeper.take().context("the node has no keeper")?;
        let mut input = keeper.stdin.take().context("the keeper has no standard input")?;
        input.write_all(keeper::STAY).context("the node's keeper has ended")
    }

    /// The node of this name that another process started.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(name: &str) -> Result<Self> {
        let place = Place::find(name)?;
        ensure!(place.is_kept(), "the node {name} was left behind; `cargo xtask cluster down` removes it");
        Self::of(place)
    }

    fn of(place: Place) -> Result<Self> {
        let kubectl =
            Kubectl { programs: tools::KUBERNETES.folder()?, folder: place.folder.clone(), namespace: None, server: place.node() };
        Ok(Self { place, kubectl, keeper: None })
    }

    fn launch(name: &str) -> Result<Self> {
        if let Some(reason) = missing() {
            bail!("no node can run here: {reason}");
        }
        let archives = images::archives()?;
        build()?;
        let start = Instant::now();
        let node = Self::claim(name)?;
        // Past the capture of a test's output: a tier shows what its nodes took.
        let report = |what: &str| drop(writeln!(io::stderr(), "node {name}: {what} after {:.1} s", start.elapsed().as_secs_f64()));
        node.place.network()?;
        cgroups::make(name)?;
        configuration::write(&node.place, &node.kubectl)?;
        node.start_daemon(Daemon::Etcd)?;
        node.start_daemon(Daemon::Containerd)?;
        std::thread::scope(|scope| {
            let loaded = scope.spawn(|| node.load_all(&archives));
            let controlled = node.start_control_plane().inspect(|()| report("the control plane is ready"));
            // A panic there has been printed.
            let loaded = loaded.join().unwrap_or_else(|_| bail!("loading the images panicked"));
            controlled.and(loaded)
        })?;
        node.wait_until_ready()?;
        report("it is ready");
        Ok(node)
    }

    /// From here on the keeper takes down what there is of it.
    fn claim(name: &str) -> Result<Self> {
        let (place, lock) = Nodes::lock()?.claim(name)?;
        let log = std::fs::File::create(place.folder.join("keeper.log")).context("cannot write the keeper's log")?;
        let mut command = keeper::command(name)?;
        // The lock is its standard output: the slot is taken until it has ended. Its own process group lets it outlive a kill of ours.
        let keeper = command.stdin(Stdio::piped()).stdout(lock).stderr(log).process_group(0).spawn().context("cannot start testkit")?;
        let mut node = Self::of(place)?;
        node.keeper = Some(keeper);
        Ok(node)
    }

    fn load_all(&self, archives: &[PathBuf]) -> Result<()> {
        self.await_daemon(Daemon::Containerd, || {
            let mut version = images::ctr(&self.place);
            crate::run::stdout(version.arg("version")).map(drop)
        })?;
        archives.iter().try_for_each(|tar| images::load(&self.place, tar).map(drop))
    }

    fn start_control_plane(&self) -> Result<()> {
        let etcd = SocketAddr::from((self.place.node(), 2379));
        self.await_daemon(Daemon::Etcd, || {
            let answer = ask::get(etcd, "/health", &[("Host", "etcd")])?;
            ensure!(answer.status == 200, "{}", answer.head);
            Ok(())
        })?;
        self.start_daemon(Daemon::ApiServer)?;
        self.await_daemon(Daemon::ApiServer, || self.kubectl(&["get", "--raw", "/readyz"], "")?.ok().map(drop))?;
        for daemon in [Daemon::ControllerManager, Daemon::Scheduler, Daemon::Kubelet, Daemon::Proxy] {
            self.start_daemon(daemon)?;
        }
        // The first moments refuse: the namespace comes a little later than readiness.
        eventually("CoreDNS is applied", READY_WITHIN, || self.apply(&configuration::dns(&images::coredns_name()?)))
    }

    fn wait_until_ready(&self) -> Result<()> {
        self.await_daemon(Daemon::Kubelet, || {
            let node = format!("node/{}", self.place.name);
            self.kubectl(&["wait", "--for=condition=Ready", "--timeout=2s", &node], "")?.ok().map(drop)
        })?;
        self.await_daemon(Daemon::ControllerManager, || {
            self.kubectl(&["get", "serviceaccount", "default", "-n", "default"], "")?.ok().map(drop)
        })?;
        self.await_daemon(Daemon::Kubelet, || {
            let rollout = ["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=2s"];
            self.kubectl(&rollout, "")?.ok().map(drop)
        })
    }

    /// Until the condition holds; at once when the daemon has ended.
    fn await_daemon(&self, daemon: Daemon, mut condition: impl FnMut() -> Result<()>) -> Result<()> {
        let name = daemon.name();
        let answers = eventually(&format!("{name} does its work"), READY_WITHIN, || match condition() {
            // Not an error of the condition: it would be asked again until the deadline.
            Err(error) if daemons::pid(daemon, &self.place).is_none() => Ok(Err(error.context(format!("{name} has ended")))),
            other => other.map(Ok),
        });
        answers.and_then(|ended| ended).with_context(|| format!("{name}:\n{}", daemons::last_lines(daemon, &self.place)))
    }

    /// The administrator's kubeconfig. For a client in the test:
    /// `kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default())`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubectl.kubeconfig()
    }

    /// A folder for what tests write; it goes with the node.
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// The node's own address, where NodePorts and pods of the host's network listen.
    pub fn address(&self) -> Ipv4Addr {
        self.place.node()
    }

    /// An address for an origin or a client in the test process, 32 to 61. Pods reach it, and see it when it connects to them.
    pub fn outside(&self, host: u8) -> Ipv4Addr {
        debug_assert!(place::OUTSIDE.contains(&host), "no address {host} outside");
        self.place.address(host)
    }

    /// A program inside the network namespace, which resolves no names there.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.place.inside(program)
    }

    /// Starts a command; its log is `logs/NAME.log` in [`Node::folder`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, command: Command) -> Result<Process> {
        Process::start(name, command, &daemons::log(&self.place, name))
    }

    /// kubectl as the administrator, with this standard input.
    ///
    /// # Errors
    /// When it cannot be started; that it failed is in the output.
    pub fn kubectl(&self, arguments: &[&str], stdin: &str) -> Result<Output> {
        self.kubectl.run(arguments, stdin)
    }

    /// kubectl as the administrator, for [`Node::spawn`]: what it prints is the process's log.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        self.kubectl.command(arguments)
    }

    /// A shell as the administrator, for text that a person would paste: `kubectl` and these programs' folders are in its path, such as
    /// `tools::HELM_3.folder()`.
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

    /// Waits until a rollout is complete, such as of `deployment/serin`.
    ///
    /// # Errors
    /// After `within`, with the pods of the namespace and their last Events.
    pub fn wait_for_rollout(&self, namespace: &str, workload: &str, within: Duration) -> Result<()> {
        let limit = format!("--timeout={}s", within.as_secs());
        let outcome = self.kubectl(&["rollout", "status", workload, "-n", namespace, &limit], "")?.ok();
        outcome.map(drop).with_context(|| {
            let show = |arguments: &[&str]| self.kubectl(arguments, "").map_or_else(|error| format!("{error:#}"), |shown| shown.stdout);
            let pods = show(&["get", "pods", "-n", namespace, "-o", "wide"]);
            let events = show(&["get", "events", "-n", namespace, "--sort-by=.lastTimestamp"]);
            let logs = show(&["logs", workload, "-n", namespace, "--all-pods=true", "--tail=15"]);
            format!("{workload} in {namespace} is not rolled out\n{pods}\n{events}\n{logs}")
        })
    }

    /// Where a Service of type LoadBalancer is reached, at this port of it.
    ///
    /// # Errors
    /// When it has no address within 30 s.
    pub fn balancer(&self, namespace: &str, service: &str, port: u16) -> Result<SocketAddr> {
        let path = "jsonpath={.status.loadBalancer.ingress[0].ip}";
        eventually(&format!("the Service {namespace}/{service} has an address"), Duration::from_secs(30), || {
            let text = self.kubectl(&["get", "service", service, "-n", namespace, "-o", path], "")?.ok()?;
            let address: Ipv4Addr = text.trim().parse().with_context(|| format!("{text:?} is no address"))?;
            Ok(SocketAddr::from((address, port)))
        })
    }

    /// What service accounts asked the API server for, one audit.k8s.io/v1 Event a line, without bodies.
    ///
    /// # Errors
    /// When nobody asked yet.
    pub fn audit_log(&self) -> Result<String> {
        std::fs::read_to_string(self.place.folder.join("audit.log")).context("cannot read the audit log")
    }

    /// Imports a docker archive; gives what `ctr` says, which names the images.
    ///
    /// # Errors
    /// When it is none.
    pub fn load_image(&self, tar: &Path) -> Result<String> {
        let tar = tar.canonicalize().with_context(|| format!("cannot read {}", tar.display()))?;
        images::load(&self.place, &tar)
    }

    /// The names of the images that pods may run.
    ///
    /// # Errors
    /// When containerd does not answer.
    pub fn loaded_images(&self) -> Result<String> {
        crate::run::stdout(images::ctr(&self.place).args(["images", "list", "--quiet"]))
    }

    /// Starts a daemon with the same command line as before, without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_daemon(&self, daemon: Daemon) -> Result<()> {
        daemons::start(daemon, &self.place)
    }

    /// SIGKILL to a daemon; the others and the pods go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_daemon(&self, daemon: Daemon) -> Result<()> {
        daemons::kill(daemon, &self.place)
    }

    /// Each daemon with its pid; `None` when it does not run.
    pub fn daemons(&self) -> Vec<(Daemon, Option<i32>)> {
        Daemon::ALL.iter().map(|daemon| (*daemon, daemons::pid(*daemon, &self.place))).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            // Its input ends here.
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// Takes the node of this name down, and whatever killed runs left of any. True when there was one of this name.
///
/// # Errors
/// When something of it cannot be removed.
pub fn down(name: &str) -> Result<bool> {
    let nodes = Nodes::lock()?;
    let place = Place::find(name).ok();
    if let Some(place) = &place {
        keeper::dismiss(place)?;
        nodes.clear(place)?;
    }
    nodes.clear_abandoned()?;
    Ok(place.is_some())
}

/// The names of all nodes that are up or left behind.
pub fn names() -> Vec<String> {
    place::names()
}
