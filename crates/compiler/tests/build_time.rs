//! How long a table of 3,000 routes takes. The goal is that a new route is served within 50 ms, hold-off included; a build without
//! optimisation says little of it, so the numbers are printed and only what must hold on any machine is asserted.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{AnyRelease, Compiler, Objects, Options, compile};
use serin_routing::{Policies, Table};
use std::time::{Duration, Instant};

const ROUTES: usize = 3_000;
const RELEASES: usize = 300;

/// A route of its own for each of so many Services, every tenth with a release, over so many namespaces.
fn objects(namespaces: usize) -> Objects {
    let of = |value: Value| value;
    let read = |value: Value| serde_json::from_value(value);
    let mut objects = Objects::default();
    let class = of(json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}}));
    objects.apply(serde_json::from_value::<IngressClass>(class).expect("it is one"));
    for n in 0..ROUTES {
        let (namespace, name, slice) = (namespace(n / 10, namespaces), format!("service-{n}"), format!("slice-{n}"));
        let service = json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"ports": [{"port": 80}]}});
        objects.apply::<Service>(read(service).expect("it is one"));
        let endpoints: Vec<_> = (1..=3).map(|host| json!({"addresses": [format!("10.{}.{}.{host}", n / 250, n % 250)]})).collect();
        let metadata = json!({"namespace": namespace, "name": slice, "labels": {"kubernetes.io/service-name": name}});
        let slice = json!({"metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints});
        objects.apply(serde_json::from_value::<EndpointSlice>(slice).expect("it is one"));
        let path = json!({"path": format!("/{n}"), "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}});
        let rule = json!({"host": format!("host-{}.example", n % 1_000), "http": {"paths": [path]}});
        let spec = json!({"ingressClassName": "serin", "rules": [rule]});
        let ingress = json!({"metadata": {"namespace": namespace, "name": format!("ingress-{n}")}, "spec": spec});
        objects.apply(serde_json::from_value::<Ingress>(ingress).expect("it is one"));
    }
    for n in 0..RELEASES {
        objects.apply(release(&namespace(n, namespaces), n));
    }
    objects
}

/// Ten Services, and the release of one of them with another as its canary, are in one namespace.
fn namespace(n: usize, namespaces: usize) -> String {
    format!("team-{}", n % namespaces)
}

fn release(namespace: &str, n: usize) -> AnyRelease {
    let spec = json!({
        "scope": {"service": format!("service-{}", n * 10)}, "canary": {"service": format!("service-{}", n * 10 + 1)},
        "overrides": [{"header": {"name": "X-Team", "regex": "^(pay|check)"}, "to": "Canary"}], "strategy": {"percentage": 10},
    });
    let metadata = json!({"namespace": namespace, "name": format!("release-{n}"), "uid": format!("{n}")});
    AnyRelease(json!({"metadata": metadata, "spec": spec, "status": {"phase": "Aborted"}}))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a time is measured and printed, and decides nothing")]
fn table_of_3000_routes_is_built() {
    let objects = objects(1);
    let mut policies = Policies::default();
    for round in ["first", "again"] {
        let start = Instant::now();
        let compiled = compile(&objects, &Options::default());
        let compiled_in = start.elapsed();
        assert_eq!(compiled.config.routes.len(), ROUTES);
        assert_eq!(compiled.config.releases.len(), RELEASES);
        let table = Table::new(&compiled.config, &mut policies);
        let built_in = start.elapsed() - compiled_in;

        let start = Instant::now();
        let found = (0..ROUTES).filter(|n| table.lookup(&format!("host-{}.example", n % 1_000), &format!("/{n}/x")).is_some()).count();
        let lookup = start.elapsed() / u32::try_from(ROUTES).unwrap_or(u32::MAX);
        assert_eq!(found, ROUTES);
        println!("{round}: {ROUTES} routes, {RELEASES} releases: compiled in {compiled_in:?}, table in {built_in:?}, lookup {lookup:?}");
        assert!(compiled_in + built_in < Duration::from_secs(30), "the whole is linear in the number of objects");
    }
}

/// Best of so many: what else the machine does only adds.
const ROUNDS: usize = 5;

#[test]
#[expect(clippy::disallowed_methods, reason = "two times of one run are compared, with a wide margin")]
fn change_in_one_of_many_namespaces_costs_a_part_of_the_whole() {
    let (mut objects, mut compiler, options) = (objects(30), Compiler::default(), Options::default());
    compiler.compile(&objects, &options);
    let (mut whole, mut part) = (Duration::MAX, Duration::MAX);
    for round in 0..ROUNDS {
        let mut changed = release("team-0", 0);
        changed.0["status"]["phase"] = if round % 2 == 0 { "Disabled" } else { "Aborted" }.into();
        assert!(objects.apply(changed));
        let start = Instant::now();
        let again = compiler.compile(&objects, &options);
        part = part.min(start.elapsed());
        let start = Instant::now();
        let first = compile(&objects, &options);
        whole = whole.min(start.elapsed());
        assert_eq!(again.config, first.config);
    }
    println!("{ROUTES} routes, {RELEASES} releases in 30 namespaces: {whole:?}, after a change in one {part:?}");
    assert!(part * 2 < whole, "{part:?} of {whole:?}");
}
