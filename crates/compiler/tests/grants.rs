//! Secrets of other namespaces: which Ingresses may use them, and what is said where none may.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use serin_compiler::{AnyReferenceGrant, Key, Need, Objects, Options, compile};

const MISSING: &str = "No ReferenceGrant in namespace certificates lets Ingresses of namespace shop use Secret wild, or serin may not read \
                       it. Its hosts are shown the default certificate, or none.";

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("an object of its kind")
}

/// An Ingress `shop/shop` that names Secret `wild` of another namespace, and the Secret.
fn cluster() -> Objects {
    let mut objects = Objects::default();
    objects.apply(read::<IngressClass>(json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}})));
    ingress(&mut objects, "shop", "certificates", "shop.example");
    secret(&mut objects, "wild.example");
    objects
}

fn ingress(objects: &mut Objects, namespace: &str, of: &str, host: &str) {
    let metadata = json!({"namespace": namespace, "name": "shop", "annotations": {"serin.dev/tls-secret-namespace": of}});
    let tls = json!([{"hosts": [host], "secretName": "wild"}]);
    objects.apply(read::<Ingress>(json!({"metadata": metadata, "spec": {"ingressClassName": "serin", "tls": tls}})));
}

fn secret(objects: &mut Objects, name: &str) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let data = json!({"tls.crt": cert.pem(), "tls.key": signing_key.serialize_pem()});
    let secret = read::<Secret>(json!({"metadata": {"namespace": "certificates", "name": "wild"}, "stringData": data}));
    objects.replace_secrets("certificates", &["wild".to_owned()].into(), vec![secret]);
}

fn grant(namespace: &str, spec: &Value) -> AnyReferenceGrant {
    AnyReferenceGrant(json!({"metadata": {"namespace": namespace, "name": "tls"}, "spec": spec}))
}

fn from(namespace: &str) -> Value {
    json!({"group": "networking.k8s.io", "kind": "Ingress", "namespace": namespace})
}

/// The hosts that have a certificate, and what the author of `shop/shop` is told.
fn outcome(objects: &mut Objects, options: &Options) -> (usize, Vec<String>) {
    objects.keep_certificates(options);
    let compiled = compile(objects, options);
    let findings = &compiled.ingresses[&Key::new("shop", "shop")];
    (compiled.config.certificates.len(), findings.iter().map(|finding| finding.message.clone()).collect())
}

