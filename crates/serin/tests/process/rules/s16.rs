use super::canaries;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

#[test]
fn s16_the_share_is_what_was_asked_for_whatever_the_number_of_endpoints() -> Result<()> {
    let site = Site::shown("s16-any-number-of-endpoints", &[])?;
    site.reaches("Steady", "25")?;
    assert_eq!(canaries(&site, &site.host(), 1_000)?, 250);
    let one = site.stable.requests();
    ensure!((200..300).contains(&one), "of 750 requests one of three endpoints had {one}");

    // One of the three is taken away; the setting stays as it is.
    site.change(&format!("{},", site.stable.address()), "")?;
    eventually("two endpoints take all of stable's", PATIENCE, || {
        let before = site.stable.requests();
        let canary = canaries(&site, &site.host(), 400)?;
        ensure!(canary == 100, "{canary} of 400");
        ensure!(site.stable.requests() == before, "the third is still asked");
        Ok(())
    })
}
