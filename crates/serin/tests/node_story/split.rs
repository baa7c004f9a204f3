//! Half of the users on each of two versions.

use crate::site::{SOON, Site, shared};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::eventually;

#[test]
fn a_release_at_50_percent_splits_the_users_between_the_pods_of_two_versions() -> Result<()> {
    let site = Site::new(shared()?, "split")?;
    eventually("v1 answers over the load balancer", SOON, || {
        let version = site.version("user-0")?;
        ensure!(version == "v1", "{version} answers");
        Ok(())
    })?;
    site.release(&json!({"strategy": {"percentage": 50}}))?;
    site.until("half is served", |release| release["status"]["weight"] == "50")?;

    let users: Vec<String> = (0..200).map(|nth| format!("user-{nth}")).collect();
    let versions = |users: &[String]| users.iter().map(|user| site.version(user)).collect::<Result<Vec<_>>>();
    // A replica may serve less than status says for a moment; each serves its half once rounds are the same.
    let first = eventually("both versions answer, and each user stays", SOON, || {
        let (first, second) = (versions(&users)?, versions(&users)?);
        ensure!(first.contains(&"v2".to_owned()), "only v1 answers");
        ensure!(first == second, "a replica serves another weight");
        Ok(second)
    })?;
    let canary = first.iter().filter(|version| *version == "v2").count();
    // 200 users of a share of a half: five standard deviations are 35.
    ensure!((65..=135).contains(&canary), "{canary} of 200 users are on v2");
    ensure!(versions(&users)? == first, "a user went to the other version");
    Ok(())
}
