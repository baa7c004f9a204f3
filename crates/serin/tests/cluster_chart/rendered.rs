//! What is rendered: `deploy/` is the chart, and the pod is started with options that the binary takes.

use crate::helm::{Helm, objects};
use crate::matrix::OPTIONS;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use serin_testkit::deploy;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

#[test]
fn deploy_is_what_the_chart_renders() -> Result<()> {
    for helm in Helm::both()? {
        for (name, text) in deploy::files(&helm)? {
            let there = fs::read_to_string(Path::new(DEPLOY).join(name)).unwrap_or_default();
            // Helm 4 may put objects of one kind into another order.
            let same = lines(&there) == lines(&text);
            ensure!(same, "deploy/{name} is not what {} renders: run `cargo xtask generate`", helm.name);
        }
    }
    Ok(())
}

fn lines(text: &str) -> Vec<&str> {
    let mut documents: Vec<&str> = text.split("---\n").collect();
    documents.sort_unstable();
    documents
}

/// The container's arguments and the variables that have a value.
fn started(documents: &[Value]) -> Result<(Vec<String>, BTreeMap<String, String>)> {
    let workload = documents.iter().find(|object| object["kind"] == "Deployment").context("there is a Deployment")?;
    let container = &workload["spec"]["template"]["spec"]["containers"][0];
    let text = |value: &Value| value.as_str().map(str::to_owned).context("an argument is text");
    let arguments = container["args"].as_array().into_iter().flatten().map(text).collect::<Result<_>>()?;
    let variables = container["env"].as_array().into_iter().flatten();
    let variables = variables.filter_map(|variable| Some((variable["name"].as_str()?.to_owned(), variable["value"].as_str()?.to_owned())));
    Ok((arguments, variables.collect()))
}

#[test]
fn the_binary_takes_the_arguments_of_the_pod() -> Result<()> {
    let [helm, _] = Helm::both()?;
    for (values, fewest) in [("{}", 8), (OPTIONS, 18)] {
        let (arguments, variables) = started(&objects(&helm, values)?)?;
        ensure!(arguments.len() > fewest, "{arguments:?}");
        let local =
            arguments.iter().map(|argument| argument.replace("=0.0.0.0:8080", "=127.0.0.1:0").replace("=0.0.0.0:9901", "=127.0.0.1:0"));
        let mut serin = Command::new(env!("CARGO_BIN_EXE_serin"));
        // There is no cluster, which is found out only after the arguments were read.
        serin.args(local).envs(variables).env("SERIN_OWN_NAMESPACE", "serin-system").env("KUBECONFIG", "/nowhere/kubeconfig");
        let output = serin.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{arguments:?} ended {}: {said}", output.status);
        ensure!(said.contains("/nowhere/kubeconfig"), "it ended for another reason: {said}");
    }
    Ok(())
}