#[test]
fn a_secret_elsewhere_is_used_only_by_a_grant_of_its_namespace_for_this_namespace_this_kind_and_this_name() {
    let secrets = json!({"group": "", "kind": "Secret"});
    let wild = json!({"group": "", "kind": "Secret", "name": "wild"});
    let other = json!({"group": "", "kind": "Secret", "name": "other"});
    let cases = [
        ("certificates", json!([from("shop")]), json!([secrets]), true),
        ("certificates", json!([from("shop")]), json!([wild]), true),
        ("certificates", json!([from("other"), from("shop")]), json!([other, wild]), true),
        ("certificates", json!([from("shop")]), json!([other]), false),
        ("certificates", json!([from("other")]), json!([secrets]), false),
        ("certificates", json!([from("shop")]), json!([]), false),
        ("certificates", json!([]), json!([secrets]), false),
        // The namespace of the Secret alone says so.
        ("shop", json!([from("shop")]), json!([secrets]), false),
        ("other", json!([from("shop")]), json!([secrets]), false),
        // Other kinds.
        ("certificates", json!([from("shop")]), json!([{"group": "", "kind": "Service"}]), false),
        ("certificates", json!([from("shop")]), json!([{"group": "serin.dev", "kind": "Secret"}]), false),
        ("certificates", json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop"}]), json!([secrets]), false),
        ("certificates", json!([{"group": "gateway.networking.k8s.io", "kind": "Ingress", "namespace": "shop"}]), json!([secrets]), false),
        ("certificates", json!([{"group": "", "kind": "Ingress", "namespace": "shop"}]), json!([secrets]), false),
        // What is of no shape permits nothing.
        ("certificates", json!([{"group": "networking.k8s.io", "kind": "Ingress"}]), json!([secrets]), false),
        ("certificates", json!([{"group": "networking.k8s.io", "kind": "Ingress", "namespace": "*"}]), json!([secrets]), false),
        ("certificates", json!([from("shop")]), json!([{"kind": "Secret"}]), false),
        ("certificates", json!([from("shop")]), json!([{"group": "", "kind": "Secret", "name": 1}]), false),
        ("certificates", json!([from("shop")]), json!([{"group": "", "kind": "Secret", "name": ""}]), false),
        ("certificates", json!({"namespace": "shop"}), json!("Secret"), false),
    ];
    let options = Options::default();
    for (namespace, from, to, permits) in cases {
        let case = format!("{namespace}: {from} to {to}");
        let mut objects = cluster();
        objects.replace_needed(Need::reference_grants(), [grant(namespace, &json!({"from": from, "to": to}))]);
        let expected = if permits { (1, Vec::new()) } else { (0, vec![MISSING.to_owned()]) };
        assert_eq!(outcome(&mut objects, &options), expected, "{case}");
        let is_read = objects.secret_needs(&options).contains_key("certificates");
        assert_eq!(is_read, permits, "what may not be used is not read: {case}");
    }
}

#[test]
fn what_a_grant_permitted_ends_with_it_and_the_last_good_certificate_too() {
    let (mut objects, options) = (cluster(), Options::default());
    let granted = || grant("certificates", &json!({"from": [from("shop")], "to": [{"group": "", "kind": "Secret"}]}));
    assert_eq!(outcome(&mut objects, &options), (0, Vec::new()), "nobody has looked for grants yet, so nobody is told");
    objects.replace_needed::<AnyReferenceGrant>(Need::reference_grants(), []);
    assert_eq!(outcome(&mut objects, &options), (0, vec![MISSING.to_owned()]));
    objects.apply(granted());
    assert_eq!(outcome(&mut objects, &options), (1, Vec::new()));
    let gone = "Secret certificates/wild does not exist, or serin may not read it. The last good certificate serves on.";
    objects.replace_secrets("certificates", &["wild".to_owned()].into(), Vec::new());
    assert_eq!(outcome(&mut objects, &options), (1, vec![gone.to_owned()]), "while it is permitted");
    let deleting =
        AnyReferenceGrant(json!({"metadata": {"namespace": "certificates", "name": "tls", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": granted().0["spec"]}));
    for withdraw in [
        Box::new(|objects: &mut Objects| objects.delete::<AnyReferenceGrant>(&Key::new("certificates", "tls")))
            as Box<dyn Fn(&mut Objects) -> bool>,
        Box::new(|objects: &mut Objects| objects.replace_needed::<AnyReferenceGrant>(Need::reference_grants(), [])),
        Box::new(move |objects: &mut Objects| objects.apply(deleting.clone())),
    ] {
        secret(&mut objects, "wild.example");
        objects.apply(granted());
        assert_eq!(outcome(&mut objects, &options), (1, Vec::new()));
        assert!(withdraw(&mut objects));
        assert_eq!(outcome(&mut objects, &options), (0, vec![MISSING.to_owned()]));
        // Not when it is permitted again either, while the Secret is not there.
        objects.replace_secrets("certificates", &["wild".to_owned()].into(), Vec::new());
        objects.keep_certificates(&options);
        objects.apply(granted());
        assert_eq!(outcome(&mut objects, &options).0, 0);
    }
    // Those that are watched no more are not believed.
    secret(&mut objects, "wild.example");
    objects.forget(&Need::reference_grants());
    assert_eq!(outcome(&mut objects, &options), (0, Vec::new()));
    objects.apply(granted());
    assert_eq!(outcome(&mut objects, &options), (0, Vec::new()));
}

#[test]
fn grants_are_asked_for_only_while_an_ingress_of_ours_names_a_secret_elsewhere() {
    let (mut objects, options) = (cluster(), Options::default());
    let asks = |objects: &Objects| objects.needs(&options).contains(&Need::reference_grants());
    assert!(asks(&objects));
    // Its own namespace needs no grant.
    ingress(&mut objects, "shop", "shop", "shop.example");
    assert!(!asks(&objects));
    assert!(objects.secret_needs(&options)["shop"].contains("wild"));
    for text in ["", "Certificates", "a/b", "-", "certificates.", &"a".repeat(64)] {
        ingress(&mut objects, "shop", text, "shop.example");
        assert!(!asks(&objects) && objects.secret_needs(&options).is_empty(), "{text:?}");
        let told = format!(
            "Annotation serin.dev/tls-secret-namespace is {text:?}, which is no name of a namespace. Its hosts are shown the default \
             certificate, or none."
        );
        assert_eq!(outcome(&mut objects, &options), (0, vec![told]));
    }
    let metadata = json!({"namespace": "shop", "name": "shop", "annotations": {"serin.dev/tls-secret-namespace": "certificates"}});
    let tls = json!([{"hosts": ["shop.example"], "secretName": "wild"}]);
    objects.apply(read::<Ingress>(json!({"metadata": metadata, "spec": {"ingressClassName": "other", "tls": tls}})));
    assert!(!asks(&objects), "an Ingress of another controller");
}

#[test]
fn a_grant_for_one_namespace_is_none_for_another_that_names_the_same_secret() {
    let (mut objects, options) = (cluster(), Options::default());
    ingress(&mut objects, "thief", "certificates", "thief.example");
    objects.replace_needed(
        Need::reference_grants(),
        [grant("certificates", &json!({"from": [from("shop")], "to": [{"group": "", "kind": "Secret", "name": "wild"}]}))],
    );
    objects.keep_certificates(&options);
    let compiled = compile(&objects, &options);
    let shown: Vec<_> = compiled.config.certificates.iter().map(|(host, _)| format!("{host:?}")).collect();
    assert_eq!(shown, [r#"Exact("shop.example")"#]);
    let told = &compiled.ingresses[&Key::new("thief", "shop")][0];
    assert_eq!((told.reason, told.field.as_str()), ("RefNotPermitted", "spec.tls[0].secretName"));
    // Whether there is such a Secret makes no difference to what the author is told.
    objects.replace_secrets("certificates", &["wild".to_owned()].into(), Vec::new());
    assert_eq!(&compile(&objects, &options).ingresses[&Key::new("thief", "shop")][0], told);
}
