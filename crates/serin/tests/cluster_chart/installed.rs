//! Install, upgrade with a change of the CRDs, rollback, uninstall: what stays and what goes.

use crate::helm::{CHART, Helm, NAMESPACE, objects};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use serin_testkit::eventually;
use serin_testkit::helm::{COLUMN, later_chart, made};
use serin_testkit::manifests;
use std::time::Duration;

const KINDS: [&str; 4] = ["authpolicies", "backendpolicies", "canaryreleases", "consumers"];
const SOON: Duration = Duration::from_secs(120);

#[test]
fn upgrades_bring_the_kinds_along_and_an_uninstall_keeps_them_and_all_releases() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply(&manifests::namespace("shop"))?;
    for helm in Helm::both()? {
        life(&cluster, &helm).with_context(|| helm.name)?;
    }
    Ok(())
}

fn life(cluster: &Cluster, helm: &Helm) -> Result<()> {
    let kubeconfig = cluster.kubeconfig();
    let run = |arguments: &[&str]| -> Result<String> {
        let output = helm.on(&kubeconfig, arguments)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(said)
    };
    let said = run(&["install", "serin", CHART, "-n", NAMESPACE, "--create-namespace"])?;
    for command in ["kubectl -n serin-system rollout status deployment/serin", "kubectl -n serin-system get service serin", "--watch"] {
        ensure!(said.contains(command), "the next commands are told: {said}");
    }
    ensure!(said.contains("`helm uninstall` keeps the CustomResourceDefinitions"), "{said}");
    let wait = ["wait", "--for=condition=Established", "--timeout=5s", "crd", "-l", "app.kubernetes.io/part-of=serin"];
    eventually("the kinds are served", SOON, || cluster.kubectl(&wait, "")?.ok().map(drop))?;
    let release = manifests::release(
        "shop",
        "checkout",
        &json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"},
        "strategy": {"percentage": 10}}),
    );
    cluster.apply(&release)?;
    let before = read(cluster, &["canaryrelease", "checkout", "-n", "shop"])?;
    // Someone leads: what replicas write into their Lease is none of Helm's.
    let leads = json!({"spec": {"holderIdentity": "replica-1", "leaseTransitions": 3}}).to_string();
    cluster.kubectl(&["patch", "lease", "serin", "-n", NAMESPACE, "--type=merge", "--field-manager=serin", "-p", &leads], "")?.ok()?;

    let newer = later_chart()?;
    let newer = newer.path().display().to_string();
    run(&["upgrade", "serin", &newer, "-n", NAMESPACE, "--set", "replicas=3"])?;
    let columns = || -> Result<bool> {
        let crd = read(cluster, &["crd", "canaryreleases.serin.dev"])?;
        Ok(crd["spec"]["versions"][0]["additionalPrinterColumns"].to_string().contains(COLUMN))
    };
    let replicas = || -> Result<Value> { Ok(read(cluster, &["deployment", "serin", "-n", NAMESPACE])?["spec"]["replicas"].clone()) };
    assert!(columns()?, "the upgrade changed the CRD");
    assert_eq!(replicas()?, 3);
    run(&["rollback", "serin", "1", "-n", NAMESPACE])?;
    assert!(!columns()?, "the rollback changed it back");
    assert_eq!(replicas()?, 2);
    assert_eq!(read(cluster, &["canaryrelease", "checkout", "-n", "shop"])?, before, "nobody touched the release");
    assert_eq!(read(cluster, &["lease", "serin", "-n", NAMESPACE])?["spec"]["holderIdentity"], "replica-1");

    let said = run(&["uninstall", "serin", "-n", NAMESPACE])?;
    ensure!(said.contains("kept due to the resource policy"), "it says what it keeps: {said}");
    for kind in KINDS {
        ensure!(said.contains(&format!("{kind}.serin.dev")), "it names {kind}: {said}");
    }
    let mut kept = KINDS.map(|kind| format!("customresourcedefinition.apiextensions.k8s.io/{kind}.serin.dev")).to_vec();
    kept.sort();
    eventually("nothing but the CRDs is left", SOON, || {
        let left = here(cluster)?;
        ensure!(left == kept, "{left:#?}");
        Ok(())
    })?;
    let state = ["get", "secrets,configmaps", "-n", NAMESPACE, "-o", "name", "-l", "owner=helm"];
    assert_eq!(cluster.kubectl(&state, "")?.ok()?, "", "nothing of Helm's own is left");
    assert_eq!(read(cluster, &["canaryrelease", "checkout", "-n", "shop"])?, before, "the release is kept");

    // The same name takes the kinds over again; another one does when it is told to.
    run(&["install", "serin", CHART, "-n", NAMESPACE])?;
    run(&["uninstall", "serin", "-n", NAMESPACE])?;
    let output = helm.on(&kubeconfig, &["install", "edge", CHART, "-n", NAMESPACE])?;
    ensure!(!output.status.success() && output.stderr.contains("invalid ownership metadata"), "{}", output.stderr);
    run(&["install", "edge", CHART, "-n", NAMESPACE, "--take-ownership"])?;
    run(&["uninstall", "edge", "-n", NAMESPACE])?;
    assert_eq!(read(cluster, &["canaryrelease", "checkout", "-n", "shop"])?["metadata"]["uid"], before["metadata"]["uid"]);

    let all = ["crd", "-l", "app.kubernetes.io/part-of=serin"];
    cluster.kubectl(&[&["delete", "--wait=false"], &all[..]].concat(), "")?.ok()?;
    let mut looks = 0;
    eventually("what is told to delete the rest does", SOON, || {
        // An API server that was just making the storage of a kind anew goes on with its deletion only when the CRD changes (seen with 1.34).
        looks += 1;
        cluster.kubectl(&[&["annotate", "--overwrite"], &all[..], &[&format!("looks={looks}")]].concat(), "")?;
        let left = here(cluster)?;
        ensure!(left.is_empty(), "{left:#?}");
        Ok(())
    })
}

