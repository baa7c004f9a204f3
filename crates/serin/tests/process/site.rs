//! A folder of manifests, two origins, and a `serin standalone` that serves them.

use crate::client::Client;
use crate::running::{Running, serin};
use crate::shown::{MANIFESTS, Shown};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{Answer, get};
use serin_testkit::eventually;
use serin_testkit::manifests::{ingress, release, service};
use serin_testkit::origin::Origin;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tempfile::TempDir;

/// The host that the release's route has.
pub(crate) const HOST: &str = "shop.example";
/// How long anything may take before a test fails. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `checkout` (v1) and `checkout-v2` (v2) behind one route, and the process that serves it.
pub(crate) struct Site {
    pub(crate) stable: Origin,
    pub(crate) canary: Origin,
    pub(crate) running: Running,
    folder: TempDir,
    namespace: String,
    /// Of a site that the repository shows: which of its manifests, and where their origins are.
    shown: Option<Shown>,
}

impl Site {
    /// Serves the release of this spec.
    pub(crate) fn start(spec: &Value) -> Result<Self> {
        Self::start_with(spec, &[])
    }

    /// The same by a process with these options.
    pub(crate) fn start_with(spec: &Value, options: &[&str]) -> Result<Self> {
        let (stable, canary) = (Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?, Origin::start((Ipv4Addr::LOCALHOST, 0), "v2")?);
        let folder = tempfile::tempdir()?;
        let services = service("shop", "checkout", &[stable.address()]) + &service("shop", "checkout-v2", &[canary.address()]);
        write(folder.path(), "services.yaml", &services)?;
        write(folder.path(), "ingress.yaml", &ingress("shop", "shop", HOST, "/", "checkout"))?;
        write(folder.path(), "release.yaml", &release("shop", "checkout", spec))?;
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let running = Running::start_with(folder.path(), (Ipv4Addr::LOCALHOST, 0).into(), "state", &options)?;
        Ok(Self { stable, canary, running, folder, namespace: "shop".to_owned(), shown: None })
    }

    /// Serves the manifests of a folder of `e2e`, as they are but for the addresses of the origins; options are those of `serin standalone`.
    pub(crate) fn shown(name: &str, options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (mut shown, stable, canary) = Shown::of(name)?;
        for file in shown.files()? {
            write(folder.path(), &file, &shown.read(&file)?)?;
        }
        shown.options = options.iter().map(ToString::to_string).collect();
        let running = Running::start_with(folder.path(), (Ipv4Addr::LOCALHOST, 0).into(), "state", &shown.options)?;
        Ok(Self { stable, canary, running, folder, namespace: name[..3].to_owned(), shown: Some(shown) })
    }

    /// The host of a site that the repository shows.
    pub(crate) fn host(&self) -> String {
        format!("{}.example", self.namespace)
    }

    /// Edits the manifests as somebody would who follows the folder's README.
    pub(crate) fn change(&self, from: &str, to: &str) -> Result<()> {
        self.change_in(MANIFESTS, from, to)
    }

    /// The same in another file.
    pub(crate) fn change_in(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let text = fs::read_to_string(self.folder.path().join(file))?;
        ensure!(text.contains(from), "no {from:?} in\n{text}");
        self.write(file, &text.replace(from, to))
    }

    /// An edit and the deletion of a release in one write.
    pub(crate) fn change_and_delete(&self, from: &str, to: &str, release: &str) -> Result<()> {
        let text = fs::read_to_string(self.folder.path().join(MANIFESTS))?;
        ensure!(text.contains(from), "no {from:?} in\n{text}");
        self.write(MANIFESTS, &text.replace(document(&text, "CanaryRelease", release)?, "").replace(from, to))
    }

