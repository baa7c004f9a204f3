//! Certificates of Secrets: which host is shown which, what a Service is shown, and what becomes of it when a Secret is broken or gone.

use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use serin_compiler::{AnyBackendPolicy, Compiled, Key, Objects, Options, compile};
use serin_routing::config::HostMatch;

/// Chain and key for these names.
fn pair(names: &[&str]) -> (String, String) {
    let made = generate_simple_self_signed(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let CertifiedKey { cert, signing_key } = made.expect("a certificate");
    (cert.pem(), signing_key.serialize_pem())
}

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("an object of its kind")
}

/// A cluster with a class of serin's.
fn cluster() -> Objects {
    let mut objects = Objects::default();
    objects.apply(read::<IngressClass>(json!({"metadata": {"name": "serin"}, "spec": {"controller": "serin.dev/ingress-controller"}})));
    objects
}

fn secret(objects: &mut Objects, namespace: &str, name: &str, data: &Value) {
    let secret = read::<Secret>(json!({"metadata": {"namespace": namespace, "name": name}, "stringData": data}));
    objects.replace_secrets(namespace, &[name.to_owned()].into(), vec![secret]);
}

fn certificate(objects: &mut Objects, namespace: &str, name: &str, names: &[&str]) {
    let (chain, key) = pair(names);
    secret(objects, namespace, name, &json!({"tls.crt": chain, "tls.key": key}));
}

fn ingress(objects: &mut Objects, namespace: &str, name: &str, created: &str, tls: &Value) {
    let metadata = json!({"namespace": namespace, "name": name, "creationTimestamp": created});
    objects.apply(read::<Ingress>(json!({"metadata": metadata, "spec": {"ingressClassName": "serin", "tls": tls}})));
}

fn compiled(objects: &mut Objects, options: &Options) -> Compiled {
    objects.keep_certificates(options);
    compile(objects, options)
}

/// Each host, and the first name of what it is shown.
fn shown(compiled: &Compiled) -> Vec<(String, String)> {
    let host = |host: &HostMatch| match host {
        HostMatch::Exact(host) => host.to_string(),
        HostMatch::Wildcard(suffix) => format!("*.{suffix}"),
        HostMatch::Any | HostMatch::Default => "*".to_owned(),
    };
    compiled.config.certificates.iter().map(|(of, certificate)| (host(of), certificate.names[0].clone())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(host, name)| ((*host).to_owned(), (*name).to_owned())).collect()
}

fn told(compiled: &Compiled, namespace: &str, name: &str) -> Vec<String> {
    compiled.ingresses[&Key::new(namespace, name)]
        .iter()
        .map(|finding| format!("{} {}: {}", finding.reason, finding.field, finding.message))
        .collect()
}

#[test]
fn hosts_are_shown_the_certificate_that_their_ingress_names() {
    let mut objects = cluster();
    certificate(&mut objects, "shop", "one", &["one.test"]);
    certificate(&mut objects, "shop", "named", &["a.named.test", "*.named.test"]);
    certificate(&mut objects, "serin-system", "default", &["default.test"]);
    let tls =
        json!([{"hosts": ["Shop.example", "*.shop.example"], "secretName": "one"}, {"secretName": "named"}, {"hosts": ["bare.example"]}]);
    ingress(&mut objects, "shop", "shop", "2026-01-01T00:00:00Z", &tls);
    let options = Options { default_tls_secret: Some(Key::new("serin-system", "default")), ..Options::default() };
    let compiled = compiled(&mut objects, &options);
    let expected = [
        ("a.named.test", "*.named.test"),
        ("shop.example", "one.test"),
        ("*.named.test", "*.named.test"),
        ("*.shop.example", "one.test"),
        ("*", "default.test"),
    ];
    assert_eq!(shown(&compiled), pairs(&expected));
    assert!(told(&compiled, "shop", "shop").is_empty() && compiled.default_certificate.is_empty());
    let needs = objects.secret_needs(&options);
    assert_eq!(needs["shop"].iter().collect::<Vec<_>>(), ["named", "one"]);
    assert_eq!(needs["serin-system"].iter().collect::<Vec<_>>(), ["default"]);
}

