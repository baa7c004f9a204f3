//! Hostile texts in every string field of every kind that serin reads: only what is the field's own can change.

mod cases;
mod schema;

use crate::running::serin;
use crate::site::{HOST, PATIENCE, Site, spec};
use anyhow::{Context, Result, ensure};
use cases::{Case, OWN_HOST, cases, neighbours};
use regex::Regex;
use serde_json::{Value, json};
use serin_compiler::{Compiled, Options, compile};
use serin_controller::explain::objects_of;
use serin_controller::standalone::admission;
use serin_controller::standalone::manifests::{Key, Manifest};
use serin_routing::{Policies, Table};
use serin_testkit::ask::get;
use serin_testkit::manifests::{document, ingress};
use serin_testkit::{eventually, long};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

/// So many hostile objects are served at once.
const SERVED: usize = 48;

/// What is written into each field, and what may not come of it: begin a line or a series, end a field of a head, overflow, be run.
fn hostile() -> Vec<String> {
    let texts = [
        "a\nFORGED line",
        "a\r\nSet-Cookie: forged=1\r\n\r\nFORGED",
        "a\0b",
        "\"} 1\nserin_forged{a=\"",
        "\\\"}{'`\\",
        "(a+)+$",
        "(((a{100}){100}){100})",
        "{{ .Values.a }}$(id)`id`${HOME}",
        "%00%2e%2e%2f%0d%0aFORGED",
        "\u{202e}\u{2066}\u{200f}\u{feff}txt",
        "\u{1b}[2J\u{7f}\u{85}\u{2028}FORGED",
        "../../../../etc/passwd",
    ];
    texts.iter().map(ToString::to_string).chain(["x".repeat(64 << 10), "9".repeat(400)]).collect()
}

/// All that the good host gets of a configuration: its route, its backends and its release, whatever their places are.
fn served(compiled: &Compiled) -> Result<String> {
    let config = serde_json::to_value(&compiled.config)?;
    let of = |list: &str, index: &Value| index.as_u64().map(|index| config[list][index as usize].clone());
    let mut told = String::new();
    for route in config["routes"].as_array().into_iter().flatten().filter(|route| route["object"] == "Ingress/shop/shop") {
        write!(told, "{} {} {:?}", route["host"], route["path"], of("backends", &route["backend"]))?;
        for applied in route["releases"].as_array().into_iter().flatten() {
            let sides = [&applied["stable"], &applied["canary"]].map(|side| of("backends", side));
            write!(told, " {:?} {sides:?}", of("releases", &applied["release"]))?;
        }
    }
    let table = Table::new(&compiled.config, &mut Policies::default());
    let taken = ["/", "/a", "/a/b.c"].map(|path| table.lookup(HOST, path).map(|route| route.object.clone()));
    ensure!(taken.iter().all(|route| route.as_deref() == Some("Ingress/shop/shop")), "{taken:?}");
    Ok(told)
}

fn manifest(object: Value) -> Manifest {
    let (kind, namespace, name) = cases::identity(&object);
    Manifest { key: Key { kind, namespace, name }, object, path: "objects.json".into() }
}

/// The good objects, as the site of the process has them.
fn good() -> Vec<Value> {
    let slice = |name: &str, port: u16| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"name": "http", "port": port}],
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
        })
    };
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        })
    };
    let route = ingress("shop", "shop", HOST, "/", "checkout").replacen("---\n", "", 1);
    let release = json!({
        "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": by_tenant(),
    });
    let class = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "serin"},
        "spec": {"controller": "serin.dev/ingress-controller"},
    });
    let route = serde_json::from_str(&route).unwrap_or_default();
    vec![class, route, service("checkout"), service("checkout-v2"), slice("checkout", 9001), slice("checkout-v2", 9002), release]
}

/// A release that decides, as far as it can.
fn under_way(mut object: Value) -> Value {
    if object["kind"] == "CanaryRelease" && object.get("status").is_none() {
        let parsed = serin_api::parse_value(&object);
        let (moment, id) = ("2026-01-01T00:00:00Z", parsed.id(None).unwrap_or_default());
        object["status"] = json!({"phase": "Steady", "traffic": {
            "buckets": 1000, "from": 500, "to": 500, "floor": 0, "epoch": 1, "release": id,
            "startsAt": moment, "endsAt": moment, "until": moment,
        }});
    }
    object
}

fn by_tenant() -> Value {
    spec(&json!({"split": {"by": "Header", "name": "X-Tenant"}, "strategy": {"percentage": 50}}))
}

#[test]
fn a_hostile_text_in_any_field_changes_nothing_of_another_route_for_the_compiler() -> Result<()> {
    let options = Options { standalone: true, own_namespace: "serin-system".to_owned(), ..Options::default() };
    let of = |case: Option<&Case>| -> Result<Option<String>> {
        let around = neighbours().into_iter().filter(|other| case.is_none_or(|case| case.replaces != cases::identity(other)));
        let objects = good().into_iter().chain(around).chain(case.map(|case| case.object.clone()));
        let objects: Vec<_> = objects.map(|object| manifest(under_way(object))).collect();
        // What is of no shape is as if it were not there; of the rest each has its findings.
        let Ok(objects) = objects_of(&objects) else { return Ok(None) };
        served(&compile(&objects, &options)).map(Some)
    };
    let expected = of(None)?;
    ensure!(expected.as_ref().is_some_and(|told| told.contains("x-tenant")), "{expected:?}");
    let (mut tried, mut shapeless) = (0, 0);
    // In the short form each field gets some of the texts, in the long one all.
    let taken = |nth: usize, field: usize| long() || (nth + field).is_multiple_of(5);
    for (nth, text) in hostile().iter().enumerate() {
        for (_, case) in cases(text)?.into_iter().enumerate().filter(|(field, _)| taken(nth, *field)) {
            let kind = case.object["kind"].as_str().unwrap_or_default().to_owned();
            admission::findings(&kind, &case.object);
            match of(Some(&case)).with_context(|| format!("{} with {text:.40?}", case.field))? {
                None => shapeless += 1,
                got => assert_eq!(got, expected, "{} with {text:.40?}", case.field),
            }
            tried += 1;
        }
    }
    println!("{tried} objects, {shapeless} of no shape");
    ensure!(tried > 500 && shapeless < tried / 10, "{shapeless} of {tried} were not tried");
    Ok(())
}

