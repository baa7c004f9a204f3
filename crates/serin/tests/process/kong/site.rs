//! A Kong configuration whose targets are two origins of the test, imported and served by `serin standalone`.

use super::command::import;
use crate::client::Client;
use crate::running::Running;
use crate::site::PATIENCE;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::{Answer, get};
use serin_testkit::eventually;
use serin_testkit::origin::Origin;
use std::fs;
use std::net::Ipv4Addr;
use tempfile::TempDir;

/// The host of the route.
pub(super) const HOST: &str = "shop.example";

/// Kong's configuration, and the process that serves what is imported of it.
pub(super) struct Moved {
    pub(super) stable: Origin,
    pub(super) canary: Origin,
    pub(super) running: Running,
    folder: TempDir,
}

impl Moved {
    /// Kong with a canary plugin of this configuration on its Service, whose Upstream has v1; Upstream `checkout-v2` has v2.
    pub(super) fn of(plugin: &Value) -> Result<Self> {
        Self::start(|stable, canary| with(plugin, stable, canary))
    }

    /// Kong with this configuration.
    pub(super) fn start(config: impl FnOnce(&Origin, &Origin) -> Value) -> Result<Self> {
        Self::start_with(config, "", &[])
    }

    /// The same, with manifests beside that somebody wrote by hand, and options of `serin standalone`.
    pub(super) fn start_with(config: impl FnOnce(&Origin, &Origin) -> Value, beside: &str, options: &[String]) -> Result<Self> {
        let (stable, canary) = (Origin::start((Ipv4Addr::LOCALHOST, 0), "v1")?, Origin::start((Ipv4Addr::LOCALHOST, 0), "v2")?);
        let folder = tempfile::tempdir()?;
        write(&folder, &config(&stable, &canary))?;
        fs::write(folder.path().join("beside.yaml"), beside)?;
        let running = Running::start_with(folder.path(), (Ipv4Addr::LOCALHOST, 0).into(), "state", options)?;
        Ok(Self { stable, canary, running, folder })
    }

    /// The plugin is configured anew.
    pub(super) fn again(&self, plugin: &Value) -> Result<()> {
        self.edit(|stable, canary| with(plugin, stable, canary))
    }

    /// Kong is configured anew.
    pub(super) fn edit(&self, config: impl FnOnce(&Origin, &Origin) -> Value) -> Result<()> {
        write(&self.folder, &config(&self.stable, &self.canary))
    }

    /// A connection to the proxy.
    pub(super) fn client(&self) -> Result<Client> {
        Client::connect(self.running.http)
    }

    /// The answer to one request to this path, with these headers.
    pub(super) fn ask(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        get(self.running.http, path, &[&[("Host", host)], headers].concat())
    }

    /// Who answers: `v1`, `v2` or the status of an error of serin's own.
    pub(super) fn side(&self, host: &str, headers: &[(&str, &str)]) -> Result<String> {
        let answer = self.ask(host, "/", headers)?;
        Ok(match answer.header("x-origin") {
            Some(label) => label.to_owned(),
            None => answer.status.to_string(),
        })
    }

    /// The status of the release `checkout`.
    pub(super) fn status(&self) -> Result<Value> {
        let release: Value = serde_json::from_str(&self.running.ask("/v1/releases/shop/checkout")?.body)?;
        Ok(release["status"].clone())
    }

    /// Waits until the release serves this weight in this phase.
    pub(super) fn reaches(&self, phase: &str, weight: &str) -> Result<()> {
        eventually(&format!("{phase} at {weight} %"), PATIENCE, || {
            let status = self.status()?;
            let programmed = status["conditions"].as_array().into_iter().flatten();
            let programmed =
                programmed.filter(|condition| condition["type"] == "Programmed").any(|condition| condition["status"] == "True");
            ensure!(
                programmed && status["phase"] == phase && status["weight"] == weight,
                "{status:#}\n{}",
                self.running.process.last_lines()
            );
            Ok(())
        })
    }

    /// Waits until a request is answered by this one.
    pub(super) fn until_side(&self, host: &str, headers: &[(&str, &str)], side: &str) -> Result<()> {
        eventually(&format!("{side} answers"), PATIENCE, || {
            let seen = self.side(host, headers)?;
            ensure!(seen == side, "{seen} answers");
            Ok(())
        })
    }
}

/// A Service `checkout` with a route, its Upstream of the same name with v1, Upstream `checkout-v2` with v2, and a canary plugin.
pub(super) fn with(plugin: &Value, stable: &Origin, canary: &Origin) -> Value {
    let mut config = without(stable, canary);
    config["plugins"] = json!([{"name": "canary", "service": "checkout", "config": plugin}]);
    config
}

/// The same without a plugin.
pub(super) fn without(stable: &Origin, canary: &Origin) -> Value {
    json!({
        "_format_version": "3.0",
        "services": [{"name": "checkout", "host": "checkout",
            "routes": [{"name": "shop", "hosts": [HOST], "paths": ["/"], "strip_path": false}]}],
        "upstreams": [{"name": "checkout", "targets": [{"target": stable.address().to_string()}]},
            {"name": "checkout-v2", "targets": [{"target": canary.address().to_string()}]}]
    })
}

/// Imports the configuration into the folder, as an editor saves.
fn write(folder: &TempDir, config: &Value) -> Result<()> {
    let (printed, told, code) = import(&["-n", "shop", "--all"], &[("kong.json", &config.to_string())])?;
    ensure!(code == 0, "{told}");
    let beside = folder.path().join(".kong");
    fs::write(&beside, printed)?;
    fs::rename(&beside, folder.path().join("kong.yaml")).context("cannot write kong.yaml")
}
