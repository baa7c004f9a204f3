use super::canaries;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

#[test]
fn s15_weights_100_to_1_are_10_of_1_010_and_0_on_either_side_is_all_or_nothing() -> Result<()> {
    let site = Site::shown("s15-weights", &[])?;
    site.reaches("Steady", "0.99")?;
    site.reaches_named("all", "Promoted", "100")?;
    site.reaches_named("none", "Steady", "0")?;
    assert_eq!(canaries(&site, &site.host(), 1_010)?, 10);
    assert_eq!(canaries(&site, "all.s15.example", 100)?, 100);
    assert_eq!(canaries(&site, "none.s15.example", 100)?, 0);
    assert_eq!(site.ask("none.s15.example", "/", &[("X-Canary", "always")])?.body, "v2\n");

    site.change("{stable: 1, canary: 0}", "{stable: 0, canary: 0}")?;
    let accepted = eventually("both 0 is refused", PATIENCE, || {
        let accepted = site.condition_of("none", "Accepted")?;
        ensure!(accepted["status"] == "False", "{accepted}");
        Ok(accepted)
    })?;
    ensure!(accepted["message"].as_str().is_some_and(|message| message.contains("weights")), "{accepted}");
    Ok(())
}
