//! The Helm chart on a real node, by Helm 3 and Helm 4, in a namespace where PodSecurity `restricted` is enforced.

mod first_release;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::helm::{CHART, COLUMN, Helm, NAMESPACE, later_chart, made};
use serin_testkit::node::{Node, SERIN};
use serin_testkit::{ask, eventually, manifests};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// From the start of `helm install` to Ready, with the images on the node: they came with it, and are never pulled.
const READY: Duration = Duration::from_secs(60);
/// For what takes moments, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(120);

/// One test after the other: each has a node of its own, and one of them says how long it takes until serin is ready.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of values for the image that nodes of tests have.
fn of_the_tests(helm: &Helm) -> Result<String> {
    let (repository, tag) = SERIN.rsplit_once(':').context("the image has a tag")?;
    helm.values(&format!("image: {{repository: {repository}, tag: {tag}, pullPolicy: Never}}"))
}

#[test]
fn helm_installs_within_a_minute_and_leaves_nothing_but_the_kinds_and_releases() -> Result<()> {
    let _turn = turn();
    let node = Node::start()?;
    let enforced = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    node.apply(&(manifests::namespace("shop") + &manifests::document(&enforced)))?;
    for helm in Helm::both()? {
        life(&node, &helm).with_context(|| helm.name)?;
    }
    Ok(())
}

fn life(node: &Node, helm: &Helm) -> Result<()> {
    let values = of_the_tests(helm)?;
    let run = |arguments: &[&str]| -> Result<String> {
        let output = helm.on(&node.kubeconfig(), &[arguments, &["-n", NAMESPACE]].concat())?;
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}\n{}", pods(node));
        Ok(said)
    };
    let timed = |what: &str, arguments: &[&str]| -> Result<(String, Duration)> {
        let start = Instant::now();
        let said = run(arguments)?;
        println!("{}: {what} in {:.1} s", helm.name, start.elapsed().as_secs_f64());
        Ok((said, start.elapsed()))
    };

    let (_, took) = timed("installed and Ready", &["install", "serin", CHART, "--values", &values, "--wait", "--timeout", "3m"])?;
    ensure!(took < READY, "it took {took:?}");
    assert_eq!(read(node, &["deployment", "serin", "-n", NAMESPACE])?["status"]["readyReplicas"], 2);
    let (said, _) = timed("tested", &["test", "serin", "--timeout", "2m"])?;
    ensure!(said.contains("Succeeded"), "{said}");
    served(node)?;

    let release = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}});
    node.apply(&manifests::release("shop", "checkout", &release))?;
    // Without a route it waits, and says so: serin in the pods reads and writes with the rights of the chart.
    let before = eventually("the release has a status", SOON, || {
        let stored = read(node, &["canaryrelease", "checkout", "-n", "shop"])?;
        ensure!(stored["status"]["phase"] == "Pending", "{}", stored["status"]);
        Ok(stored)
    })?;

    let later = later_chart()?;
    let later = later.path().display().to_string();
    let upgrade = ["upgrade", "serin", &later, "--values", &values, "--set", "decisionHeader=true", "--wait", "--timeout", "3m"];
    timed("upgraded with a change of a CRD", &upgrade)?;
    let columns = || -> Result<String> {
        Ok(read(node, &["crd", "canaryreleases.serin.dev"])?["spec"]["versions"][0]["additionalPrinterColumns"].to_string())
    };
    let arguments = || -> Result<String> {
        Ok(read(node, &["deployment", "serin", "-n", NAMESPACE])?["spec"]["template"]["spec"]["containers"][0]["args"].to_string())
    };
    ensure!(columns()?.contains(COLUMN) && arguments()?.contains("--decision-header"), "nothing was upgraded");
    served(node)?;
    timed("rolled back", &["rollback", "serin", "1", "--wait", "--timeout", "3m"])?;
    ensure!(!columns()?.contains(COLUMN) && !arguments()?.contains("--decision-header"), "nothing was rolled back");
    served(node)?;
    let after = read(node, &["canaryrelease", "checkout", "-n", "shop"])?;
    for field in ["/metadata/uid", "/metadata/generation", "/spec", "/status/release", "/status/traffic"] {
        assert_eq!(after.pointer(field), before.pointer(field), "{field} of the release");
    }

    let (said, _) = timed("uninstalled", &["uninstall", "serin", "--wait", "--timeout", "3m"])?;
    ensure!(said.contains("kept due to the resource policy") && said.contains("canaryreleases.serin.dev"), "it says what it keeps: {said}");
    eventually("nothing but the CRDs is left", SOON, || {
        let left = made(|arguments| node.kubectl(arguments, ""))?;
        let crds = left.iter().filter(|name| name.starts_with("customresourcedefinition.")).count();
        ensure!((left.len(), crds) == (4, 4), "{left:#?}");
        Ok(())
    })?;
    let own = node.kubectl(&["get", "secrets", "-n", NAMESPACE, "-o", "name"], "")?.ok()?;
    assert_eq!(own, "", "nothing of Helm's own is left");
    let kept = read(node, &["canaryrelease", "checkout", "-n", "shop"])?;
    assert_eq!(kept["metadata"]["uid"], before["metadata"]["uid"], "the release is kept");
    node.kubectl(&["delete", "canaryrelease", "checkout", "-n", "shop"], "")?.ok().map(drop)
}

/// serin answers over the balancer: nobody has a route there.
fn served(node: &Node) -> Result<()> {
    let http = node.balancer(NAMESPACE, "serin", 80)?;
    eventually("serin answers", SOON, || {
        let answer = ask::get(http, "/", &[("Host", "nobody.example")])?;
        ensure!(answer.status == 404, "{}", answer.head);
        Ok(())
    })
}

fn read(node: &Node, what: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&node.kubectl(&[&["get", "-o", "json"], what].concat(), "")?.ok()?)?)
}

/// For the error of what did not become ready.
fn pods(node: &Node) -> String {
    let describe = node.kubectl(&["describe", "pods", "-n", NAMESPACE], "").and_then(|output| output.ok());
    describe.unwrap_or_else(|error| format!("{error:#}"))
}
