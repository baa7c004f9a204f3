//! The node itself: pods, names, load balancers, and that nothing of it is left.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_testkit::node::{APP, Daemon, Node, down};
use serin_testkit::origin::{LABEL, Origin};
use serin_testkit::{ask, eventually, manifests};

/// For what takes moments, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(120);

/// A Deployment of two pods, and a Service of type LoadBalancer before them.
fn app(namespace: &str) -> String {
    let labels = json!({"app": "web"});
    let container = json!({
        "name": "app", "image": APP[0], "imagePullPolicy": "Never", "args": ["origin", "--listen", "0.0.0.0:8080", "--label", "v1"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}
        }}
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"type": "LoadBalancer", "selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    });
    [manifests::namespace(namespace), manifests::document(&deployment), manifests::document(&service)].concat()
}

fn start_app(node: &Node, namespace: &str) -> Result<()> {
    node.apply(&app(namespace))?;
    node.wait_for_rollout(namespace, "deployment/web", SOON)
}

/// A request from one of the pods.
fn ask_from_pod(node: &Node, namespace: &str, target: &str) -> Result<String> {
    let words = ["exec", "-n", namespace, "deployment/web", "--", "/testkit", "get", "--target", target];
    node.kubectl(&words, "")?.ok()
}

fn answers(address: SocketAddr) -> Result<()> {
    eventually(&format!("{address} answers"), SOON, || {
        let answer = ask::get(address, "/", &[("Host", "web")])?;
        ensure!(answer.status == 200 && answer.header(LABEL) == Some("v1"), "{}", answer.head);
        Ok(())
    })
}

#[test]
fn pods_are_reached_by_address_by_name_and_by_load_balancer_and_reach_the_test() -> Result<()> {
    let node = Node::shared()?;
    start_app(node, "reach")?;
    answers(node.balancer("reach", "web", 80)?)?;

    let path = "jsonpath={.items[*].status.podIP}";
    let pods = node.kubectl(&["get", "pods", "-n", "reach", "-o", path], "")?.ok()?;
    let pods: Vec<&str> = pods.split(' ').collect();
    ensure!(pods.len() == 2, "{pods:?}");
    for pod in pods {
        answers((pod.parse::<std::net::IpAddr>()?, 8080).into())?;
    }

    for name in ["web:80", "web.reach.svc.cluster.local:80"] {
        let body = ask_from_pod(node, "reach", name)?;
        ensure!(body == "v1\n", "{name}: {body}");
    }
    let origin = Origin::start((node.outside(32), 0), "test")?;
    let body = ask_from_pod(node, "reach", &origin.address().to_string())?;
    ensure!(body == "test\n", "{body}");
    let stranger = node.kubectl(&["exec", "-n", "reach", "deployment/web", "--", "/testkit", "get", "--target", "192.0.2.1:80"], "")?;
    ensure!(stranger.stderr.contains("unreachable"), "another network: {stranger:?}");
    Ok(())
}

#[test]
fn pods_serve_on_while_a_daemon_is_dead_and_it_goes_on_afterwards() -> Result<()> {
    let node = Node::start()?;
    start_app(&node, "faults")?;
    let balancer = node.balancer("faults", "web", 80)?;
    answers(balancer)?;
    for daemon in [Daemon::ApiServer, Daemon::Kubelet, Daemon::Containerd] {
        node.kill_daemon(daemon)?;
        answers(balancer)?;
        ensure!(node.daemons().contains(&(daemon, None)), "{daemon:?} runs");
    }
    for daemon in [Daemon::Containerd, Daemon::Kubelet, Daemon::ApiServer] {
        node.start_daemon(daemon)?;
        if daemon == Daemon::Containerd {
            // kubelet ends at once when it does not answer.
            eventually("containerd answers", SOON, || node.loaded_images().map(drop))?;
        }
    }
    eventually("the API server answers", SOON, || {
        node.kubectl(&["scale", "deployment/web", "-n", "faults", "--replicas=3"], "")?.ok().map(drop)
    })?;
    node.wait_for_rollout("faults", "deployment/web", SOON)
}

#[test]
fn nothing_is_left_of_a_node_that_was_dropped_nor_of_one_whose_keeper_was_killed() -> Result<()> {
    let dropped = Node::start()?;
    start_app(&dropped, "gone")?;
    let traces = Traces::of(&dropped)?;
    ensure!(!traces.left().is_empty(), "there is nothing to look for");
    drop(dropped);
    let left = traces.left();
    ensure!(left.is_empty(), "after the drop: {left:?}");

    let name = format!("killed-{}", std::process::id());
    Node::up(&name)?;
    let killed = Node::open(&name)?;
    start_app(&killed, "gone")?;
    let traces = Traces::of(&killed)?;
    let keeper: i32 = fs::read_to_string(killed.folder().join("keeper.pid"))?.parse()?;
    rustix::process::kill_process(rustix::process::Pid::from_raw(keeper).context("no pid")?, rustix::process::Signal::KILL)?;
    eventually("the keeper has ended", SOON, || {
        ensure!(Node::open(&name).is_err(), "{name} is open");
        Ok(())
    })?;
    // Whoever takes another one down clears what is left of this one.
    ensure!(!down("another")?, "there was a node named another");
    let left = traces.left();
    ensure!(left.is_empty(), "after the kill: {left:?}");
    Ok(())
}

/// All that a node has outside of its own processes, and what only it could have made.
struct Traces {
    paths: BTreeSet<PathBuf>,
    folder: PathBuf,
    processes: Vec<i32>,
}

impl Traces {
    fn of(node: &Node) -> Result<Self> {
        let folder = node.folder().to_owned();
        let name = folder.file_name().context("no name")?.to_string_lossy().into_owned();
        let mut paths = BTreeSet::from([folder.clone(), Path::new("/run/netns").join(format!("serin-{name}"))]);
        for hierarchy in fs::read_dir("/sys/fs/cgroup")? {
            paths.insert(hierarchy?.path().join(&name));
        }
        paths.insert(Path::new("/sys/fs/cgroup").join(&name));
        let bundles = folder.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
        for bundle in fs::read_dir(bundles)? {
            if let Ok(address) = fs::read_to_string(bundle?.path().join("address")) {
                paths.insert(address.trim().trim_start_matches("unix://").into());
            }
        }
        for link in fs::read_dir("/var/log/containers")? {
            let link = link?.path();
            if fs::read_link(&link).is_ok_and(|target| target.starts_with(&folder)) {
                paths.insert(link);
            }
        }
        let processes = node.daemons().into_iter().filter_map(|(_, pid)| pid).collect();
        Ok(Self { paths, folder, processes })
    }

    fn left(&self) -> Vec<String> {
        let there = |path: &&PathBuf| fs::symlink_metadata(path).is_ok();
        let mut left: Vec<String> = self.paths.iter().filter(there).map(|path| path.display().to_string()).collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|line| line.contains(&*self.folder.to_string_lossy())).map(str::to_owned));
        // What nobody has reaped yet has no program.
        let runs = |pid: &&i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        left.extend(self.processes.iter().filter(runs).map(|pid| format!("process {pid}")));
        left
    }
}
