//! The counters as Prometheus reads them. Their names are kept in `tests/metrics.txt`.

use crate::counters::{Counters, Counts, Histogram, Protocol};
use crate::grpc;
use crate::record::side_name;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram as Distribution, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};
use serin_split::Side;
use std::collections::BTreeMap;
use std::time::Duration;

/// The bounds of `serin_request_duration_seconds`, in milliseconds.
const BOUNDS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];
/// The first digits of statuses, and what stands for an answer that nobody waited for.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Counters {
    /// All of it in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.collect(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

/// For a registry that others write to as well.
impl Collector for Counters {
    /// None: a registry then takes the families as they come, whose labels depend on what is served.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = totals(self);
        families.extend(policies(self));
        families.extend(releases(self));
        // The encoder refuses a family that is empty, and with it all that follow: nothing has gone wrong yet, or no release decided.
        families.retain(|family| !family.get_metric().is_empty());
        families
    }
}

fn totals(counters: &Counters) -> Vec<MetricFamily> {
    let totals = counters.totals();
    let failures = totals.failures.iter().map(|(label, count)| counter(&[("error", label)], *count));
    let open = counters.connections_by_worker();
    let open = open.iter().enumerate().map(|(worker, count)| gauge(&[("worker", &worker.to_string())], *count));
    let plain = |name, help, count| counters_of(name, help, vec![counter(&[], count)]);
    let requests = Protocol::ALL.iter().zip(totals.requests).map(|(protocol, count)| counter(&[("protocol", protocol.name())], count));
    let grpc = totals.grpc.iter().enumerate().map(|(code, count)| {
        let code = if code < grpc::Status::COUNT { code.to_string() } else { "none".to_owned() };
        counter(&[("grpc_status", &code)], *count)
    });
    vec![
        counters_of("serin_client_requests_total", "Requests of clients, by the version of HTTP.", requests.collect()),
        counters_of("serin_grpc_responses_total", "Answers to requests of gRPC, by their status there.", grpc.collect()),
        counters_of("serin_responses_total", "Answers to clients, with or without a release.", by_class(&[], &totals.responses)),
        counters_of("serin_errors_total", "Everything that went wrong, by what it was.", failures.collect()),
        family("serin_client_connections", "Connections of clients that are open.", MetricType::GAUGE, open.collect()),
        family("serin_client_websockets", "Those that are WebSockets.", MetricType::GAUGE, vec![gauge(&[], totals.websockets)]),
        plain("serin_client_connections_accepted_total", "Connections of clients that were accepted.", totals.accepted_connections),
        plain("serin_client_connections_refused_total", "Connections of clients over the limit.", totals.refused_connections),
        family(
            "serin_upstream_connections",
            "Connections to origins that are open.",
            MetricType::GAUGE,
            vec![gauge(&[], totals.upstream_connections)],
        ),
        plain("serin_upstream_retries_total", "Requests that were sent to an origin once more.", totals.retries),
        plain(
            "serin_upstream_retries_over_budget_total",
            "Requests that were not sent again since the budget of their policy was spent.",
            totals.retries_over_budget,
        ),
        plain("serin_access_log_dropped_total", "Lines of the access log that were dropped.", totals.unlogged),
    ]
}

