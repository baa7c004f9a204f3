//! How long a table of 3,000 routes takes. The goal is that a new route is served within 50 ms, hold-off included; a build without
//! optimisation says little of it, so the numbers are printed and only what must hold on any machine is asserted.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{AnyRelease, Objects, Options, compile};
use serin_routing::{Policies, Table};
use std::time::{Duration, Instant};

const ROUTES: usize = 3_000;
const RELEASES: usize = 300;

/// A route of its own for each of so many Services, every tenth with a release, in one namespace.
fn objects() -> Objects {
    let of = |value: Value| value;
    let read = |value: Value| serde_json::from_value(value);
    let mut objects = Objects::default();
    let class = of(json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}}));
    objects.apply(serde_json::from_value::<IngressClass>(class).expect("it is one"));
    for n in 0..ROUTES {
        let (name, slice) = (format!("service-{n}"), format!("slice-{n}"));
        let service = json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": [{"port": 80}]}});
        objects.apply::<Service>(read(service).expect("it is one"));
        let endpoints: Vec<_> = (1..=3).map(|host| json!({"addresses": [format!("10.{}.{}.{host}", n / 250, n % 250)]})).collect();
        let metadata = json!({"namespace": "shop", "name": slice, "labels": {"kubernetes.io/service-name": name}});
        let slice = json!({"metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints});
        objects.apply(serde_json::from_value::<EndpointSlice>(slice).expect("it is one"));
        let path = json!({"path": format!("/{n}"), "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}});
        let rule = json!({"host": format!("host-{}.example", n % 1_000), "http": {"paths": [path]}});
        let spec = json!({"ingressClassName": "serin", "rules": [rule]});
        let ingress = json!({"metadata": {"namespace": "shop", "name": format!("ingress-{n}")}, "spec": spec});
        objects.apply(serde_json::from_value::<Ingress>(ingress).expect("it is one"));
    }
    for n in 0..RELEASES {
        let spec = json!({
            "scope": {"service": format!("service-{}", n * 10)}, "canary": {"service": format!("service-{}", n * 10 + 1)},
            "overrides": [{"header": {"name": "X-Team", "regex": "^(pay|check)"}, "to": "Canary"}], "strategy": {"percentage": 10},
        });
        let metadata = json!({"namespace": "shop", "name": format!("release-{n}"), "uid": format!("{n}")});
        objects.apply(AnyRelease(json!({"metadata": metadata, "spec": spec, "status": {"phase": "Aborted"}})));
    }
    objects
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a time is measured and printed, and decides nothing")]
fn table_of_3000_routes_is_built() {
    let objects = objects();
    let mut policies = Policies::default();
    for round in ["first", "again"] {
        let start = Instant::now();
        let compiled = compile(&objects, &Options::default());
        let compiled_in = start.elapsed();
        assert_eq!(compiled.config.routes.len(), ROUTES);
        assert_eq!(compiled.config.releases.len(), RELEASES);
        let table = Table::new(compiled.config, &mut policies);
        let built_in = start.elapsed() - compiled_in;

        let start = Instant::now();
        let found = (0..ROUTES).filter(|n| table.lookup(&format!("host-{}.example", n % 1_000), &format!("/{n}/x")).is_some()).count();
        let lookup = start.elapsed() / u32::try_from(ROUTES).unwrap_or(u32::MAX);
        assert_eq!(found, ROUTES);
        println!("{round}: {ROUTES} routes, {RELEASES} releases: compiled in {compiled_in:?}, table in {built_in:?}, lookup {lookup:?}");
        assert!(compiled_in + built_in < Duration::from_secs(30), "the whole is linear in the number of objects");
    }
}
