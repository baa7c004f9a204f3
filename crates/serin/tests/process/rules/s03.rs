use super::decided;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;
use std::collections::BTreeMap;

#[test]
fn s3_of_100_buckets_at_10_percent_exactly_10_are_the_canarys_and_less_than_one_is_refused() -> Result<()> {
    let site = Site::shown("s03-buckets", &[])?;
    site.reaches("Steady", "10")?;
    let mut sides = BTreeMap::new();
    for n in 0.. {
        let answer = site.ask(&site.host(), "/", &[("X-Tenant", &format!("tenant-{n}"))])?;
        let (bucket, side) = (decided(&answer, "bucket")?.parse::<u32>()?, answer.body);
        let before = sides.insert(bucket, side.clone());
        ensure!(before.is_none_or(|before| before == side), "bucket {bucket} is on both sides");
        if sides.len() == 100 {
            break;
        }
        ensure!(n < 10_000, "only {} buckets were met", sides.len());
    }
    let canary: Vec<u32> = sides.iter().filter(|(_, side)| *side == "v2\n").map(|(bucket, _)| *bucket).collect();
    assert_eq!(canary, (0..10).collect::<Vec<_>>());
    assert_eq!(sides.into_keys().next_back(), Some(99));

    let accepted = eventually("the release of half a bucket is refused", PATIENCE, || {
        let accepted = site.condition_of("small", "Accepted")?;
        ensure!(accepted["reason"] == "BelowOneBucket", "{accepted}");
        Ok(accepted)
    })?;
    ensure!(accepted["message"].as_str().is_some_and(|message| message.contains("2000")), "{accepted}");
    Ok(())
}
