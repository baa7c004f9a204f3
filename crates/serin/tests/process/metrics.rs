//! What Prometheus reads on the admin port: the data side's counters and the control side's gauges in one answer.

use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Result, ensure};
use serde_json::json;
use serin_testkit::ask::get;
use serin_testkit::eventually;
use std::collections::BTreeSet;

#[test]
fn names_and_types_of_metrics_are_those_that_are_kept() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    site.client()?.sides(HOST, 1_000)?;
    let policy = "{apiVersion: serin.dev/v1alpha1, kind: BackendPolicy, metadata: {name: checkout, namespace: shop}, spec: {service: checkout, timeouts: {connect: 1s}}}";
    site.write("policy.yaml", policy)?;
    assert_eq!(get(site.running.http, "/%00", &[("Host", HOST)])?.status, 400, "only what went wrong is among the errors");
    let metrics = eventually("the weight is measured and the policy served", PATIENCE, || {
        let metrics = site.running.ask("/metrics")?.body;
        ensure!(metrics.contains("serin_release_weight_measured") && metrics.contains("serin_backend_endpoints"), "{metrics}");
        Ok(metrics)
    })?;
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(|line| format!("{line}\n"));
    assert_eq!(types.collect::<String>(), include_str!("metrics.txt"));

    let named: BTreeSet<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert_eq!(named.len(), include_str!("metrics.txt").lines().count(), "each says what it is");
    Ok(())
}

#[test]
fn figures_are_those_of_what_was_served_and_decided() -> Result<()> {
    let site = Site::start(&spec(&json!({"split": {"by": "Request"}, "strategy": {"percentage": 10}})))?;
    site.reaches("Steady", "10")?;
    site.client()?.sides(HOST, 1_000)?;
    let value = |series: &str| site.running.metric(series);
    let of = r#"namespace="shop",release="checkout""#;
    for (side, requests) in [("canary", 100.0), ("stable", 900.0)] {
        assert_eq!(value(&format!(r#"serin_requests_total{{{of},side="{side}",code_class="2xx"}}"#))?, requests);
        assert_eq!(value(&format!(r#"serin_request_failures_total{{{of},side="{side}"}}"#))?, 0.0);
        assert_eq!(value(&format!(r#"serin_request_duration_seconds_count{{{of},side="{side}"}}"#))?, requests);
    }
    assert_eq!(value(&format!("serin_release_weight_asked{{{of}}}"))?, 10.0);
    for (phase, is) in [("Steady", 1.0), ("Aborted", 0.0)] {
        assert_eq!(value(&format!(r#"serin_release_phase{{namespace="shop",phase="{phase}",release="checkout"}}"#))?, is, "{phase}");
    }
    ensure!(value("serin_table_version")? >= 1.0, "a table is served");
    Ok(())
}
