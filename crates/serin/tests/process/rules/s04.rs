use super::tenants;
use crate::site::Site;
use anyhow::{Result, ensure};

#[test]
fn s4_nobody_moves_back_while_the_weight_rises_each_request_is_decided_and_an_abort_moves_all() -> Result<()> {
    let site = Site::shown("s04-nobody-moves-back", &[])?;
    site.reaches("Steady", "10")?;
    let tenants = tenants(1_000);
    // One connection carries them all: it has no side of its own.
    let mut connection = site.client()?;
    let at_10 = connection.sides_of(&site.host(), &tenants)?;
    ensure!(at_10.contains(&true) && at_10.contains(&false), "one connection, one side");
    assert_eq!(site.client()?.sides_of(&site.host(), &tenants)?, at_10, "another connection, another side");

    site.change("percentage: 10", "percentage: 50")?;
    site.reaches("Steady", "50")?;
    let at_50 = connection.sides_of(&site.host(), &tenants)?;
    assert_eq!(at_10.iter().zip(&at_50).filter(|(was, is)| **was && !**is).count(), 0, "moved back");
    ensure!(at_50.iter().filter(|canary| **canary).count() > 400, "at 50 %");

    ensure!(site.command(&["abort"])?.status.success());
    ensure!(!connection.sides_of(&site.host(), &tenants)?.contains(&true), "somebody stayed on the canary");
    Ok(())
}
