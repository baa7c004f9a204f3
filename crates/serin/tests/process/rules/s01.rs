use crate::site::Site;
use anyhow::{Context, Result};
use serin_testkit::origin::TARGET;

#[test]
fn s1_side_b_is_another_service_or_another_uri_and_side_a_what_the_route_does_without_the_release() -> Result<()> {
    let site = Site::shown("s01-two-destinations", &[])?;
    site.reaches("Steady", "50")?;
    site.reaches_named("catalog", "Steady", "50")?;
    let mut answers = Vec::new();
    for _ in 0..100 {
        let [cart, catalog] = ["/cart/1", "/catalog/1"].map(|path| site.ask(&site.host(), path, &[]));
        answers.push([cart?, catalog?]);
    }
    let by_service = answers.iter().filter(|[cart, _]| cart.body == "v2\n" && cart.header(TARGET) == Some("/cart/1")).count();
    assert_eq!(by_service, 50);
    let targets: Vec<&str> = answers.iter().map(|[_, catalog]| catalog.header(TARGET).context("no target")).collect::<Result<_>>()?;
    assert_eq!(["/v2/1", "/catalog/1"].map(|target| targets.iter().filter(|seen| **seen == target).count()), [50, 50]);
    assert!(answers.iter().all(|[_, catalog]| catalog.body == "v1\n"), "by another URI it is the same Service");

    site.change("  scope: {service: checkout}\n", "  enabled: false\n  scope: {service: checkout}\n")?;
    site.reaches("Disabled", "0")?;
    for _ in 0..100 {
        assert_eq!(site.ask(&site.host(), "/cart/1", &[])?.body, "v1\n");
    }
    Ok(())
}