fn policies(counters: &Counters) -> Vec<MetricFamily> {
    let (mut endpoints, mut ejections, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    for policy in counters.policies() {
        let labels = [("namespace", policy.namespace.as_str()), ("policy", policy.name.as_str())];
        let with = |name, value| labels.iter().copied().chain([(name, value)]).collect::<Vec<_>>();
        for (state, count) in [("healthy", policy.healthy), ("down", policy.down), ("ejected", policy.ejected)] {
            endpoints.push(gauge(&with("state", state), count));
        }
        for (result, count) in [("passed", policy.passed), ("failed", policy.failed)] {
            checks.push(counter(&with("result", result), count));
        }
        ejections.push(counter(&labels, policy.ejections));
    }
    vec![
        family("serin_backend_endpoints", "Endpoints of Services with a BackendPolicy.", MetricType::GAUGE, endpoints),
        counters_of("serin_backend_ejections_total", "How many times an endpoint was left out for failures in a row.", ejections),
        counters_of("serin_backend_health_checks_total", "Active health checks, by what came of them.", checks),
    ]
}

fn releases(counters: &Counters) -> Vec<MetricFamily> {
    let (mut requests, mut failures, mut durations) = (Vec::new(), Vec::new(), Vec::new());
    let (mut decisions, mut fallbacks) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for ((namespace, name, side), counts) in by_side(counters) {
        let labels = [("namespace", namespace.as_str()), ("release", name.as_str()), ("side", side)];
        requests.extend(by_class(&labels, &counts.responses));
        failures.push(counter(&labels, counts.failures));
        durations.push(distribution(&labels, &counts.latency));
        let by =
            [("bucket", counts.by_bucket), ("override", counts.by_override), ("group", counts.by_group), ("rollback", counts.by_rollback)];
        for (rule, count) in by {
            *decisions.entry((namespace.clone(), name.clone(), side, rule)).or_default() += count;
        }
        let to = [
            ("consumer", counts.fallbacks.to_consumer),
            ("ip", counts.fallbacks.to_client_ip),
            ("request", counts.fallbacks.to_request),
            ("stable", counts.unavailable),
        ];
        for (to, count) in to {
            *fallbacks.entry(to).or_default() += count;
        }
    }
    let decisions = decisions.iter().map(|((namespace, name, side, rule), count)| {
        counter(&[("namespace", namespace), ("release", name), ("side", side), ("rule", rule)], *count)
    });
    let fallbacks = fallbacks.iter().map(|(to, count)| counter(&[("to", to)], *count));
    vec![
        counters_of("serin_requests_total", "Requests that a release decided, by their answers.", requests),
        counters_of("serin_request_failures_total", "Those that failed, once each.", failures),
        family(
            "serin_request_duration_seconds",
            "From a request's whole head to the first byte of its answer.",
            MetricType::HISTOGRAM,
            durations,
        ),
        counters_of("serin_split_decisions_total", "Decisions of releases, by the rule that made them.", decisions.collect()),
        counters_of(
            "serin_split_fallbacks_total",
            "Decisions for another identity than asked for, and stable in the place of a canary without endpoints.",
            fallbacks.collect(),
        ),
    ]
}

/// Summed over uids, ids and epochs, which are no labels: they would never end.
fn by_side(counters: &Counters) -> BTreeMap<(String, String, &'static str), Counts> {
    let mut sums = BTreeMap::<_, Counts>::new();
    for row in counters.snapshot() {
        // Both sides are there as soon as one is, so that a rate over them is never missing.
        for side in [Side::Stable, Side::Canary] {
            let sum = sums.entry((row.namespace.clone(), row.name.clone(), side_name(side))).or_default();
            if side == row.side {
                sum.add(&row.counts);
            }
        }
    }
    sums
}

fn by_class(labels: &[(&str, &str)], responses: &[u64; 6]) -> Vec<Metric> {
    let of = |(class, count): (&&str, &u64)| {
        let labels: Vec<_> = labels.iter().copied().chain([("code_class", *class)]).collect();
        counter(&labels, *count)
    };
    CLASSES.iter().zip(responses).map(of).collect()
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counters_of(name: &str, help: &str, metrics: Vec<Metric>) -> MetricFamily {
    family(name, help, MetricType::COUNTER, metrics)
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn counter(labels: &[(&str, &str)], count: u64) -> Metric {
    let (mut metric, mut counter) = (labelled(labels), Counter::default());
    counter.set_value(count as f64);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: &[(&str, &str)], count: u64) -> Metric {
    let (mut metric, mut gauge) = (labelled(labels), Gauge::default());
    gauge.set_value(count as f64);
    metric.set_gauge(gauge);
    metric
}

fn distribution(labels: &[(&str, &str)], latency: &Histogram) -> Metric {
    let (mut metric, mut distribution) = (labelled(labels), Distribution::default());
    let bucket = |millis: &u64| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*millis as f64 / 1000.0);
        bucket.set_cumulative_count(latency.at_most(Duration::from_millis(*millis)));
        bucket
    };
    distribution.set_bucket(BOUNDS.iter().map(bucket).collect());
    distribution.set_sample_count(latency.count());
    distribution.set_sample_sum(latency.cells().map(|(middle, count)| middle.as_secs_f64() * count as f64).sum());
    metric.set_histogram(distribution);
    metric
}
