//! Ingress v1 as the Kubernetes documentation describes it (Concepts, Services and Networking, Ingress): its tables of paths and hosts row by
//! row, default backends, and whose an Ingress is.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{Objects, Options, compile};
use serin_routing::{Policies, Table};

/// The backend of the default backend.
const DEFAULT: &str = "default";

/// Kind and path of Services a, b and c, the request's path, and who gets it.
type PathRow = (&'static [(&'static str, &'static str)], &'static str, &'static str);
/// `ingressClassName`, annotation, whether ours is the default, the classes that are named, and whether the Ingress is served.
type ClassRow = (Option<&'static str>, Option<&'static str>, bool, &'static [&'static str], bool);

/// A Service on port 80.
fn service(name: &str) -> Service {
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": [{"port": 80}]}})).expect("it is one")
}

fn class(name: &str, controller: &str, is_default: &str) -> IngressClass {
    let annotations = json!({"ingressclass.kubernetes.io/is-default-class": is_default});
    serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"controller": controller}}))
        .expect("it is one")
}

/// The class of serin's that is not the default, and the Services `a`, `b`, `c` and `default`.
fn shop() -> Objects {
    let mut objects = Objects::default();
    objects.apply(class("serin", "serin.dev/ingress-controller", "false"));
    for name in ["a", "b", "c", DEFAULT] {
        objects.apply(service(name));
    }
    objects
}

fn backend(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}

/// An Ingress of class serin with these rules: host, path type, path, Service.
fn ingress(name: &str, rules: &[(&str, &str, &str, &str)], default: Option<&str>) -> Ingress {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(host, kind, path, service)| {
            let http = json!({"paths": [{"pathType": kind, "path": path, "backend": backend(service)}]});
            if host.is_empty() { json!({"http": http}) } else { json!({"host": host, "http": http}) }
        })
        .collect();
    let mut spec = json!({"ingressClassName": "serin", "rules": rules});
    if let Some(service) = default {
        spec["defaultBackend"] = backend(service);
    }
    serde_json::from_value(json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec})).expect("it is one")
}

/// The Service that gets a request; none where nothing is served.
fn asked(objects: &Objects, options: &Options, host: &str, path: &str) -> Option<String> {
    let table = Table::new(&compile(objects, options).config, &mut Policies::default());
    let route = table.lookup(host, path)?;
    let name = route.backend.as_ref()?.name.clone();
    Some(name.trim_start_matches("shop/").trim_end_matches(":80").to_owned())
}

/// "Examples" of "Path types": kind and path of Services a, b and c, the request's path, and who gets it.
#[test]
fn each_row_of_the_table_of_path_types_holds() {
    let rows: &[PathRow] = &[
        (&[("Prefix", "/")], "/", "a"),
        (&[("Prefix", "/")], "/any/path", "a"),
        (&[("Exact", "/foo")], "/foo", "a"),
        (&[("Exact", "/foo")], "/bar", DEFAULT),
        (&[("Exact", "/foo")], "/foo/", DEFAULT),
        (&[("Exact", "/foo/")], "/foo", DEFAULT),
        (&[("Exact", "/foo/")], "/foo/", "a"),
        (&[("Prefix", "/foo")], "/foo", "a"),
        (&[("Prefix", "/foo")], "/foo/", "a"),
        (&[("Prefix", "/foo/")], "/foo", "a"),
        (&[("Prefix", "/foo/")], "/foo/", "a"),
        (&[("Prefix", "/aaa/bb")], "/aaa/bbb", DEFAULT),
        (&[("Prefix", "/aaa/bbb")], "/aaa/bbb", "a"),
        (&[("Prefix", "/aaa/bbb/")], "/aaa/bbb", "a"),
        (&[("Prefix", "/aaa/bbb")], "/aaa/bbb/", "a"),
        (&[("Prefix", "/aaa/bbb")], "/aaa/bbb/ccc", "a"),
        (&[("Prefix", "/aaa/bbb")], "/aaa/bbbxyz", DEFAULT),
        (&[("Prefix", "/"), ("Prefix", "/aaa")], "/aaa/ccc", "b"),
        (&[("Prefix", "/"), ("Prefix", "/aaa"), ("Prefix", "/aaa/bbb")], "/aaa/bbb", "c"),
        (&[("Prefix", "/"), ("Prefix", "/aaa"), ("Prefix", "/aaa/bbb")], "/ccc", "a"),
        (&[("Prefix", "/aaa")], "/ccc", DEFAULT),
        (&[("Prefix", "/foo"), ("Exact", "/foo")], "/foo", "b"),
        // "Case sensitive", and "multiple matches": the longest path, and then the exact one.
        (&[("Prefix", "/foo")], "/FOO", DEFAULT),
        (&[("Exact", "/aaa"), ("Prefix", "/aaa/bbb")], "/aaa/bbb/ccc", "b"),
        // "Up to the IngressClass": serin takes it as a prefix.
        (&[("ImplementationSpecific", "/foo")], "/foo/bar", "a"),
        (&[("ImplementationSpecific", "/foo"), ("Exact", "/foo")], "/foo", "b"),
    ];
    for (paths, path, expected) in rows {
        let rules: Vec<_> = paths.iter().zip(["a", "b", "c"]).map(|((kind, path), service)| ("", *kind, *path, service)).collect();
        for rules in [rules.clone(), rules.into_iter().rev().collect()] {
            let mut objects = shop();
            objects.apply(ingress("rules", &rules, Some(DEFAULT)));
            assert_eq!(asked(&objects, &Options::default(), "any.example", path).as_deref(), Some(*expected), "{rules:?} {path}");
        }
    }
}