#[test]
fn a_secret_that_is_broken_or_gone_serves_its_last_good_certificate_and_its_author_is_told() {
    let mut objects = cluster();
    certificate(&mut objects, "shop", "tls", &["first.test"]);
    ingress(&mut objects, "shop", "shop", "2026-01-01T00:00:00Z", &json!([{"hosts": ["shop.example"], "secretName": "tls"}]));
    let options = Options::default();
    assert!(told(&compiled(&mut objects, &options), "shop", "shop").is_empty());
    let (chain, key) = pair(&["second.test"]);
    let (_, other) = pair(&["second.test"]);
    let good = " The last good certificate serves on.";
    for (data, reason, what) in [
        (json!({"tls.crt": chain}), "SecretKeyNotFound", "Secret shop/tls has no key tls.key."),
        (
            json!({"tls.crt": "?", "tls.key": key}),
            "InvalidSecret",
            "Key tls.crt of Secret shop/tls is no chain of certificates in PEM, that of the key first.",
        ),
        (json!({"tls.crt": chain, "tls.key": "?"}), "InvalidSecret", "Key tls.key of Secret shop/tls is no private key in PEM."),
        (json!({"tls.crt": chain, "tls.key": other}), "InvalidSecret", "Key tls.key of Secret shop/tls is not the key of the certificate."),
    ] {
        secret(&mut objects, "shop", "tls", &data);
        let compiled = compiled(&mut objects, &options);
        assert_eq!(shown(&compiled), pairs(&[("shop.example", "first.test")]), "{what}");
        assert_eq!(told(&compiled, "shop", "shop"), [format!("{reason} spec.tls[0].secretName: {what}{good}")]);
    }
    objects.replace_secrets("shop", &["tls".to_owned()].into(), Vec::new());
    let gone = compiled(&mut objects, &options);
    assert_eq!(shown(&gone), pairs(&[("shop.example", "first.test")]));
    assert_eq!(
        told(&gone, "shop", "shop"),
        [format!("SecretNotFound spec.tls[0].secretName: Secret shop/tls does not exist, or serin may not read it.{good}")]
    );
    secret(&mut objects, "shop", "tls", &json!({"tls.crt": chain, "tls.key": key}));
    let mended = compiled(&mut objects, &options);
    assert_eq!(shown(&mended), pairs(&[("shop.example", "second.test")]));
    assert!(told(&mended, "shop", "shop").is_empty());
}

#[test]
fn a_secret_that_never_was_good_leaves_its_hosts_to_the_default() {
    let mut objects = cluster();
    ingress(&mut objects, "shop", "shop", "2026-01-01T00:00:00Z", &json!([{"hosts": ["shop.example"], "secretName": "tls"}]));
    let options = Options { default_tls_secret: Some(Key::new("serin-system", "default")), ..Options::default() };
    let unread = compiled(&mut objects, &options);
    assert!(told(&unread, "shop", "shop").is_empty(), "nobody has looked for it yet");
    for (namespace, name) in [("shop", "tls"), ("serin-system", "default")] {
        objects.replace_secrets(namespace, &[name.to_owned()].into(), Vec::new());
    }
    let absent = compiled(&mut objects, &options);
    assert!(absent.config.certificates.is_empty());
    assert!(told(&absent, "shop", "shop")[0].ends_with("serin may not read it. Its hosts are shown the default certificate, or none."));
    assert_eq!(absent.default_certificate[0].reason, "SecretNotFound");
}

#[test]
fn of_two_ingresses_the_older_holds_the_host_and_goes_before_names_of_certificates() {
    let mut objects = cluster();
    certificate(&mut objects, "a", "tls", &["young.test", "shop.example"]);
    certificate(&mut objects, "b", "tls", &["old.test"]);
    certificate(&mut objects, "c", "tls", &["shop.example"]);
    let named = json!([{"hosts": ["shop.example"], "secretName": "tls"}]);
    ingress(&mut objects, "a", "young", "2026-01-02T00:00:00Z", &named);
    ingress(&mut objects, "b", "old", "2026-01-01T00:00:00Z", &named);
    ingress(&mut objects, "c", "implicit", "2025-01-01T00:00:00Z", &json!([{"secretName": "tls"}]));
    let options = Options::default();
    let both = compiled(&mut objects, &options);
    assert_eq!(shown(&both), pairs(&[("shop.example", "old.test")]));
    let held = "Conflicted spec.tls[0].hosts[0]: TLS of host shop.example is held by the older Ingress b/old, with another certificate.";
    assert_eq!(told(&both, "a", "young"), [held]);
    assert!(told(&both, "b", "old").is_empty() && told(&both, "c", "implicit").is_empty());
    secret(&mut objects, "b", "tls", &json!({}));
    assert_eq!(shown(&compile(&objects, &options)), pairs(&[("shop.example", "old.test")]), "while it is repaired nobody takes over");
}

