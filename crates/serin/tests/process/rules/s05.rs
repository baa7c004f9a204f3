use super::decided;
use crate::site::Site;
use anyhow::Result;
use serin_split::{Kind, place};

/// The bucket that decides a request with this field, and whether it was one of an address.
fn bucket(site: &Site, forwarded: &str) -> Result<(u32, bool)> {
    let field = [("X-Forwarded-For", forwarded)];
    let answer = site.ask(&site.host(), "/", if forwarded.is_empty() { &[] } else { &field })?;
    let bucket = decided(&answer, "bucket")?.parse()?;
    // An address has the same bucket again; a request's turn does not come twice in a row.
    let again = decided(&site.ask(&site.host(), "/", if forwarded.is_empty() { &[] } else { &field })?, "bucket")?.parse::<u32>()?;
    Ok((bucket, bucket == again))
}

fn of(address: &str) -> (u32, bool) {
    (place("s05/checkout", Kind::Ip, address.as_bytes(), 1_000).bucket, true)
}

#[test]
fn s5_the_originating_address_is_read_through_trusted_proxies_alone() -> Result<()> {
    let site = Site::shown("s05-client-ip", &["--trusted-proxies", "127.0.0.0/8"])?;
    site.reaches("Steady", "50")?;
    for (field, address) in [
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7, 127.0.0.9", "198.51.100.7"),
        ("junk, 198.51.100.7, 127.0.0.9", "198.51.100.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
    ] {
        assert_eq!(bucket(&site, field)?, of(address), "{field}");
    }
    for missing in ["", "198.51.100.7, junk", "198.51.100.7, junk, 127.0.0.9"] {
        assert!(!bucket(&site, missing)?.1, "{missing:?} gave an address");
    }

    let site = Site::shown("s05-client-ip", &[])?;
    site.reaches("Steady", "50")?;
    assert_eq!(bucket(&site, "198.51.100.7")?, of("127.0.0.1"), "from a peer that is not trusted the field counts for nothing");
    Ok(())
}
