//! The cluster itself, against the real binaries.
#![cfg(target_os = "linux")]

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, ResourceExt};
use serin_testkit::cluster::Cluster;
use serin_testkit::load::{Plan, Report};
use serin_testkit::origin::Origin;
use serin_testkit::process::{Signal, shift_clock};
use serin_testkit::{eventually, load, manifests};

const CONFIG_MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: raw, namespace: default}, data: {key: value}}";

#[test]
fn an_object_is_taken_and_given_back() -> Result<()> {
    let cluster = Cluster::shared()?;
    cluster.apply(&CONFIG_MAP.replace("raw", "taken"))?;
    let value = cluster.kubectl(&["get", "configmap", "taken", "-o", "jsonpath={.data.key}"], "")?.ok()?;
    assert_eq!(value, "value");
    Ok(())
}

#[test]
fn a_route_to_origins_of_the_test_is_taken() -> Result<()> {
    let cluster = Cluster::shared()?;
    let endpoints = [9001, 9002].map(|port| SocketAddr::from((cluster.outside(202), port)));
    let objects = [
        manifests::namespace("route"),
        manifests::service("route", "checkout", &endpoints),
        manifests::ingress("route", "shop", "shop.example", "/checkout", "checkout"),
    ];
    cluster.apply(&objects.concat())?;
    let slices = ["get", "endpointslices", "-n", "route", "-l", "kubernetes.io/service-name=checkout", "-o", "name"];
    assert_eq!(cluster.kubectl(&slices, "")?.ok()?.lines().count(), 2);
    Ok(())
}

#[test]
fn what_is_stored_past_the_api_server_is_served_by_it() -> Result<()> {
    let cluster = Cluster::shared()?;
    let crd = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: probes.testkit.serin.dev}, \
               spec: {group: testkit.serin.dev, scope: Namespaced, names: {plural: probes, singular: probe, kind: Probe}, \
               versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: \
               {spec: {type: object, properties: {weight: {type: integer, maximum: 10}}}}}}}]}}";
    cluster.apply_crds(crd)?;
    let probe = r#"{"apiVersion":"testkit.serin.dev/v1","kind":"Probe","metadata":{"name":"past","namespace":"default","uid":"1"},"spec":{"weight":99}}"#;
    let key = "/registry/testkit.serin.dev/probes/default/past";
    assert_eq!(cluster.read_raw(key)?, None);
    cluster.put_raw(key, probe.as_bytes())?;
    assert_eq!(cluster.read_raw(key)?.as_deref(), Some(probe.as_bytes()));
    let weight = cluster.kubectl(&["get", "probe", "past", "-o", "jsonpath={.spec.weight}"], "")?.ok()?;
    assert_eq!(weight, "99");
    let refused = cluster.kubectl(&["apply", "-f", "-"], &probe.replace("past", "refused"))?;
    assert!(refused.stderr.contains("spec.weight"), "{}", refused.stderr);
    Ok(())
}

#[tokio::test]
async fn a_client_in_the_test_reaches_the_api_server() -> Result<()> {
    let cluster = Cluster::shared()?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let namespaces: Api<Namespace> = Api::all(kube::Client::try_from(config)?);
    assert_eq!(namespaces.get("default").await?.name_any(), "default");
    Ok(())
}

#[test]
fn two_clusters_at_once_know_nothing_of_each_other() -> Result<()> {
    let (one, other) = (Cluster::start()?, Cluster::start()?);
    assert_ne!(one.server(), other.server());
    one.apply(CONFIG_MAP)?;
    let seen = other.kubectl(&["get", "configmap", "raw"], "")?;
    assert!(seen.stderr.contains("NotFound"), "{}", seen.stderr);
    Ok(())
}

#[test]
fn the_api_server_goes_away_and_comes_back_with_its_objects() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.apply(CONFIG_MAP)?;
    cluster.stop_api_server()?;
    assert!(!cluster.kubectl(&["get", "configmap", "raw"], "")?.status.success());
    cluster.start_api_server()?;
    cluster.kubectl(&["get", "configmap", "raw"], "")?.ok()?;
    Ok(())
}

