use super::{decided, tenants};
use crate::site::Site;
use anyhow::{Result, ensure};

#[test]
fn s14_an_abort_sends_sticky_users_and_testers_to_stable_and_no_broader_release_takes_over() -> Result<()> {
    let site = Site::shown("s14-rollback", &[])?;
    site.reaches("Steady", "50")?;
    site.reaches_named("broader", "Promoted", "100")?;
    let (tenants, mut client) = (tenants(400), site.client()?);
    let tester = || site.ask(&site.host(), "/", &[("X-Canary", "always")]);
    let before = client.sides_of(&site.host(), &tenants)?;
    ensure!(before.iter().filter(|canary| **canary).count().abs_diff(200) < 50, "half of the tenants");
    assert_eq!(tester()?.body, "v2\n");

    ensure!(site.command(&["abort"])?.status.success());
    ensure!(!client.sides_of(&site.host(), &tenants)?.contains(&true), "a sticky user stayed");
    let answer = tester()?;
    assert_eq!(
        (answer.body.as_str(), decided(&answer, "release")?, decided(&answer, "rule")?),
        ("v1\n", "s14/checkout".into(), "rollback".into())
    );

    ensure!(site.command(&["retry"])?.status.success());
    site.reaches("Steady", "50")?;
    assert_eq!(client.sides_of(&site.host(), &tenants)?, before, "the same users as before");
    Ok(())
}
