//! An application team: a Git repository, the Application that syncs it, and serin, with two versions of the program to serve.

use crate::argo::{Argo, SOON, shared};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Output;
use serin_testkit::load::Plan;
use serin_testkit::origin::Origin;
use serin_testkit::process::Process;
use serin_testkit::{ask, eventually, manifests};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The rights, as they are shipped.
const RIGHTS: &str = include_str!("../../../../deploy/rbac.yaml");
/// The page that shows an Application.
const PAGE: &str = include_str!("../../../../docs/argocd.md");
/// The program, as it is built.
const SERIN: &str = env!("CARGO_BIN_EXE_serin");
/// The host of the route.
const HOST: &str = "shop.example";

/// One namespace, which is serin's own and the team's at once. The Application has its name.
pub(crate) struct Site {
    pub(crate) argo: &'static Argo,
    pub(crate) name: &'static str,
    pub(crate) canary: Origin,
    _stable: Origin,
    _serin: Process,
    http: SocketAddr,
    repository: PathBuf,
}

impl Site {
    /// Starts serin, commits the objects of the team with these further ones, and has Argo CD sync them by itself.
    pub(crate) fn new(name: &'static str, host: u8, more: &[String]) -> Result<Self> {
        let argo = shared()?;
        let start = |label| Origin::start((argo.cluster.outside(200), 0), label);
        let (stable, canary) = (start("v1")?, start("v2")?);
        let services = [("checkout", stable.address()), ("checkout-v2", canary.address())];
        let documents: String = services.iter().map(|(service, address)| manifests::service(name, service, &[*address])).collect();
        // Nobody makes EndpointSlices here, and in Git they never stand.
        let is_slice = |document: &&str| document.contains("EndpointSlice");
        let (slices, kept): (Vec<&str>, Vec<&str>) = documents.split_inclusive("\n").filter(|line| *line != "---\n").partition(is_slice);
        argo.cluster.apply(&[RIGHTS.replace("serin-system", name), "\n---\n".into(), slices.join("---\n")].concat())?;
        let (_serin, http) = start_serin(argo, name, host)?;
        let repository = argo.cluster.folder().join(format!("{name}.git"));
        let site = Self { argo, name, canary, _stable: stable, _serin, http, repository };

        fs::create_dir_all(site.repository.join("deploy"))?;
        site.git(&["init", "--quiet", "--initial-branch", "main"])?;
        fs::write(site.repository.join("deploy/services.yaml"), kept.join("---\n"))?;
        fs::write(site.repository.join("deploy/route.yaml"), manifests::ingress(name, "shop", HOST, "/", "checkout"))?;
        site.commit("release.yaml", &more.concat())?;
        argo.cluster.apply(&site.application()?.to_string())?;
        Ok(site)
    }

