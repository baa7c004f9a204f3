//! S13: exactly one release decides a request, by twelve levels, and consumer levels need an authenticated consumer.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{AnyRelease, Key, Objects, Options, compile};
use serin_routing::{Policies, Table};
use serin_split::Facts;
use std::borrow::Cow;
use std::net::IpAddr;

/// Scopes by level, the most specific first.
fn levels() -> [Value; 12] {
    let route = json!({"kind": "Ingress", "name": "shop"});
    [
        json!({"route": route, "service": "checkout", "consumer": "alice"}),
        json!({"consumerGroup": "testers", "service": "checkout", "route": route}),
        json!({"route": route, "consumer": "alice"}),
        json!({"service": "checkout", "consumer": "alice"}),
        json!({"consumerGroup": "testers", "route": route}),
        json!({"consumerGroup": "testers", "service": "checkout"}),
        json!({"route": route, "service": "checkout"}),
        json!({"consumer": "alice"}),
        json!({"consumerGroup": "testers"}),
        json!({"route": route}),
        json!({"service": "checkout"}),
        json!({"all": true}),
    ]
}

/// A request's author; all else of a request is missing.
struct Author(Option<&'static str>, &'static [&'static str]);

const ALICE: Author = Author(Some("alice"), &["testers", "staff"]);

impl Facts for Author {
    fn header(&self, _: &str) -> impl Iterator<Item = &[u8]> {
        std::iter::empty()
    }
    fn cookie(&self, _: &str) -> Option<&[u8]> {
        None
    }
    fn query(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
    fn client_ip(&self) -> Option<IpAddr> {
        None
    }
    fn consumer(&self) -> Option<&str> {
        self.0
    }
    fn in_group(&self, group: &str) -> bool {
        self.1.contains(&group)
    }
    fn claim(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Ingress `shop` of namespace `shop`, which sends everything to `checkout`.
fn shop() -> Objects {
    let mut objects = Objects::default();
    let class = json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}});
    objects.apply(serde_json::from_value::<IngressClass>(class).expect("it is one"));
    for name in ["checkout", "checkout-v2"] {
        let service = json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": [{"port": 80}]}});
        objects.apply(serde_json::from_value::<Service>(service).expect("it is one"));
    }
    let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "checkout", "port": {"number": 80}}}});
    let spec = json!({"ingressClassName": "serin", "rules": [{"http": {"paths": [path]}}]});
    let ingress = json!({"metadata": {"namespace": "shop", "name": "shop"}, "spec": spec});
    objects.apply(serde_json::from_value::<Ingress>(ingress).expect("it is one"));
    objects
}

/// A release that decides, though only that all goes to stable; `born` is its age.
fn release(namespace: &str, name: &str, scope: &Value, born: usize) -> AnyRelease {
    let created = format!("2026-11-01T00:00:{born:02}Z");
    let metadata = json!({"namespace": namespace, "name": name, "uid": name, "creationTimestamp": created});
    let spec = json!({"scope": scope, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}});
    AnyRelease(json!({"metadata": metadata, "spec": spec, "status": {"phase": "Aborted"}}))
}

fn options() -> Options {
    Options { own_namespace: "serin-system".to_owned(), ..Options::default() }
}

/// The name of the release that decides a request of this author.
fn decider(objects: &Objects, author: &Author) -> Option<String> {
    let table = Table::new(&compile(objects, &options()).config, &mut Policies::default());
    let route = table.lookup("any.example", "/").expect("the route of the shop");
    route.decider(author).map(|applied| applied.release.name.clone())
}

#[test]
fn s13_the_most_specific_of_twelve_levels_decides() {
    let mut objects = shop();
    // The older one is the less specific one: age counts only within a level.
    for (level, scope) in levels().iter().enumerate() {
        objects.apply(release("shop", &format!("level-{level}"), scope, 20 - level));
    }
    for level in 0..12 {
        let name = format!("level-{level}");
        assert_eq!(decider(&objects, &ALICE).as_deref(), Some(name.as_str()));
        objects.delete::<AnyRelease>(&Key::new("shop", name));
    }
    assert_eq!(decider(&objects, &ALICE), None);
}

#[test]
fn s13_levels_with_people_take_nobody_else() {
    let mut objects = shop();
    for (level, scope) in levels().iter().enumerate() {
        objects.apply(release("shop", &format!("level-{level}"), scope, level));
    }
    let anonymous = Author(None, &[]);
    let (bob, member) = (Author(Some("bob"), &["staff"]), Author(Some("bob"), &["staff", "testers"]));
    assert_eq!(decider(&objects, &anonymous).as_deref(), Some("level-6"));
    assert_eq!(decider(&objects, &bob).as_deref(), Some("level-6"));
    assert_eq!(decider(&objects, &member).as_deref(), Some("level-1"));
}

#[test]
fn s13_of_overlapping_releases_of_one_level_the_oldest_decides() {
    let mut objects = shop();
    objects.apply(release("shop", "staff", &json!({"consumerGroup": "staff"}), 2));
    objects.apply(release("shop", "testers", &json!({"consumerGroup": "testers"}), 1));
    assert_eq!(decider(&objects, &ALICE).as_deref(), Some("testers"));
}

#[test]
fn release_over_all_namespaces_is_for_serins_own_and_reaches_every_route_there() {
    let scope = json!({"all": true, "allNamespaces": true});
    let mut objects = shop();
    objects.apply(release("serin-system", "everywhere", &scope, 1));
    assert_eq!(decider(&objects, &ALICE).as_deref(), Some("everywhere"));
    objects.apply(release("shop", "here", &json!({"service": "checkout"}), 2));
    assert_eq!(decider(&objects, &ALICE).as_deref(), Some("here"));

    let mut objects = shop();
    objects.apply(release("shop", "everywhere", &scope, 1));
    assert_eq!(decider(&objects, &ALICE), None);
    let compiled = compile(&objects, &options());
    let findings = &compiled.releases[&Key::new("shop", "everywhere")].findings;
    let told: Vec<_> = findings.iter().map(|finding| (finding.reason, finding.field.as_ref())).collect();
    assert_eq!(told, [("NotPermitted", "spec.scope.allNamespaces")]);
}
