use super::canaries;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

/// Waits until side A has all, and that it then stays so.
fn goes_to_a(site: &Site, host: &str) -> Result<()> {
    eventually(&format!("{host} is on A"), PATIENCE, || {
        let answer = site.ask(host, "/", &[])?.body;
        ensure!(answer == "v1\n", "{answer}");
        Ok(())
    })?;
    assert_eq!(canaries(site, host, 200)?, 0);
    Ok(())
}

#[test]
fn s11_deleting_disabling_and_moving_the_scope_away_before_finalising_are_all_to_a() -> Result<()> {
    let site = Site::shown("s11-delete-first", &[])?;
    let hosts = ["s11.example", "cart.s11.example", "moved.s11.example"];
    for (name, host) in ["checkout", "cart", "moved"].into_iter().zip(hosts) {
        site.reaches_named(name, "Promoted", "100")?;
        assert_eq!(canaries(&site, host, 200)?, 200);
    }
    site.delete("CanaryRelease", "checkout")?;
    goes_to_a(&site, hosts[0])?;
    site.change("  scope: {service: cart}\n", "  enabled: false\n  scope: {service: cart}\n")?;
    goes_to_a(&site, hosts[1])?;
    site.change("scope: {service: moved}", "scope: {service: checkout}")?;
    goes_to_a(&site, hosts[2])
}
