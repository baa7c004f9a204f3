//! Objects in, the table's config and the findings out: each folder of `cases` is one case.
//!
//! A case whose name begins with `shop` has the objects of `goldens/shop.yaml` too; one that begins with `standalone` is compiled as files
//! are. In a CanaryRelease, `$id` stands for the id that its spec gives.

mod render;

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_compiler::{AnyAuthPolicy, AnyBackendPolicy, AnyConsumer, AnyRelease, Key, Need, Needed, Objects, Options, Resolution, compile};
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

#[test]
fn each_case_compiles_to_its_golden() -> io::Result<()> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<_> = fs::read_dir(&cases)?
        .map(|entry| Ok(entry?.file_name().into_string().expect("cases have plain names")))
        .collect::<io::Result<_>>()?;
    names.sort();
    assert!(names.len() >= 15, "the cases are there");
    for name in names {
        let mut text = fs::read_to_string(cases.join(&name).join("objects.yaml"))?;
        if name.starts_with("shop") {
            text = format!("{}---\n{text}", include_str!("shop.yaml"));
        }
        let options = Options {
            standalone: name.starts_with("standalone"),
            own_namespace: "serin-system".to_owned(),
            classes: BTreeSet::new(),
            external_hosts: ["*.example", "203.0.113.0/24"].map(|text| text.parse().expect("a pattern")).into(),
            outbound: vec!["id.example".parse().expect("a pattern")],
            default_tls_secret: None,
            api_server: vec!["203.0.113.9".parse().expect("an address")],
        };
        let compiled = compile(&objects(&text, &options), &options);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(cases.join(&name));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("compiled", render::render(&compiled, name.starts_with("shop-finalising"))));
    }
    Ok(())
}

/// The cache that has the documents of a text.
fn objects(text: &str, options: &Options) -> Objects {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("a case is YAML");
    let mut objects = Objects::default();
    // Of no other namespace.
    objects.replace_needed::<Pod>(Need { kind: Needed::Pods, namespace: "shop".into() }, []);
    for document in documents {
        let kind = document["kind"].as_str().expect("an object has a kind").to_owned();
        match kind.as_str() {
            "Service" => objects.apply(read::<Service>(document)),
            "Pod" => objects.apply(read::<Pod>(document)),
            "EndpointSlice" => objects.apply(read::<EndpointSlice>(document)),
            "Ingress" => objects.apply(read::<Ingress>(document)),
            "IngressClass" => objects.apply(read::<IngressClass>(document)),
            "Resolution" => resolved(&mut objects, &document),
            "KeySet" => fetched(&mut objects, &document),
            "BackendPolicy" => objects.apply(AnyBackendPolicy(document)),
            "Secret" => {
                let secret = read::<Secret>(document);
                let (namespace, name) = (secret.metadata.namespace.clone(), secret.metadata.name.clone());
                objects.replace_secrets(&namespace.unwrap_or_default(), &[name.unwrap_or_default()].into(), vec![secret])
            }
            "Consumer" => objects.apply(AnyConsumer(document)),
            "AuthPolicy" => objects.apply(AnyAuthPolicy(document)),
            "CanaryRelease" => apply_release(&mut objects, document, options),
            other => panic!("a case has no {other}"),
        };
    }
    objects
}

/// What a name stands for, which no object tells.
fn resolved(objects: &mut Objects, document: &Value) -> bool {
    let texts = document["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let addresses = texts.map(|ip| ip.parse().expect("an address")).collect();
    let name = document["name"].as_str().expect("a name").to_owned();
    objects.take_host(name, Resolution { addresses, failure: document["failure"].as_str().map(str::to_owned) })
}

/// What came of a URL, which no object tells.
fn fetched(objects: &mut Objects, document: &Value) -> bool {
    let text = |field: &str| document[field].as_str().map(str::to_owned);
    let answer = text("text").map(String::into_bytes).ok_or_else(|| text("failure").expect("a text or a failure"));
    objects.take_key_set(text("url").expect("a URL"), answer)
}

fn apply_release(objects: &mut Objects, mut document: Value, options: &Options) -> bool {
    let name = document["metadata"]["name"].as_str().expect("a release has a name").to_owned();
    let namespace = document["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
    document["metadata"]["uid"] = format!("uid-of-{name}").into();
    objects.apply(AnyRelease(document.clone()));
    if document["status"]["traffic"]["release"] == "$id" {
        let compiled = compile(objects, options);
        let id = &compiled.releases[&Key::new(namespace, name)].id;
        if !id.is_empty() {
            document["status"]["traffic"]["release"] = id.as_str().into();
        }
    }
    objects.apply(AnyRelease(document))
}

fn read<T: DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).expect("a case has objects that deserialize")
}
