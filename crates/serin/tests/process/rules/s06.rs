use super::canaries;
use crate::site::Site;
use anyhow::Result;

#[test]
fn s6_by_request_exactly_100_of_any_1_000_reach_the_canary_from_one_client_or_many() -> Result<()> {
    let site = Site::shown("s06-by-request", &[])?;
    site.reaches("Steady", "10")?;
    for _ in 0..3 {
        assert_eq!(canaries(&site, &site.host(), 1_000)?, 100);
    }
    let mut canary = 0;
    for client in 0..1_000 {
        canary += usize::from(site.ask(&site.host(), "/", &[("X-Tenant", &client.to_string())])?.body == "v2\n");
    }
    assert_eq!(canary, 100);
    Ok(())
}
