//! The edit that finalises is a command for a shell, made of names that others chose.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde_json::{Value, json};
use serin_compiler::{AnyBackendPolicy, AnyRelease, Key, Objects, Options, compile};

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
    outcome.routes.iter().flat_map(|route| route.edits.clone()).map(|edit| edit.text().into_owned()).collect()
}

/// The edits of a release whose canary is another path, over a route of this path; with a policy that is there already.
fn path_edits(route: &str, rewrite: &Value, policy: Option<&str>, standalone: bool) -> Vec<(String, String)> {
    let mut objects = Objects::default();
    let service = json!({"metadata": {"namespace": "shop", "name": "checkout"}, "spec": {"ports": [{"port": 80}]}});
    objects.apply(serde_json::from_value::<Service>(service).expect("it is one"));
    let class = json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}});
    objects.apply(serde_json::from_value::<IngressClass>(class).expect("it is one"));
    let path = json!({"path": route, "pathType": "Prefix", "backend": {"service": {"name": "checkout", "port": {"number": 80}}}});
    let spec = json!({"ingressClassName": "serin", "rules": [{"http": {"paths": [path]}}]});
    let ingress = json!({"metadata": {"namespace": "shop", "name": "shop"}, "spec": spec});
    objects.apply(serde_json::from_value::<Ingress>(ingress).expect("it is one"));
    if let Some(path) = policy {
        let metadata = json!({"namespace": "shop", "name": "of-checkout"});
        objects.apply(AnyBackendPolicy(json!({"metadata": metadata, "spec": {"service": "checkout", "path": path}})));
    }
    let spec = json!({"scope": {"service": "checkout"}, "canary": {"path": rewrite}, "strategy": {"percentage": 10}});
    objects.apply(AnyRelease(json!({"metadata": {"namespace": "shop", "name": "r"}, "spec": spec})));
    let options = Options { standalone, ..Options::default() };
    let outcome = compile(&objects, &options).releases.remove(&Key::new("shop", "r")).expect("it is there");
    outcome.routes.iter().flat_map(|route| route.edits.clone()).map(|edit| (edit.object.to_string(), edit.text().into_owned())).collect()
}

fn prefix(to: &str) -> Value {
    json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": to})
}

#[test]
fn s10_edit_of_a_path_is_a_backend_policy_where_one_can_do_what_the_rewrite_does() {
    let new = "echo '{apiVersion: serin.dev/v1alpha1, kind: BackendPolicy, metadata: {name: checkout}, spec: {service: checkout, path: \"/v2\"}}' | kubectl -n shop apply -f -";
    let of = |name: &str, text: &str| vec![(format!("BackendPolicy/shop/{name}"), text.to_owned())];
    assert_eq!(path_edits("/", &prefix("/v2"), None, false), of("checkout", new));
    assert_eq!(path_edits("/cart", &prefix("/v2/cart"), None, false), of("checkout", new));
    let patch = "kubectl -n shop patch backendpolicy of-checkout --type=merge -p '{spec: {path: \"/v2\"}}'";
    assert_eq!(path_edits("/", &prefix("/v2"), Some("/v1"), false), of("of-checkout", patch));
    assert_eq!(path_edits("/", &prefix("/v2"), Some("/v2"), false), [], "it does already");
    let words = "Add a BackendPolicy with spec {service: checkout, path: \"/v2\"}";
    assert_eq!(path_edits("/", &prefix("/v2"), None, true), of("checkout", words));
    for (route, rewrite) in
        [("/cart", prefix("/v2")), ("/cart", prefix("/")), ("/", json!({"type": "ReplaceFullPath", "replaceFullPath": "/v2"}))]
    {
        let edits = path_edits(route, &rewrite, None, false);
        assert!(edits.len() == 1 && edits[0].1.starts_with("# The release rewrites the path"), "{route} {rewrite}: {edits:?}");
    }
    for hostile in ["/a'; reboot #", "/$(reboot)", "/`reboot`", "/a\"}, {"] {
        for (_, text) in path_edits("/", &prefix(hostile), None, false) {
            assert_eq!(text.matches('\'').count() % 2, 0, "{text}");
            assert!(text.split('\'').nth(2).is_none_or(|rest| rest == " | kubectl -n shop apply -f -"), "{text}");
        }
    }
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
