use super::decided;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;

/// The release that decides there.
fn decider(site: &Site, url: &str) -> Result<String> {
    let (host, path) = url.split_at(url.find('/').unwrap_or(url.len()));
    decided(&site.ask(host, path, &[])?, "release")
}

#[test]
fn s13_exactly_one_release_decides_and_it_is_the_most_specific() -> Result<()> {
    let site = Site::shown("s13-most-specific", &[])?;
    for (name, phase, weight) in
        [("route-and-service", "Promoted", "100"), ("route", "Promoted", "100"), ("service", "Steady", "0"), ("everything", "Steady", "0")]
    {
        site.reaches_named(name, phase, weight)?;
    }
    for (url, release) in [
        ("s13.example/a", "s13/route-and-service"),
        ("s13.example/b", "s13/service"),
        ("s13.example/c", "s13/route"),
        ("more.s13.example/d", "s13/service"),
        ("more.s13.example/", "s13/everything"),
    ] {
        assert_eq!(decider(&site, url)?, release, "{url}");
    }
    // Nothing is merged: the narrow release is at 100 %, the broad ones beside it are at 0.
    assert_eq!([site.ask(&site.host(), "/a", &[])?.body, site.ask(&site.host(), "/b", &[])?.body], ["v2\n", "v1\n"]);

    site.change("path: /a}, service: checkout}\n", "path: /a}, service: checkout}\n  enabled: false\n")?;
    eventually("the next one takes its requests", PATIENCE, || {
        let decider = decider(&site, "s13.example/a")?;
        ensure!(decider == "s13/service", "{decider}");
        Ok(())
    })
}
