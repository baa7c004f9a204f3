//! The programs of a node: their command lines, and how they are started and killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::cgroups;
use super::configuration::kubeconfig;
use super::place::{Place, SERVICES};
use crate::{eventually, tools};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// etcd
    Etcd,
    /// kube-apiserver
    ApiServer,
    /// containerd; pods outlive it.
    Containerd,
    /// kube-controller-manager
    ControllerManager,
    /// kube-scheduler
    Scheduler,
    /// kubelet. It does not start without containerd.
    Kubelet,
    /// kube-proxy; its rules outlive it.
    Proxy,
}

impl Daemon {
    /// Every one, in the order in which they are started.
    pub const ALL: &[Self] =
        &[Self::Etcd, Self::Containerd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kubelet, Self::Proxy];

    /// The name of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::Containerd => "containerd",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
        }
    }

    fn program(self) -> Result<PathBuf> {
        Ok(match self {
            Self::Etcd | Self::ApiServer => tools::KUBERNETES.folder()?.join(self.name()),
            Self::Containerd => self.name().into(),
            Self::ControllerManager | Self::Scheduler | Self::Kubelet | Self::Proxy => tools::NODE.folder()?.join(self.name()),
        })
    }

    /// Relative paths are of the node's folder.
    fn arguments(self, place: &Place) -> Vec<String> {
        let node = place.node();
        let text = match self {
            Self::Etcd => format!(
                // A lone etcd waits its election timeout, a second by default.
                "--data-dir=etcd --unsafe-no-fsync --heartbeat-interval=20 --election-timeout=200 --log-level=warn \
                 --listen-client-urls=http://{node}:2379 --advertise-client-urls=http://{node}:2379 \
                 --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
                 --initial-cluster=default=http://127.0.0.1:2380"
            ),
            Self::ApiServer => format!(
                "--etcd-servers=http://{node}:2379 --bind-address=0.0.0.0 --secure-port=6443 --advertise-address={node} --profiling=false \
                 --cert-dir=certificates --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key --client-ca-file=ca.crt \
                 --service-cluster-ip-range={SERVICES} --allow-privileged=true \
                 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
                 --service-account-issuer=https://kubernetes.default.svc.cluster.local \
                 --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key \
                 --kubelet-client-certificate=apiserver-kubelet.crt --kubelet-client-key=apiserver-kubelet.key \
                 --kubelet-certificate-authority=ca.crt --kubelet-preferred-address-types=InternalIP \
                 --requestheader-client-ca-file=front-proxy-ca.crt --requestheader-allowed-names=front-proxy \
                 --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
                 --requestheader-extra-headers-prefix=X-Remote-Extra- --enable-aggregator-routing=true \
                 --proxy-client-cert-file=front-proxy.crt --proxy-client-key-file=front-proxy.key \
                 --audit-policy-file=audit.json --audit-log-path=audit.log"
            ),
            Self::Containerd => "--config=containerd.toml".into(),
            Self::ControllerManager => format!(
                // At the usual rate it starts its controllers one each 150 ms, since each makes credentials of its own.
                "{} --bind-address=127.0.0.1 --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000 \
                 --use-service-account-credentials=true --service-account-private-key-file=sa.key --root-ca-file=ca.crt \
                 --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key --requestheader-client-ca-file=front-proxy-ca.crt \
                 --allocate-node-cidrs=true --cluster-cidr={} --node-cidr-mask-size=25 --service-cluster-ip-range={SERVICES} \
                 --flex-volume-plugin-dir={}",
                credentials("controller-manager"),
                place.pods(),
                place.path("volumeplugins")
            ),
            Self::Scheduler => format!("{} --bind-address=127.0.0.1 --leader-elect=false", credentials("scheduler")),
            Self::Kubelet => format!(
                "--config=kubelet.json --kubeconfig={} --hostname-override={} --node-ip={node} --root-dir={} --cert-dir={}",
                kubeconfig("kubelet"),
                place.name,
                place.path("kubelet"),
                place.path("kubelet/pki")
            ),
            Self::Proxy => "--config=proxy.json".into(),
        };
        text.split_whitespace().map(str::to_owned).collect()
    }
}

fn credentials(user: &str) -> String {
    let file = kubeconfig(user);
    format!("--kubeconfig={file} --authentication-kubeconfig={file} --authorization-kubeconfig={file}")
}

/// In a session of its own, so that it outlives the terminal and the process that starts it.
pub(super) fn start(daemon: Daemon, place: &Place) -> Result<()> {
    let name = daemon.name();
    let log = log(place, name);
    let open = || File::options().create(true).append(true).open(&log).with_context(|| format!("cannot write {}", log.display()));
    let mut command = Command::new("setsid");
    // exec keeps the pid, through nsenter too.
    command.args(["sh", "-c", r#"echo $$ >"$1" && echo $$ >"$2" && shift 2 && exec "$@""#, "daemon"]);
    command.arg(cgroups::daemons(&place.name).join("cgroup.procs")).arg(pid_file(place, name));
    let inside = place.inside(daemon.program()?);
    command.arg(inside.get_program()).args(inside.get_args()).args(daemon.arguments(place)).current_dir(&place.folder);
    command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).spawn().with_context(|| format!("cannot start {name}"))?;
    // Whoever kills it next finds its pid.
    eventually(&format!("{name} is started"), Duration::from_secs(10), || pid(daemon, place).context("it has no pid").map(drop))
}

/// SIGKILL, and waits until it is gone.
pub(super) fn kill(daemon: Daemon, place: &Place) -> Result<()> {
    let pid = pid(daemon, place).with_context(|| format!("{} does not run", daemon.name()))?;
    kill_process(Pid::from_raw(pid).context("no pid")?, Signal::KILL).with_context(|| format!("cannot kill {}", daemon.name()))?;
    eventually(&format!("{} has ended", daemon.name()), Duration::from_secs(10), || {
        ensure!(self::pid(daemon, place).is_none(), "it still runs");
        Ok(())
    })
}

/// `None` when it does not run. The cgroup tells, for a pid may be a stranger's by now.
pub(super) fn pid(daemon: Daemon, place: &Place) -> Option<i32> {
    let pid: u32 = fs::read_to_string(pid_file(place, daemon.name())).ok()?.trim().parse().ok()?;
    let listed = fs::read_to_string(cgroups::daemons(&place.name).join("cgroup.procs")).ok()?;
    // What nobody reaps is listed nowhere, or has no program.
    let lives = listed.lines().any(|line| line.parse() == Ok(pid)) && fs::read_link(format!("/proc/{pid}/exe")).is_ok();
    lives.then(|| i32::try_from(pid).ok()).flatten()
}

/// The last lines of its log, for an error.
pub(super) fn last_lines(daemon: Daemon, place: &Place) -> String {
    let text = String::from_utf8_lossy(&fs::read(log(place, daemon.name())).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

pub(super) fn log(place: &Place, name: &str) -> PathBuf {
    place.folder.join("logs").join(format!("{name}.log"))
}

fn pid_file(place: &Place, name: &str) -> PathBuf {
    Path::new(&place.folder).join("pids").join(name)
}
