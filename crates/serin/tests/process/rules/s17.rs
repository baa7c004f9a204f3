use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use serin_testkit::eventually;
use serin_testkit::origin::TARGET;

/// Who answered, and which path it got.
fn got(site: &Site, path: &str) -> Result<(String, String)> {
    let answer = site.ask(&site.host(), path, &[])?;
    Ok((answer.body.trim_end().to_owned(), answer.header(TARGET).unwrap_or_default().to_owned()))
}

fn is(label: &str, target: &str) -> (String, String) {
    (label.to_owned(), target.to_owned())
}

#[test]
fn s17_the_canary_gets_another_prefix_or_another_path_and_the_query_is_kept() -> Result<()> {
    let site = Site::shown("s17-path", &[])?;
    site.reaches("Promoted", "100")?;
    site.reaches_named("catalog", "Promoted", "100")?;
    for (path, expected) in [
        ("/cart/items?page=2", is("v2", "/api/v2/items?page=2")),
        ("/cart", is("v2", "/api/v2")),
        ("/cart/", is("v2", "/api/v2/")),
        ("/catalog/shoes?page=2", is("v1", "/new?page=2")),
    ] {
        assert_eq!(got(&site, path)?, expected, "{path}");
    }
    ensure!(site.command(&["abort"])?.status.success());
    eventually("side A gets the path as it came", PATIENCE, || {
        let got = got(&site, "/cart/items?page=2")?;
        ensure!(got == is("v1", "/cart/items?page=2"), "{got:?}");
        Ok(())
    })
}
