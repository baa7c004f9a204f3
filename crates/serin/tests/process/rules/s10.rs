use super::canaries;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

const NAME: &str = "backend: {service: {name: checkout,";
const EDITED: &str = "backend: {service: {name: checkout-v2,";

/// That all of 200 requests reach the canary's origin.
fn all_on_b(site: &Site) -> Result<()> {
    assert_eq!(canaries(site, &site.host(), 200)?, 200);
    Ok(())
}

#[test]
fn s10_the_edit_that_status_tells_completes_the_release_and_deleting_it_then_changes_nothing() -> Result<()> {
    let site = Site::shown("s10-finalise", &[])?;
    site.reaches("Promoted", "100")?;
    all_on_b(&site)?;
    let edit = site.status("/finalize/edits/0/text")?;
    assert_eq!(edit, "Set spec.rules[0].http.paths[0].backend to {service: {name: checkout-v2, port: {number: 80}}}");
    assert_eq!(site.condition("ReadyToFinalize")?["status"], "True");
    site.change(NAME, EDITED)?;
    site.reaches("Completed", "0")?;
    all_on_b(&site)?;
    site.delete("CanaryRelease", "checkout")?;
    site.forgets()?;
    all_on_b(&site)
}

#[test]
fn s10_one_write_may_do_both_and_an_early_edit_is_all_to_b() -> Result<()> {
    let site = Site::shown("s10-finalise", &[])?;
    site.reaches("Promoted", "100")?;
    site.change_and_delete(NAME, EDITED, "checkout")?;
    site.forgets()?;
    all_on_b(&site)?;

    let site = Site::shown("s10-finalise", &[])?;
    site.change("percentage: 100", "percentage: 10")?;
    site.reaches("Steady", "10")?;
    site.change(NAME, EDITED)?;
    eventually("it is completed", PATIENCE, || {
        let phase = site.status("/phase")?;
        ensure!(phase == "Completed", "{phase}");
        Ok(())
    })?;
    all_on_b(&site)
}
