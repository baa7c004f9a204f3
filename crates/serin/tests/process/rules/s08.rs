use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::eventually;

#[test]
fn s8_who_lacks_the_identity_is_split_by_address_and_counted() -> Result<()> {
    let site = Site::shown("s08-missing-identity", &[])?;
    site.reaches("Steady", "10")?;
    let tenant = Some("tenant-1".to_owned());
    let sides = site.client()?.sides_of(&site.host(), &[tenant, None, None, None])?;
    ensure!(sides[1] == sides[2] && sides[2] == sides[3], "one address is on both sides");
    eventually("the fallbacks are measured", PATIENCE, || {
        let measured = &site.release()?["status"]["measured"];
        ensure!(measured["fallbacks"] == json!({"ClientIP": 3}), "{measured}");
        Ok(())
    })?;
    assert_eq!(site.running.metric(r#"serin_split_fallbacks_total{to="ip"}"#)?, 3.0);
    site.tells("Requests come without the identity that split.by asks for; for them ClientIP decides.")
}
