//! Revisions of the canary's workload, and the turn from one to the next.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::eventually;
use serin_testkit::manifests::{deployment, service};

/// Everyone in turn, half of them to the canary for long, or with these fields instead.
fn by_workloads(more: &Value) -> Value {
    let mut all = json!({"split": {"by": "Request", "buckets": 100}, "strategy": {"steps": [{"weight": 50, "for": "1h"}]},
        "workloads": {"canary": {"kind": "Deployment", "name": "checkout-v2"}, "stable": {"kind": "Deployment", "name": "checkout"}}});
    for (name, value) in more.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    spec(&all)
}

/// Both workloads: stable's image, and the canary's revision, image and whether that is rolled out.
fn workloads(site: &Site, stable: &str, (revision, image, rolled_out): (u32, &str, bool)) -> Result<()> {
    let both = deployment("shop", "checkout", 1, stable, true) + &deployment("shop", "checkout-v2", revision, image, rolled_out);
    site.write("workloads.yaml", &both)
}

fn canaries(site: &Site) -> Result<usize> {
    Ok(site.client()?.sides(HOST, 100)?.into_iter().filter(|canary| *canary).count())
}

fn is_reason(site: &Site, condition: &str, reason: &str) -> Result<()> {
    eventually(&format!("{condition} says {reason}"), PATIENCE, || {
        let found = site.condition(condition)?;
        ensure!(found["reason"] == reason, "{found}");
        Ok(())
    })
}

/// What a new release changes.
fn identity(site: &Site) -> Result<[Value; 3]> {
    let release = site.release()?;
    Ok(["id", "attempt", "startedAt"].map(|field| release["status"]["release"][field].clone()))
}

#[test]
fn a_new_revision_is_weight_0_at_once_and_the_first_step_when_it_is_rolled_out() -> Result<()> {
    let site = Site::start(&by_workloads(&json!({})))?;
    is_reason(&site, "ResolvedRefs", "WorkloadNotFound")?;
    assert_eq!(canaries(&site)?, 0);
    workloads(&site, "app:1", (7, "app:2", false))?;
    is_reason(&site, "Progressing", "WaitingForRollout")?;
    assert_eq!((site.status("/release/revision")?.as_str(), canaries(&site)?), ("7", 0));
    workloads(&site, "app:1", (7, "app:2", true))?;
    site.reaches("Progressing", "50")?;
    assert_eq!((site.status("/resolved/salt")?.as_str(), canaries(&site)?), ("shop/checkout@7", 50));
    let seven = identity(&site)?;
    assert_eq!(seven[1], 1, "the first revision is no change");

    workloads(&site, "app:1", (8, "app:3", false))?;
    site.reaches("Progressing", "0")?;
    is_reason(&site, "Progressing", "WaitingForRollout")?;
    assert_eq!(canaries(&site)?, 0);
    let told = site.status("/message")?;
    assert_eq!(told, "Held at 0 %. Deployment shop/checkout-v2 is not rolled out. It goes on when it is.");
    assert_ne!(identity(&site)?[0], seven[0]);
    workloads(&site, "app:1", (8, "app:3", true))?;
    site.reaches("Progressing", "50")?;
    assert_eq!((site.status("/step/label")?.as_str(), identity(&site)?[1].clone()), ("1/2", json!(2)));
    Ok(())
}

#[test]
fn a_workload_that_is_gone_and_a_restart_begin_nothing_anew() -> Result<()> {
    let mut site = Site::start(&by_workloads(&json!({})))?;
    workloads(&site, "app:1", (7, "app:2", true))?;
    site.reaches("Progressing", "50")?;
    let before = identity(&site)?;
    site.remove("workloads.yaml")?;
    is_reason(&site, "ResolvedRefs", "WorkloadNotFound")?;
    assert_eq!((canaries(&site)?, identity(&site)?), (50, before.clone()));
    site.running.process.sigkill()?;
    site.restart()?;
    assert_eq!((canaries(&site)?, identity(&site)?), (50, before.clone()), "while it is gone");
    workloads(&site, "app:1", (7, "app:2", true))?;
    is_reason(&site, "ResolvedRefs", "ResolvedRefs")?;
    site.running.process.sigkill()?;
    site.restart()?;
    site.reaches("Progressing", "50")?;
    assert_eq!((canaries(&site)?, identity(&site)?), (50, before));
    Ok(())
}

#[test]
fn s10_stable_with_the_canarys_images_completes_it_and_the_canary_takes_the_next_revision_without_traffic() -> Result<()> {
    let site = Site::start(&by_workloads(&json!({"strategy": {"steps": [{"weight": 50, "for": "1s"}]}})))?;
    workloads(&site, "app:1", (7, "app:2", true))?;
    site.reaches("Promoted", "100")?;
    let edit = site.release()?["status"]["finalize"]["edits"][0].clone();
    assert_eq!(
        edit,
        json!({"kind": "Deployment", "namespace": "shop", "name": "checkout", "text": "Set the image of container app to app:2"})
    );
    let told = site.status("/message")?;
    assert_eq!(told, "100 % on checkout-v2:80. Set the image of container app to app:2, then it takes the next revision.");
    assert_eq!(canaries(&site)?, 100);

    workloads(&site, "app:2", (7, "app:2", true))?;
    site.reaches("Completed", "0")?;
    // What decides nothing has no epoch that is acknowledged, so status is a moment ahead of the table.
    eventually("stable serves what was judged", PATIENCE, || {
        let canaries = canaries(&site)?;
        ensure!(canaries == 0, "{canaries} of 100 on the canary");
        Ok(())
    })?;
    workloads(&site, "app:2", (8, "app:3", false))?;
    site.reaches("Progressing", "0")?;
    assert_eq!((canaries(&site)?, site.status("/release/revision")?.as_str()), (0, "8"));
    assert_eq!(site.condition("Degraded")?["status"], "False");
    workloads(&site, "app:2", (8, "app:3", true))?;
    site.reaches("Promoted", "100")?;

    // Once more before stable has it: all goes back to what stable is, and status says so.
    workloads(&site, "app:2", (9, "app:4", false))?;
    site.reaches("Progressing", "0")?;
    assert_eq!((canaries(&site)?, site.condition("Degraded")?["reason"].clone()), (0, json!("NotFinalized")));
    Ok(())
}

#[test]
fn s10_a_release_that_begins_with_stable_as_the_canary_is_completed_at_once() -> Result<()> {
    let site = Site::start(&by_workloads(&json!({"enabled": false})))?;
    workloads(&site, "app:2", (7, "app:2", true))?;
    is_reason(&site, "ResolvedRefs", "ResolvedRefs")?;
    site.edit(&by_workloads(&json!({})))?;
    site.reaches("Completed", "0")?;
    assert_eq!(canaries(&site)?, 0);
    // Without an endpoint stable serves nothing, whatever its image is.
    site.write("services.yaml", &(service("shop", "checkout", &[]) + &service("shop", "checkout-v2", &[site.canary.address()])))?;
    workloads(&site, "app:3", (8, "app:3", true))?;
    site.reaches("Progressing", "50")?;
    Ok(())
}
