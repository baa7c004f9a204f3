//! The edit that finalises is a command for a shell, made of names that others chose.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{AnyRelease, Key, Objects, Options, compile};

/// The one edit of a release from `stable` to `canary` over an Ingress of this name, in a cluster.
fn edit(ingress: &str, stable: &str, canary: &str) -> String {
    edit_with(ingress, stable, canary, &Options::default())
}

fn edit_with(ingress: &str, stable: &str, canary: &str, options: &Options) -> String {
    let mut objects = Objects::default();
    for name in [stable, canary] {
        let service = json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": [{"port": 80}]}});
        objects.apply(serde_json::from_value::<Service>(service).expect("it is one"));
    }
    let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": stable, "port": {"number": 80}}}});
    let metadata = json!({"namespace": "shop", "name": ingress});
    let class = json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}});
    objects.apply(serde_json::from_value::<IngressClass>(class).expect("it is one"));
    let ingress = json!({"metadata": metadata, "spec": {"ingressClassName": "serin", "rules": [{"http": {"paths": [path]}}]}});
    objects.apply(serde_json::from_value::<Ingress>(ingress).expect("it is one"));
    let spec = json!({"scope": {"all": true}, "canary": {"service": canary}, "strategy": {"percentage": 10}});
    objects.apply(AnyRelease(json!({"metadata": {"namespace": "shop", "name": "r"}, "spec": spec})));
    let mut compiled = compile(&objects, options);
    let outcome = compiled.releases.remove(&Key::new("shop", "r")).expect("it is there");
    outcome.routes.into_iter().flat_map(|route| route.edits).map(|edit| edit.text).collect()
}

/// The command and the patch between its quotes.
fn parts(edit: &str) -> (String, Vec<Value>) {
    let (command, patch) = edit.split_once('\'').expect("a quote opens");
    let patch = patch.strip_suffix('\'').expect("the last quote closes");
    assert!(!patch.contains('\''), "{edit}");
    (command.to_owned(), serde_saphyr::from_str(patch).expect("the patch is YAML"))
}

#[test]
fn s10_edit_points_the_route_at_the_canary() {
    let (command, patch) = parts(&edit("shop", "checkout", "checkout-v2"));
    assert_eq!(command, "kubectl -n shop patch ingress shop --type=json -p ");
    let pointer = "/spec/rules/0/http/paths/0/backend/service";
    assert_eq!(
        patch,
        [
            json!({"op": "test", "path": format!("{pointer}/name"), "value": "checkout"}),
            json!({"op": "replace", "path": pointer, "value": {"name": "checkout-v2", "port": {"number": 80}}}),
        ]
    );
}

#[test]
fn s10_edit_of_a_file_is_said_in_words() {
    let words = edit_with("shop", "checkout", "on", &Options { standalone: true, ..Options::default() });
    assert_eq!(words, "Set spec.rules[0].http.paths[0].backend to {service: {name: \"on\", port: {number: 80}}}");
}

#[test]
fn names_that_yaml_takes_for_something_else_stay_names() {
    for name in ["on", "null", "true", "1e3", "007"] {
        let (_, patch) = parts(&edit("shop", name, "checkout-v2"));
        assert_eq!(patch[0]["value"], name);
    }
}

#[test]
fn hostile_names_run_nothing() {
    for name in ["a'; rm -rf / #", "a\nb", "$(reboot)", "`reboot`", "--kubeconfig=x", "a\"b", "a}, {op: remove, path: /spec"] {
        let (command, patch) = parts(&edit(name, name, "checkout-v2"));
        assert!(command.chars().all(|c| c.is_ascii_alphanumeric() || " -._=\"".contains(c)), "{command}");
        assert_eq!(command.matches("--").count(), 1, "{command}");
        assert_eq!(patch.len(), 2);
    }
}
