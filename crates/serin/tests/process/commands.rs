//! A release by steps that is walked by hand, command by command.

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::manifests::ingress;

/// What a command ended with, and what it printed on either stream.
struct Said {
    code: i32,
    text: String,
}

fn say(site: &Site, arguments: &[&str]) -> Result<Said> {
    let output = site.command(arguments)?;
    let text = String::from_utf8([output.stdout, output.stderr].concat())?;
    Ok(Said { code: output.status.code().context("it was killed")?, text })
}

/// A command that is obeyed prints the release as it is then: phase, weight and step of the row.
fn obeyed(site: &Site, arguments: &[&str]) -> Result<[String; 3]> {
    let said = say(site, arguments)?;
    ensure!(said.code == 0, "{arguments:?} ended {}: {}", said.code, said.text);
    let rows: Vec<Vec<&str>> = said.text.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = ["NAMESPACE", "NAME", "PHASE", "WEIGHT", "MEASURED", "STEP", "VERDICT", "AGE", "MESSAGE"];
    let row = rows.get(1).filter(|row| rows[0] == header && row.starts_with(&["shop", "checkout"]) && row.len() > 8);
    let row = row.with_context(|| said.text.clone())?;
    Ok([row[2], row[3], row[5]].map(str::to_owned))
}

/// A command that is refused says why and changes nothing.
fn refused(site: &Site, arguments: &[&str], why: &str) -> Result<()> {
    let served = |release: Value| (release["status"]["phase"].clone(), release["status"]["traffic"].clone());
    let before = served(site.release()?);
    let said = say(site, arguments)?;
    assert_eq!((said.code, said.text.trim_end()), (1, why), "{arguments:?}");
    assert_eq!(served(site.release()?), before);
    Ok(())
}

/// How many of 1,000 requests the canary answers: exact, since the split is by request.
fn canary_answers(site: &Site) -> Result<usize> {
    Ok(site.client()?.sides(HOST, 1_000)?.into_iter().filter(|canary| *canary).count())
}

#[test]
fn a_release_is_walked_by_commands_to_promotion_and_finished_by_the_edit_that_status_tells() -> Result<()> {
    let steps = json!([{"weight": 10}, {"pause": true}, {"weight": 50, "for": "1h"}, {"pause": true}]);
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"steps": steps}})))?;

    site.reaches("Paused", "10")?;
    assert_eq!(obeyed(&site, &["get"])?, ["Paused", "10", "2/5"]);
    assert_eq!(canary_answers(&site)?, 100);
    let timed_out = say(&site, &["wait", "--timeout", "0"])?;
    assert_eq!(timed_out.code, 2, "{}", timed_out.text);
    ensure!(timed_out.text.ends_with("still Paused: Step 2/5 pauses at 10 %. Go on with: serin resume checkout\n"), "{}", timed_out.text);
    refused(&site, &["retry"], "error: retry of shop/checkout was refused: Only an aborted release can be retried.")?;

    assert_eq!(obeyed(&site, &["resume"])?, ["Progressing", "50", "3/5"]);
    assert_eq!(obeyed(&site, &["pause"])?, ["Paused", "50", "3/5"]);
    refused(&site, &["skip"], "error: skip of shop/checkout was refused: The release is paused. Resume it first.")?;
    assert_eq!(obeyed(&site, &["resume"])?, ["Progressing", "50", "3/5"]);
    obeyed(&site, &["skip"])?;
    site.reaches("Paused", "50")?;
    assert_eq!(site.status("/step/label")?, "4/5");
    assert_eq!(canary_answers(&site)?, 500);

    assert_eq!(obeyed(&site, &["abort"])?, ["Aborted", "0", "-"]);
    assert_eq!(canary_answers(&site)?, 0);
    let aborted = say(&site, &["wait"])?;
    assert_eq!(aborted.code, 1, "{}", aborted.text);
    ensure!(aborted.text.starts_with("Aborted: It was aborted by command. All is on stable."), "{}", aborted.text);
    let aborted = "The release is aborted. Use retry, or make a new revision.";
    refused(&site, &["promote", "--yes"], &format!("error: promote of shop/checkout was refused: {aborted}"))?;

    obeyed(&site, &["retry"])?;
    site.reaches("Paused", "10")?;
    assert_eq!(site.release()?["status"]["release"]["attempt"], 2);
    obeyed(&site, &["promote", "--yes"])?;
    let promoted = say(&site, &["wait", "--timeout", "30"])?;
    assert_eq!(promoted.code, 0, "{}", promoted.text);
    ensure!(promoted.text.starts_with("Promoted: 100 % on checkout-v2:80"), "{}", promoted.text);
    assert_eq!(canary_answers(&site)?, 1_000);

    finish(&site)
}

/// Makes the edit of `status.finalize` in the file, then deletes the release as its message tells.
fn finish(site: &Site) -> Result<()> {
    let message = site.status("/message")?;
    ensure!(message.ends_with("See status.finalize, then delete this release."), "{message}");
    assert_eq!(
        site.status("/finalize/edits/0/text")?,
        "Set spec.rules[0].http.paths[0].backend to {service: {name: checkout-v2, port: {number: 80}}}"
    );
    site.write("ingress.yaml", &ingress("shop", "shop", HOST, "/", "checkout-v2"))?;
    site.reaches("Completed", "0")?;
    assert_eq!(canary_answers(site)?, 1_000, "the route does by itself what the canary does");
    site.remove("release.yaml")?;
    eventually("the release is gone", PATIENCE, || {
        let answer = site.running.ask("/v1/releases/shop/checkout")?;
        ensure!(answer.status == 404, "{answer:?}");
        Ok(())
    })?;
    assert_eq!(canary_answers(site)?, 1_000);
    Ok(())
}

#[test]
fn a_release_that_is_not_there_and_a_port_where_nobody_listens_are_told_apart() -> Result<()> {
    let mut site = Site::start(&spec(&json!({"strategy": {"percentage": 10}})))?;
    let get = |name: &str| -> Result<(Option<i32>, String)> {
        let output = serin().args(["get", name, "-n", "shop", "--admin", &site.running.admin.to_string()]).output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };
    assert_eq!(get("nothing")?, (Some(1), "error: canaryrelease shop/nothing not found\n".to_owned()));
    site.running.process.sigkill()?;
    let said = say(&site, &["get"])?;
    assert_eq!(said.code, 1);
    ensure!(said.text.starts_with(&format!("error: {}: is `serin standalone` running there?", site.running.admin)), "{}", said.text);
    Ok(())
}