/// "Hostname wildcards": host of the rule, host of the request, whether it matches; and which of several does.
#[test]
fn each_row_of_the_table_of_hosts_holds() {
    let rows: &[(&[&str], &str, Option<&str>)] = &[
        (&["*.foo.com"], "bar.foo.com", Some("a")),
        (&["*.foo.com"], "baz.bar.foo.com", None),
        (&["*.foo.com"], "foo.com", None),
        (&["foo.bar.com"], "foo.bar.com", Some("a")),
        (&["foo.bar.com"], "bar.com", None),
        (&["*.foo.com", "bar.foo.com"], "bar.foo.com", Some("b")),
        (&["*.foo.com", "*.bar.foo.com"], "a.bar.foo.com", Some("b")),
        (&["", "*.foo.com"], "bar.foo.com", Some("b")),
        (&["", "*.foo.com"], "bar.com", Some("a")),
    ];
    for (hosts, host, expected) in rows {
        let mut objects = shop();
        let rules: Vec<_> = hosts.iter().zip(["a", "b"]).map(|(host, service)| (*host, "Prefix", "/", service)).collect();
        objects.apply(ingress("rules", &rules, None));
        assert_eq!(asked(&objects, &Options::default(), host, "/").as_deref(), *expected, "{hosts:?} {host}");
    }
}

/// "DefaultBackend": without rules all traffic goes there; with rules, what none of them takes.
#[test]
fn the_default_backend_gets_what_no_rule_takes() {
    let mut objects = shop();
    objects.apply(ingress("only", &[], Some("a")));
    assert_eq!(asked(&objects, &Options::default(), "any.example", "/x").as_deref(), Some("a"));
    objects.apply(ingress("rules", &[("b.example", "Exact", "/b", "b")], None));
    for (host, path, expected) in [("b.example", "/b", "b"), ("b.example", "/other", "a"), ("c.example", "/b", "a")] {
        assert_eq!(asked(&objects, &Options::default(), host, path).as_deref(), Some(expected), "{host}{path}");
    }
}

/// "Ingress class", "Default IngressClass" and "Deprecated annotation": the class, the annotation, whether our class is the default, the
/// classes that the operator named, and whether the Ingress is served.
#[test]
fn an_ingress_is_served_by_the_rules_of_classes() {
    let rows: &[ClassRow] = &[
        (Some("serin"), None, false, &[], true),
        (Some("second"), None, false, &[], true),
        (Some("nginx"), None, false, &[], false),
        (Some("absent"), None, true, &[], false),
        (None, Some("serin"), false, &[], true),
        (None, Some("second"), false, &[], true),
        (None, Some("nginx"), true, &[], false),
        (Some("nginx"), Some("serin"), true, &[], false),
        (Some("serin"), Some("nginx"), false, &[], true),
        (None, None, false, &[], false),
        (None, None, true, &[], true),
        // Those that an operator names, and no others.
        (Some("serin"), None, false, &["second"], false),
        (Some("second"), None, false, &["second"], true),
        (None, None, true, &["second"], false),
        (None, None, true, &["serin"], true),
        // One that cannot be read is as one that is absent.
        (Some("absent"), None, false, &["absent"], true),
        (None, Some("absent"), false, &["absent"], true),
        (Some("nginx"), None, false, &["nginx"], false),
    ];
    for row @ (name, annotation, is_default, named, served) in rows {
        let mut objects = shop();
        objects.apply(class("serin", "serin.dev/ingress-controller", if *is_default { "true" } else { "false" }));
        objects.apply(class("second", "serin.dev/ingress-controller", "false"));
        objects.apply(class("nginx", "k8s.io/ingress-nginx", "false"));
        let mut ingress = ingress("one", &[("", "Prefix", "/", "a")], None);
        ingress.spec.as_mut().expect("a spec").ingress_class_name = name.map(str::to_owned);
        ingress.metadata.annotations = annotation.map(|name| [("kubernetes.io/ingress.class".to_owned(), name.to_owned())].into());
        objects.apply(ingress);
        let options = Options { classes: named.iter().map(|name| (*name).to_owned()).collect(), ..Options::default() };
        assert_eq!(asked(&objects, &options, "any.example", "/").is_some(), *served, "{row:?}");
    }
}
