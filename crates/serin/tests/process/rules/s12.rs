use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

/// Waits until the release of route `shop` may be finalised or not, and its message says so; or, with no text, until it may.
fn waits_for(site: &Site, text: &str) -> Result<()> {
    eventually(&format!("it waits for {text:?}"), PATIENCE, || {
        let ready = site.condition_of("shop", "ReadyToFinalize")?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(ready["status"] == if text.is_empty() { "True" } else { "False" } && message.contains(text), "{ready}");
        Ok(())
    })
}

#[test]
fn s12_the_service_is_repointed_when_the_releases_of_all_its_routes_are_done_and_status_names_those_that_are_not() -> Result<()> {
    let site = Site::shown("s12-all-routes-first", &[])?;
    site.reaches_named("shop", "Promoted", "100")?;
    site.reaches_named("api", "Steady", "50")?;
    waits_for(&site, "Ingress/s12/admin")?;
    site.delete("Ingress", "admin")?;
    waits_for(&site, "CanaryRelease s12/api")?;
    site.change("percentage: 50", "percentage: 100")?;
    site.reaches_named("api", "Promoted", "100")?;
    waits_for(&site, "")?;
    let edit = site.release_named("shop")?["status"]["finalize"]["edits"][0]["text"].to_string();
    ensure!(edit.contains("selector") && edit.contains("v2"), "{edit}");

    // Kubernetes would take the pods of v1 out of the EndpointSlices.
    let slice_of_v1 = format!("ports: [{{port: {}}}]", site.stable.address().port());
    site.change_in("pods.yaml", &slice_of_v1, "ports: []")?;
    site.change("selector: {app: checkout}", "selector: {app: checkout, version: v2}")?;
    for name in ["shop", "api"] {
        site.reaches_named(name, "Completed", "0")?;
    }
    for host in ["s12.example", "api.s12.example"] {
        assert_eq!(site.ask(host, "/", &[])?.body, "v2\n");
    }
    Ok(())
}