    /// The commit that ends a release: the route to the canary, and no release.
    pub(crate) fn finalise(&self) -> Result<()> {
        // Argo CD calls an Ingress healthy that has an address, which a balancer of a cluster gives it.
        let address = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}"#;
        self.kubectl(&["patch", "ingress", "shop", "--subresource=status", "--type=merge", "-p", address])?;
        fs::remove_file(self.repository.join("deploy/release.yaml"))?;
        self.commit("route.yaml", &manifests::ingress(self.name, "shop", HOST, "/", "checkout-v2"))?;
        self.refresh()
    }

    /// The Application of docs/argocd.md, for this repository and this namespace.
    fn application(&self) -> Result<Value> {
        let shown = PAGE.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
        let mut application =
            shown.map(serde_saphyr::from_str::<Value>).find_map(|block| block.ok().filter(|b| b["kind"] == "Application"));
        let application = application.as_mut().context("docs/argocd.md shows no Application")?;
        application["metadata"]["name"] = json!(self.name);
        application["spec"]["source"]["repoURL"] = json!(format!("file://{}", self.repository.display()));
        application["spec"]["destination"]["namespace"] = json!(self.name);
        Ok(application.take())
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut git = Command::new("git");
        git.current_dir(&self.repository).args(["-c", "user.name=team", "-c", "user.email=team@shop.example"]).args(arguments);
        let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").output().context("cannot start git")?;
        ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A commit that makes this file say so. Argo CD looks for commits every few minutes; here it is told.
    pub(crate) fn commit(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.repository.join("deploy").join(file), text)?;
        self.git(&["add", "."])?;
        self.git(&["commit", "--quiet", "--message", file])
    }

    /// Has Argo CD look at Git and at the cluster again.
    pub(crate) fn refresh(&self) -> Result<()> {
        self.argo.argocd(&["app", "get", self.name, "--refresh"])?.ok().map(drop)
    }

    /// The manifest of the release; what is not in `spec` is as in the README.
    pub(crate) fn release(&self, spec: &Value) -> String {
        release(self.name, "checkout", spec)
    }

    /// kubectl in this namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.argo.cluster.kubectl(&[&["-n", self.name], arguments].concat(), "")?.ok()
    }

    /// kubectl in this namespace that goes on beside the test; what it prints is its log.
    pub(crate) fn kubectl_beside(&self, what: &str, arguments: &[&str]) -> Result<Process> {
        let command = self.argo.cluster.kubectl_command(arguments);
        self.argo.cluster.spawn(&format!("{}-{what}", self.name), command)
    }

    /// An action on the release, by `argocd app actions run`.
    pub(crate) fn run(&self, action: &str) -> Result<Output> {
        let release = ["--group", "serin.dev", "--kind", "CanaryRelease", "--resource-name", "checkout"];
        self.argo.argocd(&[&["app", "actions", "run", self.name, action], &release[..]].concat())
    }

    /// The names of the actions on the release that Argo CD offers now.
    pub(crate) fn offered(&self) -> Result<Vec<String>> {
        let release = ["--group", "serin.dev", "--kind", "CanaryRelease", "--resource-name", "checkout", "-o", "json"];
        let listed = self.argo.argocd(&[&["app", "actions", "list", self.name], &release[..]].concat())?.ok()?;
        let listed: Vec<Value> = serde_json::from_str(&listed).with_context(|| listed.clone())?;
        let offered = listed.iter().filter(|action| action["Disabled"] != true);
        let mut names: Vec<String> = offered.filter_map(|action| Some(action["Action"].as_str()?.to_owned())).collect();
        names.sort();
        ensure!(!listed.is_empty(), "no action is listed");
        Ok(names)
    }

    /// The release as the API server has it.
    pub(crate) fn stored(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&["get", "crel", "checkout", "-o", "json"])?)?)
    }

    /// Waits until the release as the API server has it is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(what, SOON, || {
            let stored = self.stored()?;
            ensure!(is_so(&stored), "it is {}", stored["status"]);
            Ok(stored)
        })
    }

    /// Status and message of the release's health in Argo CD.
    pub(crate) fn health(&self) -> Result<(String, String)> {
        let application = self.argo.application(self.name)?;
        let resources = application.pointer("/status/resources").and_then(Value::as_array).context("no resources")?;
        let release = resources.iter().find(|resource| resource["kind"] == "CanaryRelease" && resource["name"] == "checkout");
        let Some(health) = release.map(|release| &release["health"]) else { bail!("no health: {resources:?}") };
        let text = |name: &str| health[name].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("message")))
    }

    /// Waits for this health; what was seen until then comes after what was seen before, each but once in a row.
    pub(crate) fn until_health(&self, status: &str, seen: &mut Vec<String>) -> Result<String> {
        eventually(&format!("its health is {status}"), SOON, || {
            let (health, message) = self.health()?;
            // Missing, and none, until the first sync.
            if seen.last() != Some(&health) && !["", "Missing"].contains(&health.as_str()) {
                seen.push(health.clone());
            }
            ensure!(health == status, "it is {health}: {message}");
            Ok(message)
        })
    }

    /// So many requests a second of 200 users to the route, for as long as the test lasts.
    pub(crate) fn plan(&self, rate: u32) -> Plan {
        Plan { rate, host: HOST.to_owned(), ..Plan::new(self.http, Duration::from_secs(3600)) }
    }
}

/// The manifest of a release of this name.
pub(crate) fn release(namespace: &str, name: &str, spec: &Value) -> String {
    let mut whole =
        json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "split": {"by": "Header", "name": "X-User"}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        whole[field] = value.clone();
    }
    let mut object = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "spec": whole});
    object["metadata"] =
        json!({"name": name, "namespace": namespace, "annotations": {"argocd.argoproj.io/sync-options": "PruneLast=true"}});
    manifests::document(&object)
}

/// `serin controller` at this address inside, with the rights of its service account.
fn start_serin(argo: &Argo, namespace: &str, host: u8) -> Result<(Process, SocketAddr)> {
    let address: Ipv4Addr = argo.cluster.inside(host);
    let mut command = argo.cluster.command(Path::new(SERIN));
    command.args(["controller", "--http", &format!("{address}:8080"), "--admin-listen", &format!("{address}:9901")]);
    command.args(["--own-namespace", namespace, "--watch-namespaces", namespace]);
    command.env("KUBECONFIG", argo.cluster.kubeconfig_of(namespace, "serin")?);
    let serin = argo.cluster.spawn(&format!("{namespace}-serin"), command)?;
    eventually("serin is ready", SOON, || {
        let answer = ask::get((address, 9901).into(), "/readyz", &[("Host", "admin")])?;
        ensure!(answer.status == 200, "readiness is {}:\n{}", answer.status, serin.last_lines());
        Ok(())
    })?;
    Ok((serin, (address, 8080).into()))
}