#[test]
fn a_dropped_cluster_leaves_no_namespace_no_process_and_no_folder() -> Result<()> {
    let cluster = Cluster::start()?;
    let folder = cluster.folder().to_owned();
    let mut sleeper = cluster.command("sleep");
    sleeper.arg("1000");
    let mut sleeper = cluster.spawn("sleep", sleeper)?;
    let namespace = Path::new("/run/netns").join(folder.file_name().context("a folder has a name")?);
    assert!(folder.is_dir() && namespace.exists());
    drop(cluster);
    assert!(!folder.exists() && !namespace.exists());
    assert!(sleeper.ended()?.is_some());
    Ok(())
}

#[test]
fn a_killed_owner_leaves_nothing_either() -> Result<()> {
    let beside = Cluster::shared()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_testkit"));
    command.arg("cluster");
    let mut owner = beside.spawn("owner", command)?;
    let kubeconfig = eventually("it is up", Duration::from_secs(120), || {
        let log = owner.log();
        ensure!(owner.ended()?.is_none(), "it ended: {log}");
        Ok(PathBuf::from(log.trim_end().strip_prefix("KUBECONFIG=").with_context(|| log.clone())?))
    })?;
    assert!(kubeconfig.is_file());
    let folder = kubeconfig.parent().context("it is in a folder")?;
    let namespace = Path::new("/run/netns").join(folder.file_name().context("a folder has a name")?);
    assert!(namespace.exists());
    owner.sigkill()?;
    eventually("folder and namespace are gone", Duration::from_secs(20), || {
        ensure!(!folder.exists() && !namespace.exists(), "folder: {}, namespace: {}", folder.exists(), namespace.exists());
        Ok(())
    })
}

#[test]
fn a_frozen_process_goes_on_when_it_is_let() -> Result<()> {
    let cluster = Cluster::shared()?;
    let mut command = cluster.command("sh");
    command.args(["-c", "while :; do echo tick; sleep 0.05; done"]);
    let mut process = cluster.spawn("ticks", command)?;
    eventually("a first tick", Duration::from_secs(10), || process.log().contains("tick").then_some(()).context("no tick"))?;
    process.sigstop()?;
    let state = |id: u32| -> Result<String> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        Ok(stat.rsplit(") ").next().context("no state")?.chars().take(1).collect())
    };
    let id = process.id();
    eventually("it is stopped", Duration::from_secs(10), || {
        ensure!(state(id)? == "T", "it is {}", state(id)?);
        Ok(())
    })?;
    let before = process.log().len();
    process.sigcont()?;
    eventually("a later tick", Duration::from_secs(10), || (process.log().len() > before).then_some(()).context("no more ticks"))?;
    process.signal(Signal::TERM)?;
    assert!(!process.wait(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn load_and_origins_reach_each_other_across_the_border_both_ways() -> Result<()> {
    let cluster = Cluster::shared()?;
    let testkit = env!("CARGO_BIN_EXE_testkit");

    let inside = SocketAddr::from((cluster.inside(20), 9001));
    let mut command = cluster.command(testkit);
    command.args(["origin", "--label", "inside", "--fail", "10%", "--listen", &inside.to_string()]);
    let _origin = cluster.spawn("origin", command)?;
    eventually("the origin listens", Duration::from_secs(10), || Ok(TcpStream::connect(inside)?))?;
    let report = load::run(&Plan { rate: 100, ..Plan::new(inside, Duration::from_secs(1)) })?;
    assert_eq!((report.labels.get("inside"), report.failed), (Some(&100), 10), "{report:?}");

    let outside = Origin::start((cluster.outside(201), 0), "outside")?;
    let mut command = cluster.command(testkit);
    command.args(["load", "--rate", "100", "--duration", "1s", "--target", &outside.address().to_string()]);
    let report: Report = serde_json::from_slice(&command.output()?.stdout)?;
    assert_eq!((report.labels.get("outside"), report.failed), (Some(&100), 0), "{report:?}");
    Ok(())
}

#[test]
fn a_shifted_clock_is_a_day_ahead_for_one_process_only() -> Result<()> {
    let cluster = Cluster::shared()?;
    let mut command = cluster.command("date");
    command.arg("+%s");
    shift_clock(&mut command, 86_400)?;
    let ahead: u64 = String::from_utf8(command.output()?.stdout)?.trim().parse()?;
    let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    assert!((86_390..=86_400).contains(&(ahead - here)), "{}", ahead - here);
    Ok(())
}
