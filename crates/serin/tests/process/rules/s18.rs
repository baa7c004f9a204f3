use super::canaries;
use crate::site::Site;
use anyhow::{Result, ensure};

/// What a tester gets, and how many of 200 others the canary answers.
fn answers(site: &Site) -> Result<(String, usize)> {
    let tester = site.ask(&site.host(), "/", &[("X-Canary", "always")])?.body;
    Ok((tester.trim_end().to_owned(), canaries(site, &site.host(), 200)?))
}

fn obeys(site: &Site, command: &[&str]) -> Result<()> {
    let said = site.command(command)?;
    ensure!(said.status.success(), "{said:?}");
    Ok(())
}

#[test]
fn s18_one_write_switches_everyone_and_one_switches_back_and_the_next_turn_goes_the_other_way() -> Result<()> {
    let site = Site::shown("s18-blue-green", &[])?;
    site.reaches("Paused", "0")?;
    assert_eq!(answers(&site)?, ("v2".to_owned(), 0));
    obeys(&site, &["promote", "--yes"])?;
    site.reaches("Progressing", "100")?;
    assert_eq!(answers(&site)?, ("v2".to_owned(), 200));
    obeys(&site, &["abort"])?;
    assert_eq!(answers(&site)?, ("v1".to_owned(), 0));

    obeys(&site, &["retry"])?;
    site.reaches("Paused", "0")?;
    obeys(&site, &["promote", "--yes"])?;
    site.reaches("Progressing", "100")?;
    obeys(&site, &["promote", "--yes"])?;
    site.reaches("Promoted", "100")?;
    let edit = site.status("/finalize/edits/0/text")?;
    ensure!(edit.contains("name: checkout-v2"), "{edit}");
    site.change("backend: {service: {name: checkout,", "backend: {service: {name: checkout-v2,")?;
    site.reaches("Completed", "0")?;
    assert_eq!(answers(&site)?, ("v2".to_owned(), 200));

    site.change(
        "scope: {service: checkout}\n  canary: {service: checkout-v2}",
        "scope: {service: checkout-v2}\n  canary: {service: checkout}",
    )?;
    site.reaches("Paused", "0")?;
    assert_eq!(answers(&site)?, ("v1".to_owned(), 200), "the tester sees the next version, all others the one that serves");
    Ok(())
}