#[test]
fn a_hostile_text_in_any_field_harms_no_other_route_forges_no_line_and_stops_nothing() -> Result<()> {
    // Without an access log: it goes to another stream, and both to the file that this test reads, where one cuts the other's lines.
    let site = Site::start(&by_tenant())?;
    site.write("classes.yaml", &document(&good()[0]))?;
    site.reaches("Steady", "50")?;
    let tenants: Vec<_> = (0..100).map(|n| Some(format!("tenant-{n}"))).collect();
    let sides = site.client()?.sides_of(HOST, &tenants)?;
    site.write("neighbours.yaml", &neighbours().iter().map(document).collect::<String>())?;
    is_served(&site, OWN_HOST)?;

    for (round, objects) in written()?.chunks(SERVED).enumerate() {
        let marker = format!("round-{round}.example");
        let route = ingress("shop", &format!("round-{round}"), &marker, "/", "checkout");
        let items = [objects, &[serde_json::from_str(route.trim_start_matches("---\n"))?]].concat();
        site.write("hostile.json", &json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
        is_served(&site, &marker)?;
        get(site.running.http, "/", &[("Host", OWN_HOST)])?;
        assert_eq!(site.client()?.sides_of(HOST, &tenants)?, sides, "round {round}");
        eventually("the admin port answers", PATIENCE, || {
            metrics_are_whole(&site.running.ask("/metrics")?.body)?;
            let listed: Value = serde_json::from_str(&site.running.ask("/v1/releases")?.body)?;
            ensure!(listed["items"].as_array().is_some_and(|items| items.len() > 1), "{listed:.1000}");
            Ok(())
        })?;
        let checked = serin().arg("check").arg(site.folder().join("hostile.json")).output()?;
        ensure!(checked.status.code() == Some(1), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    let folder = site.folder();
    for (name, bytes) in
        [("latin.yaml", &b"kind: \"\xff\xfe\"\n"[..]), ("nul.yaml", b"kind: \0\n"), ("surrogate.json", b"{\"kind\": \"\\ud800\"}")]
    {
        fs::write(folder.join(name), bytes)?;
        site.tells(&format!("{name}: "))?;
    }
    assert_eq!(site.client()?.sides_of(HOST, &tenants)?, sides, "after what is no text");
    lines_are_serins(&site.running.process.log())
}

/// The objects that are written to files; status is none of theirs. In the short form each field gets one of the texts, in the long one all.
fn written() -> Result<Vec<Value>> {
    let (texts, mut identities, mut objects) = (hostile(), BTreeSet::new(), Vec::new());
    for (nth, text) in texts.iter().enumerate() {
        for (field, case) in cases(text)?.into_iter().enumerate() {
            if (long() || field % texts.len() == nth) && !case.field.contains(".status") {
                // Each has a name of its own, unless that is hostile: else it would be no other object.
                let object = case.alone(1_000 * nth + field);
                objects.extend(identities.insert(cases::identity(&object)).then_some(object));
            }
        }
    }
    Ok(objects)
}

fn is_served(site: &Site, host: &str) -> Result<()> {
    eventually(&format!("{host} is served"), PATIENCE, || {
        let answer = get(site.running.http, "/", &[("Host", host)])?;
        let log = site.running.process.log();
        let told = log.lines().map(|line| format!("{line:.200}\n")).collect::<String>();
        ensure!(answer.status != 404, "{answer:?}\n{told}");
        Ok(())
    })
}

/// As a scraper reads it.
fn metrics_are_whole(text: &str) -> Result<()> {
    let line = Regex::new(r#"^(# (HELP|TYPE) [a-z_]+ .*|serin_[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\n"])*",?)*\})? [0-9.e+-]+)$"#)?;
    let bad = text.split('\n').filter(|text| !text.is_empty()).find(|text| !line.is_match(text) || text.starts_with("serin_forged"));
    ensure!(bad.is_none(), "{bad:?}");
    Ok(())
}

fn lines_are_serins(log: &str) -> Result<()> {
    let line = Regex::new(r"^((http|admin) +http://\S+.*|\d{4}-\d\d-\d\dT[\d:.]+Z +(INFO|WARN|ERROR) .*)$")?;
    ensure!(!log.contains("panicked"), "it panicked");
    let strange = |char: char| char.is_control() || ('\u{2028}'..='\u{202e}').contains(&char) || ('\u{2066}'..='\u{2069}').contains(&char);
    let bad = log.split('\n').filter(|text| !text.is_empty()).find(|text| !line.is_match(text) || text.contains(strange));
    ensure!(bad.is_none(), "{bad:.400?}");
    ensure!(log.contains("FORGED"), "what is hostile is told of, so this test sees how");
    Ok(())
}
