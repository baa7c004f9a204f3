use super::{canaries, decided};
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

#[test]
fn s2_a_fixed_share_a_share_that_rises_over_a_duration_and_groups() -> Result<()> {
    let site = Site::shown("s02-modes", &[])?;
    let mut seen = vec![0];
    eventually("the line is over", PATIENCE, || {
        let k = decided(&site.ask("linear.s02.example", "/", &[])?, "k")?.parse::<u32>()?;
        assert!(seen.last().is_some_and(|last| *last <= k), "it fell to {k}");
        seen.extend(Some(k).filter(|k| seen.last() != Some(k)));
        ensure!(k == 1_000, "k is {k}");
        Ok(())
    })?;
    ensure!(seen.len() > 10, "it did not rise little by little: {seen:?}");
    assert_eq!(canaries(&site, "linear.s02.example", 100)?, 100);

    site.reaches_named("fixed", "Steady", "25")?;
    assert_eq!(canaries(&site, "fixed.s02.example", 1_000)?, 250);
    site.reaches_named("groups", "Steady", "0")?;
    for (key, origin) in [("key-of-tessa", "v2\n"), ("key-of-carl", "v1\n")] {
        let answer = site.ask("groups.s02.example", "/", &[("apikey", key)])?;
        assert_eq!((answer.body.as_str(), decided(&answer, "rule")?.as_str()), (origin, "group"), "{key}");
    }
    assert_eq!(site.ask("groups.s02.example", "/", &[])?.body, "v1\n");

    site.change("allow: [testers]", "deny: [testers]")?;
    eventually("it is the reverse", PATIENCE, || {
        let answers =
            ["key-of-tessa", "key-of-carl"].map(|key| site.ask("groups.s02.example", "/", &[("apikey", key)]).map(|answer| answer.body));
        let [tester, customer] = answers;
        let (tester, customer, nobody) = (tester?, customer?, site.ask("groups.s02.example", "/", &[])?.body);
        ensure!([tester.as_str(), &customer, &nobody] == ["v1\n", "v2\n", "v2\n"], "{tester}{customer}{nobody}");
        Ok(())
    })
}
