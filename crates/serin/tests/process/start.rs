//! What a person in a terminal and a script see when it starts.

use crate::running::{Running, serin};
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::ask::get;
use serin_testkit::eventually;

#[test]
fn the_addresses_it_got_are_the_first_two_lines() -> Result<()> {
    let site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    let printed = site.running.process.log();
    let (http, admin) = (site.running.http, site.running.admin);
    ensure!(http.port() != 0 && admin.port() != 0, "port 0 asks for a free one: {printed}");
    ensure!(
        printed.contains(&format!("http   http://{http}\nadmin  http://{admin}  (serin watch --admin {admin})\n")),
        "the lines are copied into a terminal as they are: {printed}"
    );
    assert_eq!(get(http, "/", &[("Host", HOST)])?.body, "v1\n");
    Ok(())
}

#[test]
fn a_script_asks_whether_it_is_ready() -> Result<()> {
    let mut site = Site::start(&spec(&json!({"strategy": {"percentage": 0}})))?;
    let admin = site.running.admin.to_string();
    let ready = || -> Result<_> {
        let output = serin().args(["ready", "--admin", &admin]).output()?;
        Ok((output.status.code(), String::from_utf8([output.stdout, output.stderr].concat())?))
    };
    assert_eq!(ready()?, (Some(0), format!("{admin} is ready\n")));
    site.running.process.sigkill()?;
    let (code, said) = ready()?;
    assert_eq!(code, Some(1), "{said}");
    ensure!(said.starts_with(&format!("{admin}: is `serin standalone` running there?")), "{said}");
    Ok(())
}

#[test]
fn log_and_access_log_are_an_object_a_line_when_that_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = ["--log-format", "json", "--access-log", "on"].map(str::to_owned);
    let running = Running::start_with(folder.path(), ([127, 0, 0, 1], 0).into(), "state", &options)?;
    assert_eq!(get(running.http, "/nowhere", &[("Host", HOST)])?.status, 404);
    eventually("the request is logged", PATIENCE, || {
        let printed = running.process.log();
        // Before the log come the two lines with the addresses.
        let (addresses, log): (Vec<&str>, Vec<&str>) =
            printed.lines().partition(|line| line.starts_with("http ") || line.starts_with("admin "));
        let log: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).with_context(|| line.to_string())).collect::<Result<_>>()?;
        ensure!(addresses.len() == 2 && log.iter().any(|line| line["level"] == "INFO" && line["message"].is_string()), "{printed}");
        ensure!(log.iter().any(|line| line["path"] == "/nowhere" && line["status"] == 404), "{printed}");
        Ok(())
    })
}

#[test]
fn an_option_that_a_command_does_not_have_is_refused_instead_of_ignored() -> Result<()> {
    for arguments in [["demo", "--admin", "127.0.0.1:1"], ["crds", "--namespace", "shop"], ["check", "--admin", "127.0.0.1:1"]] {
        let output = serin().args(arguments).output()?;
        let error = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        ensure!(error.contains(&format!("unexpected argument '{}'", arguments[1])), "{error}");
    }
    Ok(())
}

#[test]
fn an_admin_port_that_others_could_reach_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = serin();
    command.arg("standalone").arg("--manifests").arg(folder.path()).args(["--http", "127.0.0.1:0", "--admin", "0.0.0.0:0"]);
    let output = command.output().context("serin standalone")?;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{error}");
    ensure!(error.contains("--admin 0.0.0.0:0 is not on loopback"), "{error}");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_at_the_start_is_named_and_nothing_is_served_without_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("policies.yaml"), "kind: [")?;
    let mut command = serin();
    command.arg("standalone").arg("--manifests").arg(folder.path()).args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let output = command.output().context("serin standalone")?;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{error}");
    ensure!(error.contains("policies.yaml: ") && error.contains("mend the file"), "{error}");
    Ok(())
}