#[test]
fn kubectl_alone_installs_the_same_and_deletes_all_but_the_kinds() -> Result<()> {
    let cluster = Cluster::start()?;
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    cluster.kubectl(&["apply", "-k", deploy], "")?.ok()?;
    cluster.kubectl(&["diff", "-k", deploy], "")?.ok().context("a second apply would change something")?;
    let [helm, _] = Helm::both()?;
    let mut rendered: Vec<String> = objects(&helm, "{}")?.iter().filter(|object| object["kind"] != "Pod").map(named).collect();
    let applied: Value = serde_json::from_str(&cluster.kubectl(&["get", "-k", deploy, "-o", "json"], "")?.ok()?)?;
    let mut applied: Vec<String> = applied["items"].as_array().into_iter().flatten().map(named).collect();
    applied.retain(|name| name != "Namespace/serin-system");
    applied.sort();
    rendered.sort();
    assert_eq!(applied, rendered, "the objects of `helm install`");

    let (serin, rights) = (format!("{deploy}/serin.yaml"), format!("{deploy}/rbac.yaml"));
    cluster.kubectl(&["delete", "-f", &serin, "-f", &rights, "--wait=false"], "")?.ok()?;
    eventually("the kinds are left", SOON, || {
        let mut left = here(&cluster)?;
        // Without controllers nobody ends the deletion of what is in a namespace that is being deleted.
        left.retain(|name| !name.starts_with("namespace/"));
        ensure!(left.len() == KINDS.len() && left.iter().all(|name| name.starts_with("customresourcedefinition")), "{left:#?}");
        Ok(())
    })
}

fn named(object: &Value) -> String {
    format!("{}/{}", object["kind"].as_str().unwrap_or_default(), object["metadata"]["name"].as_str().unwrap_or_default())
}

fn read(cluster: &Cluster, what: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&cluster.kubectl(&[&["get", "-o", "json"], what].concat(), "")?.ok()?)?)
}

fn here(cluster: &Cluster) -> Result<Vec<String>> {
    made(|arguments| cluster.kubectl(arguments, ""))
}