#[test]
fn the_annotation_that_sends_to_tls_is_read_or_complained_of() {
    let mut objects = cluster();
    let rule =
        json!({"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}]}});
    for (text, redirect, findings) in [("true", Some(true), 0), ("false", Some(false), 0), ("yes", None, 1)] {
        let metadata = json!({"namespace": "shop", "name": "shop", "annotations": {"serin.dev/https-redirect": text}});
        objects.apply(read::<Ingress>(json!({"metadata": metadata, "spec": {"ingressClassName": "serin", "rules": [rule]}})));
        let compiled = compile(&objects, &Options::default());
        assert_eq!(compiled.config.routes[0].https_redirect, redirect);
        let complaints = told(&compiled, "shop", "shop");
        assert_eq!(
            complaints.iter().filter(|told| told.starts_with("InvalidSpec metadata.annotations")).count(),
            findings,
            "{complaints:?}"
        );
    }
}

#[test]
fn a_service_is_shown_the_certificate_of_the_secret_as_it_is_now_or_is_closed() {
    let mut objects = cluster();
    let service = json!({"metadata": {"namespace": "shop", "name": "checkout"}, "spec": {"ports": [{"port": 80}]}});
    objects.apply(read::<Service>(service));
    let backend = json!({"service": {"name": "checkout", "port": {"number": 80}}});
    let metadata = json!({"namespace": "shop", "name": "shop"});
    objects.apply(read::<Ingress>(json!({"metadata": metadata, "spec": {"ingressClassName": "serin", "defaultBackend": backend}})));
    let tls = json!({"serverName": "checkout.shop.svc", "clientCertificate": {"secretRef": {"name": "client"}}});
    let spec = json!({"service": "checkout", "tls": tls});
    objects.apply(AnyBackendPolicy(json!({"metadata": {"namespace": "shop", "name": "checkout"}, "spec": spec})));
    let options = Options::default();
    // The same name in another namespace is another Secret.
    certificate(&mut objects, "other", "client", &["other.test"]);
    assert_eq!(objects.secret_needs(&options)["shop"].iter().collect::<Vec<_>>(), ["client"]);
    let shown = |objects: &mut Objects| {
        let compiled = compiled(objects, &options);
        let told = compiled.policies[&Key::new("shop", "checkout")].iter().map(|finding| finding.message.clone()).collect::<Vec<_>>();
        let backend = &compiled.config.backends[0];
        let client = backend.tls.as_ref().and_then(|tls| Some(tls.client.as_ref()?.names[0].clone()));
        assert_eq!(backend.unresolved, client.is_none(), "without its certificate it is closed");
        (client, told.join(" "))
    };
    assert_eq!(shown(&mut objects), (None, "Secret shop/client is not read yet.".into()));
    objects.replace_secrets("shop", &["client".to_owned()].into(), Vec::new());
    let absent = "Secret shop/client does not exist, or serin may not read it. Create it, or name another.";
    assert_eq!(shown(&mut objects), (None, absent.into()));
    for name in ["first.test", "second.test"] {
        certificate(&mut objects, "shop", "client", &[name]);
        assert_eq!(shown(&mut objects), (Some(name.into()), String::new()));
    }
    let (chain, _) = pair(&["third.test"]);
    for (data, what) in [
        (json!({"tls.crt": chain}), "Secret shop/client has no key tls.key. Add it, or name another."),
        (json!({"tls.crt": chain, "tls.key": "?"}), "Key tls.key of Secret shop/client is no private key in PEM."),
        (
            json!({"tls.crt": chain, "tls.key": pair(&["third.test"]).1}),
            "Key tls.key of Secret shop/client is not the key of the certificate.",
        ),
    ] {
        secret(&mut objects, "shop", "client", &data);
        assert_eq!(shown(&mut objects), (None, what.into()), "the last good one is not shown");
    }
}
