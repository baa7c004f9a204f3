//! The command as somebody meets it: what is printed where, and how it ends.

use crate::running::serin;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// What `serin import kong` prints of these files, its notes, and its exit code.
pub(super) fn import(options: &[&str], files: &[(&str, &str)]) -> Result<(String, String, i32)> {
    let folder = tempfile::tempdir()?;
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    let mut command = serin();
    command.current_dir(folder.path()).args(["import", "kong"]).args(options).args(files.iter().map(|(name, _)| name));
    let output = command.output()?;
    let code = output.status.code().context("it was killed")?;
    Ok((String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?, code))
}

/// The objects of what was printed.
pub(super) fn objects(printed: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(printed)?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Whether `serin check` finds nothing.
pub(super) fn check(text: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("objects.yaml");
    fs::write(&file, text)?;
    let output = serin().arg("check").arg(&file).output()?;
    let told = String::from_utf8(output.stdout)?;
    // What this version does not serve yet is valid all the same.
    let wrong: Vec<&str> = told.lines().filter(|line| !line.ends_with(" findings") && !line.contains("does not serve")).collect();
    ensure!(wrong.is_empty(), "{told}\n{text}");
    Ok(())
}

const SERVICE: &str = r#"{"id": "4e13f54a-bbf1-47a8-8777-255fed7116f2", "name": "checkout", "host": "checkout", "protocol": "http"}"#;
const PLUGIN: &str = r#"{"data": [{"name": "canary", "service": {"id": "4e13f54a-bbf1-47a8-8777-255fed7116f2"},
    "config": {"percentage": 10, "hash": "ip", "upstream_host": "checkout-v2"}}], "next": null}"#;

#[test]
fn releases_go_to_standard_output_and_what_somebody_must_decide_to_both() -> Result<()> {
    let (printed, told, code) = import(&["-n", "shop"], &[("service.json", SERVICE), ("plugins.json", PLUGIN)])?;
    assert_eq!(code, 0, "{told}");
    let note = "decide: plugins.json: plugin canary on service checkout: config.hash: ";
    ensure!(told.lines().next().is_some_and(|line| line.starts_with(note)), "{told}");
    ensure!(told.ends_with("1 objects, 1 notes\n"), "{told}");
    ensure!(printed.starts_with(&format!("# Before you apply this:\n# - {note}")), "{printed}");
    let objects = objects(&printed)?;
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["metadata"], serde_json::json!({"name": "checkout", "namespace": "shop"}));
    check(&printed)
}

#[test]
fn a_canary_that_became_no_release_ends_with_1_and_names_file_object_field_and_cure() -> Result<()> {
    let (printed, told, code) = import(&[], &[("plugins.json", PLUGIN)])?;
    assert_eq!(code, 1);
    assert_eq!(objects(&printed)?.len(), 0);
    let expected = "left out: plugins.json: plugin canary on service 4e13f54a-bbf1-47a8-8777-255fed7116f2: service: None of the files holds \
        service 4e13f54a-bbf1-47a8-8777-255fed7116f2. Give what the Admin API answers for /services too.";
    assert_eq!(told.lines().next(), Some(expected));
    Ok(())
}

#[test]
fn a_file_that_is_none_of_kongs_or_not_there_is_named() -> Result<()> {
    let (_, told, code) = import(&[], &[("service.yaml", "{apiVersion: v1, kind: Service, metadata: {name: a}}")])?;
    ensure!(code == 1 && told.starts_with("error: service.yaml: document 1 is an object of Kubernetes: give declarative "), "{told}");
    let output = serin().args(["import", "kong", "nothing.yaml"]).output()?;
    ensure!(output.status.code() == Some(1) && output.stderr.starts_with(b"error: nothing.yaml: "), "{output:?}");
    Ok(())
}

#[test]
fn a_pipe_is_read_as_a_file_is() -> Result<()> {
    let mut command = serin();
    command.args(["import", "kong", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child
        .stdin
        .take()
        .context("it has no input")?
        .write_all(b"{\"name\": \"canary\", \"service\": \"checkout\", \"config\": {\"percentage\": 1, \"upstream_port\": 81}}")?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{output:?}");
    assert_eq!(objects(&String::from_utf8(output.stdout)?)?.len(), 1);
    Ok(())
}

/// Every case of the importer's own tests by the binary, with what they are asked for there.
#[test]
fn what_the_goldens_hold_is_what_check_accepts() -> Result<()> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/cases");
    let mut texts = String::new();
    for case in fs::read_dir(cases)? {
        let golden = fs::read_to_string(case?.path().join("imported.snap"))?;
        let (_, printed) = golden.split_once("\n---\n").context("a golden has a head")?;
        texts.push_str("---\n");
        texts.push_str(printed);
    }
    ensure!(objects(&texts)?.len() >= 50);
    check(&texts)
}
