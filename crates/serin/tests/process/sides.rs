//! Which requests reach the canary, counted by who answered.

use crate::site::{HOST, Site, spec};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_testkit::long;

#[test]
fn s6_of_10_000_requests_at_10_percent_exactly_1_000_reach_the_canary_and_no_window_is_off_by_more_than_4() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    let before = site.canary.requests();
    let sides = site.client()?.sides(HOST, 10_000)?;
    assert_eq!(sides.iter().filter(|canary| **canary).count(), 1_000);
    assert_eq!(site.canary.requests() - before, 1_000);
    // The excess over 10 % up to each request: a window's is the difference of two of them.
    let excess = sides.iter().scan(0_i32, |tenths, canary| {
        *tenths += if *canary { 9 } else { -1 };
        Some(*tenths)
    });
    let (least, most) = excess.fold((0, 0), |(least, most), tenths| (least.min(tenths), most.max(tenths)));
    ensure!(most - least <= 40, "a window is off by {} tenths of a request", most - least);
    Ok(())
}

#[test]
fn s15_weights_of_100_to_1_give_the_canary_10_of_1_010() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"weights": {"stable": 100, "canary": 1}}})))?;
    site.reaches("Steady", "0.99")?;
    let sides = site.client()?.sides(HOST, 1_010)?;
    assert_eq!(sides.iter().filter(|canary| **canary).count(), 10);
    Ok(())
}

#[test]
fn s4_shares_are_of_identities_and_raising_one_in_the_file_moves_nobody_back() -> Result<()> {
    let identities: u32 = if long() { 100_000 } else { 3_000 };
    let tenants: Vec<_> = (0..identities).map(|n| Some(format!("tenant-{n}"))).collect();
    let by_header =
        |percent: u32| -> Value { spec(&json!({"split": {"by": "Header", "name": "X-Tenant"}, "strategy": {"percentage": percent}})) };
    let site = Site::start(&by_header(0))?;
    let mut client = site.client()?;
    let mut before = vec![false; tenants.len()];
    for percent in [1, 10, 50, 99, 100] {
        site.edit(&by_header(percent))?;
        site.reaches(if percent == 100 { "Promoted" } else { "Steady" }, &percent.to_string())?;
        let sides = client.sides_of(HOST, &tenants)?;
        let moved_back = before.iter().zip(&sides).filter(|(was, is)| **was && !**is).count();
        assert_eq!(moved_back, 0, "from a lower weight to {percent} %");
        let seen = 100.0 * sides.iter().filter(|canary| **canary).count() as f64 / f64::from(identities);
        let off = (seen - f64::from(percent)).abs();
        println!("asked {percent} %, {seen:.3} % of {identities} identities");
        ensure!(off <= allowed(percent, identities), "{seen:.2} % of {identities} identities at {percent} %");
        before = sides;
    }
    Ok(())
}

/// Half a point of 100,000 identities; of fewer four standard deviations, as of a fair draw.
fn allowed(percent: u32, identities: u32) -> f64 {
    let share = f64::from(percent) / 100.0;
    let points = 400.0 * (share * (1.0 - share) / f64::from(identities)).sqrt();
    if identities >= 100_000 { 0.5 } else { points }
}