    /// Takes one object out of the manifests.
    pub(crate) fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let text = fs::read_to_string(self.folder.path().join(MANIFESTS))?;
        self.write(MANIFESTS, &text.replace(document(&text, kind, name)?, ""))
    }

    /// The answer to a request of this host and path, with these headers.
    pub(crate) fn ask(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        get(self.running.http, path, &[&[("Host", host)], headers].concat())
    }

    /// Starts another process on the same folder and state, once the old one is gone.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let options = self.shown.as_ref().map(|shown| shown.options.as_slice()).unwrap_or_default();
        self.running = Running::start_with(self.folder.path(), (Ipv4Addr::LOCALHOST, 0).into(), "state", options)?;
        Ok(())
    }

    /// A second process on the same folder and the same port, beside the first.
    pub(crate) fn successor(&self) -> Result<Running> {
        Running::start(self.folder.path(), self.running.http, "successor")
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces a file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        write(self.folder.path(), name, text)
    }

    /// Deletes a file of the folder.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.folder.path().join(name)).with_context(|| format!("cannot remove {name}"))
    }

    /// Replaces the release's spec.
    pub(crate) fn edit(&self, spec: &Value) -> Result<()> {
        self.write("release.yaml", &release("shop", "checkout", spec))
    }

    /// A connection to the proxy.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(self.running.http)
    }

    /// The release with its status.
    pub(crate) fn release(&self) -> Result<Value> {
        self.release_named("checkout")
    }

    /// The release of this name with its status.
    pub(crate) fn release_named(&self, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.running.ask(&format!("/v1/releases/{}/{name}", self.namespace))?.body)?)
    }

    /// A text of the release's status; empty while it has none.
    pub(crate) fn status(&self, pointer: &str) -> Result<String> {
        Ok(self.release()?["status"].pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// A condition of the release's status; null while it has none of that type.
    pub(crate) fn condition(&self, kind: &str) -> Result<Value> {
        self.condition_of("checkout", kind)
    }

    /// A condition of the status of the release of this name; null while it has none of that type.
    pub(crate) fn condition_of(&self, name: &str, kind: &str) -> Result<Value> {
        let conditions = self.release_named(name)?["status"]["conditions"].clone();
        Ok(conditions.as_array().into_iter().flatten().find(|condition| condition["type"] == kind).cloned().unwrap_or_default())
    }

    /// Waits until the proxy serves a phase at a weight; what status says alone may be a moment ahead.
    pub(crate) fn reaches(&self, phase: &str, weight: &str) -> Result<()> {
        self.reaches_named("checkout", phase, weight)
    }

    /// The same of the release of this name.
    pub(crate) fn reaches_named(&self, name: &str, phase: &str, weight: &str) -> Result<()> {
        eventually(&format!("{name} is {phase} at {weight} %"), PATIENCE, || {
            let status = &self.release_named(name)?["status"];
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let programmed =
                conditions.filter(|condition| condition["type"] == "Programmed").any(|condition| condition["status"] == "True");
            let is_so = programmed && status["phase"] == phase && status["weight"] == weight;
            ensure!(is_so, "{status:#}\n{}", self.running.process.last_lines());
            Ok(())
        })
    }

    /// Waits until the process knows the release no more.
    pub(crate) fn forgets(&self) -> Result<()> {
        eventually("the release is gone", PATIENCE, || {
            let known = self.running.ask("/v1/releases")?.body;
            ensure!(serde_json::from_str::<Value>(&known)?["items"].as_array().is_some_and(Vec::is_empty), "{known}");
            Ok(())
        })
    }

    /// Waits until the log says so.
    pub(crate) fn tells(&self, text: &str) -> Result<()> {
        eventually(&format!("{text:?} is told"), PATIENCE, || {
            ensure!(self.running.process.log().contains(text), "{}", self.running.process.last_lines());
            Ok(())
        })
    }

    /// `serin COMMAND checkout -n NAMESPACE --admin ...`, to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = serin();
        command.args(arguments).args(["checkout", "-n", &self.namespace, "--admin", &self.running.admin.to_string()]);
        command.output().with_context(|| format!("serin {arguments:?}"))
    }
}

/// A spec of service `checkout` to `checkout-v2`, with these fields beside.
pub(crate) fn spec(more: &Value) -> Value {
    let mut spec = json!({"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}});
    for (name, value) in more.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    spec
}

/// The document of an object.
fn document<'t>(text: &'t str, kind: &str, name: &str) -> Result<&'t str> {
    let is = |document: &&str| document.contains(&format!("kind: {kind}\n")) && document.contains(&format!("metadata: {{name: {name}, "));
    text.split("---\n").find(is).with_context(|| format!("no {kind} {name} in\n{text}"))
}

/// As an editor saves: beside, then renamed, so that nobody reads half of it.
fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let beside = folder.join(format!(".{name}"));
    fs::write(&beside, text)?;
    fs::rename(&beside, folder.join(name)).with_context(|| format!("cannot write {name}"))
}
