//! The tests that stand beside the scripts, in the form that Argo CD takes: `health_test.yaml` and `action_test.yaml`. They are run through
//! `argocd admin settings resource-overrides`, with the ConfigMap that users apply.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_controller::client::next_token;
use serin_testkit::manifests;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The scripts of each kind stand in a folder of its name.
pub(crate) fn group() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/argocd/resource_customizations/serin.dev")
}

pub(crate) fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_saphyr::from_str(&text).with_context(|| path.display().to_string())
}

/// `argocd admin settings resource-overrides`, offline.
fn overrides(words: &[&str], object: &Path, more: &[&str]) -> Result<Output> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(serin_testkit::argocd::program()?);
    command.args(["admin", "settings", "resource-overrides"]).args(words).arg(object).args(more);
    command.arg("--argocd-cm-path").arg(group().join("../../argocd-cm.yaml")).env("HOME", home.path()).env("KUBECONFIG", "/dev/null");
    // What it would show as a difference: the second of the two files, the object after the action.
    command.env("KUBECTL_EXTERNAL_DIFF", "sh -c 'cat \"$1\"'");
    command.output().context("cannot start argocd")
}

/// What it prints when it ends well.
fn printed(words: &[&str], object: &Path, more: &[&str]) -> Result<String> {
    let output = overrides(words, object, more)?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{words:?} {}: {} {text}", object.display(), String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// The list at this place of a test file.
fn tests(of: &Value, name: &str) -> Result<Vec<Value>> {
    let found = of[name].as_array().with_context(|| format!("no {name}"))?;
    ensure!(!found.is_empty(), "{name} is empty");
    Ok(found.clone())
}

fn text<'v>(of: &'v Value, pointer: &str) -> Result<&'v str> {
    of.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {of}"))
}

/// Whether the files of a folder are those that its tests name, so that none is left out.
fn all_used(folder: &Path, used: &[PathBuf]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        ensure!(used.contains(&path), "no test reads {}", path.display());
    }
    Ok(())
}

/// The objects of all the tests, by their path.
fn objects() -> Result<Vec<PathBuf>> {
    let (mut open, mut found) = (vec![group()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if folder.ends_with("testdata") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[test]
fn the_objects_of_the_tests_have_no_field_that_serin_does_not_write() -> Result<()> {
    let cluster = crate::argo::prepared()?;
    cluster.apply(&manifests::namespace("shop"))?;
    let objects = objects()?;
    let documents = objects.iter().map(|path| Ok(manifests::document(&read(path)?))).collect::<Result<Vec<_>>>()?;
    cluster.kubectl(&["apply", "--server-side", "--dry-run=server", "-f", "-"], &documents.concat())?.ok()?;
    println!("{} objects", objects.len());
    let misspelt = documents[0].replacen("\"observedGeneration\"", "\"observedgeneration\"", 1);
    let refused = cluster.kubectl(&["apply", "--server-side", "--dry-run=server", "-f", "-"], &misspelt)?;
    ensure!(!refused.status.success() && refused.stderr.contains("observedgeneration"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn the_health_of_each_object_is_what_its_test_says() -> Result<()> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for kind in ["AuthPolicy", "BackendPolicy", "CanaryRelease", "Consumer"] {
        let (folder, mut used) = (group().join(kind), Vec::new());
        for test in tests(&read(&folder.join("health_test.yaml"))?, "tests")? {
            let path = folder.join(text(&test, "/inputPath")?);
            let (status, message) = (text(&test, "/healthStatus/status")?, text(&test, "/healthStatus/message")?);
            let said = printed(&["health"], &path, &[])?;
            ensure!(said == format!("STATUS: {status}\nMESSAGE: {message}\n"), "{}: {said}", path.display());
            *seen.entry(status.to_owned()).or_default() += 1;
            used.push(path);
        }
        all_used(&folder.join("testdata"), &used)?;
    }
    println!("{seen:?}");
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    ensure!(kinds == ["Degraded", "Healthy", "Progressing", "Suspended", "Unknown"], "{kinds:?}");
    Ok(())
}

#[test]
fn the_actions_of_each_release_are_enabled_as_its_test_says() -> Result<()> {
    let folder = group().join("CanaryRelease/actions");
    for test in tests(&read(&folder.join("action_test.yaml"))?, "discoveryTests")? {
        let path = folder.join(text(&test, "/inputPath")?);
        let listed = printed(&["list-actions"], &path, &[])?;
        let rows = listed.lines().skip(1).filter_map(|line| line.split_once(char::is_whitespace));
        let rows: BTreeMap<&str, bool> = rows.map(|(name, disabled)| (name, disabled.trim() == "true")).collect();
        let expected = tests(&test, "result")?;
        let expected = expected.iter().map(|action| Ok((text(action, "/name")?, action["disabled"] == true)));
        let expected: BTreeMap<&str, bool> = expected.collect::<Result<_>>()?;
        ensure!(rows == expected, "{}: {rows:?} instead of {expected:?}", path.display());
    }
    Ok(())
}

#[test]
fn each_action_sets_its_annotation_with_the_token_that_serin_itself_would_take_and_nothing_else() -> Result<()> {
    let folder = group().join("CanaryRelease/actions");
    let tests = tests(&read(&folder.join("action_test.yaml"))?, "actionTests")?;
    for test in &tests {
        let (action, input) = (text(test, "/action")?, folder.join(text(test, "/inputPath")?));
        if let Some(message) = test["expectedErrorMessage"].as_str() {
            let output = overrides(&["run-action"], &input, &[action])?;
            let told = String::from_utf8(output.stderr)?;
            ensure!(!output.status.success() && told.contains(message), "{}: {told}", input.display());
            continue;
        }
        let before = read(&input)?;
        let said = printed(&["run-action"], &input, &[action])?;
        let (_, after) = said.split_once(":\n\n").with_context(|| format!("no object: {said}"))?;
        let after: Value = serde_saphyr::from_str(after)?;
        ensure!(after == read(&folder.join(text(test, "/expectedOutputPath")?))?, "{} {action}: {after}", input.display());

        // Texts of people hold numbers that serin would count and a script cannot hold.
        let token = next_token(&before);
        let (name, value) = if action == "abort" { ("abort", token) } else { ("command", format!("{action}@{token}")) };
        let mut asked = before.clone();
        asked["metadata"]["annotations"][format!("serin.dev/{name}")] = json!(value);
        ensure!(after == asked || input.ends_with("textsOfPeople.yaml"), "{} {action}: serin asks {asked}", input.display());
    }
    let actions: Vec<&str> = tests.iter().filter_map(|test| test["action"].as_str()).collect();
    ensure!(["promote", "abort", "pause", "resume", "skip", "retry"].iter().all(|action| actions.contains(action)), "{actions:?}");
    Ok(())
}
