//! What every CRD of serin keeps to, and that the files in `crds/` are these.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;

#[path = "../examples/generated/reference.rs"]
mod reference;

/// A node of a schema, with its path and where it stands.
struct Node<'a> {
    path: String,
    place: Place,
    schema: &'a Map<String, Value>,
    in_list: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Field,
    Item,
}

#[test]
fn the_crd_files_are_the_generated_ones() {
    for (name, text) in serin_api::crd_files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds").join(&name);
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "crds/{name} is not what the types say; `cargo xtask generate` writes it");
    }
}

#[test]
fn the_reference_is_the_generated_one() {
    let stored = include_str!("../../../docs/reference.md");
    assert!(stored == reference::page(), "docs/reference.md is not what the types say; `cargo xtask generate` writes it");
    for field in
        ["| `scope.service` | string", "| `strategy.steps[].weight` | integer or string", "| `credentials[].keyAuth.secretRef.name` |"]
    {
        assert!(stored.contains(field), "no row {field}");
    }
}

#[test]
fn the_yaml_is_the_crd() {
    let read: Vec<Value> = serde_saphyr::from_multiple(&serin_api::crd_yaml()).expect("it is YAML");
    let made: Vec<Value> = serin_api::crds().iter().map(|crd| serde_json::to_value(crd).expect("it is JSON")).collect();
    assert_eq!(read.len(), made.len());
    for (read, made) in read.iter().zip(&made) {
        assert_eq!(read["spec"]["names"], made["spec"]["names"]);
        assert_eq!(read["spec"]["conversion"]["strategy"], "None");
        assert_eq!(read["spec"]["versions"][0]["subresources"], serde_json::json!({"status": {}}));
    }
}

#[test]
fn nothing_is_nullable_and_nothing_is_one_of_several() {
    each(|node| {
        for word in ["nullable", "anyOf", "oneOf", "allOf", "not", "$ref"] {
            assert!(!node.schema.contains_key(word), "{} has {word}", node.path);
        }
    });
}

#[test]
fn no_list_item_has_a_default() {
    each(|node| assert!(!(node.in_list && node.schema.contains_key("default")), "{} has a default inside a list item", node.path));
}

#[test]
fn every_list_of_a_spec_is_atomic() {
    each_of_spec(|node| {
        if node.schema.get("type").is_some_and(|kind| kind == "array") {
            assert_eq!(node.schema.get("x-kubernetes-list-type"), Some(&"atomic".into()), "{}", node.path);
            assert!(node.schema.contains_key("maxItems"), "{} has no bound", node.path);
        }
    });
}

#[test]
fn every_text_of_a_spec_has_a_bound() {
    each_of_spec(|node| {
        let text = node.schema.get("type").is_some_and(|kind| kind == "string") || node.schema.contains_key("x-kubernetes-int-or-string");
        assert!(!text || node.schema.contains_key("maxLength") || node.schema.contains_key("enum"), "{} has no bound", node.path);
    });
}

#[test]
fn every_field_of_a_spec_says_its_default() {
    each_of_spec(|node| {
        let said = node.schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let last = said.rfind("Default: ").is_some_and(|at| !said[at..].trim_end_matches('.').contains(". "));
        assert!(node.place == Place::Item || said.ends_with("Required.") || (last && said.ends_with('.')), "{}: {said:?}", node.path);
    });
}

#[test]
fn a_default_is_the_one_that_the_description_says() {
    each_of_spec(|node| {
        let Some(default) = node.schema.get("default") else { return };
        let said = node.schema["description"].as_str().unwrap_or_default();
        if !default.is_object() && !default.is_array() {
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert!(said.ends_with(&format!("Default: {text}.")), "{} says {said:?}, its default is {text}", node.path);
        }
    });
}

#[test]
fn no_field_is_a_boolean_of_yaml_1_1() {
    each(|node| {
        let name = node.path.rsplit('.').next().unwrap_or_default().to_lowercase();
        assert!(!["on", "off", "yes", "no", "y", "n"].contains(&name.as_str()), "{}", node.path);
    });
}

#[test]
fn no_cel_rule_is_at_the_root_or_at_the_spec_and_none_looks_back() {
    each(|node| {
        let Some(rules) = node.schema.get("x-kubernetes-validations").and_then(Value::as_array) else { return };
        assert!(!["", ".spec"].contains(&node.path.as_str()), "a rule at {:?} refuses status writes of stored objects", node.path);
        for rule in rules {
            let text = rule["rule"].as_str().unwrap_or_default();
            assert!(!text.contains("oldSelf") && rule.get("optionalOldSelf").is_none(), "{}: {text}", node.path);
            assert!(rule.get("message").is_some(), "{}: {text} has no message", node.path);
            let member = rule.get("fieldPath").and_then(Value::as_str).map(|path| path.trim_start_matches('.'));
            if let Some(member) = member {
                assert!(node.schema["properties"].get(member).is_some(), "{}: {member} is not a member", node.path);
            }
        }
    });
}

#[test]
fn every_printer_column_reads_a_field_of_the_schema() {
    for crd in serin_api::crds() {
        let columns = crd.spec.versions[0].additional_printer_columns.clone().unwrap_or_default();
        if crd.spec.names.kind == "CanaryRelease" {
            assert_eq!(
                columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
                ["Phase", "Weight", "Measured", "Step", "Verdict", "Stable", "Canary", "Revision", "Age", "Message"]
            );
        }
        // A condition has all types, so its status is one scalar too.
        let ready = ".status.conditions[?(@.type==\"Ready\")].status";
        let mut paths = BTreeSet::from([".metadata.creationTimestamp".to_owned(), ready.to_owned()]);
        each_of(&crd, |node| {
            if node.schema.get("type").is_some_and(|kind| kind == "string") {
                paths.insert(node.path.clone());
            }
        });
        for column in columns {
            assert!(paths.contains(&column.json_path), "{} is no scalar of the schema", column.json_path);
        }
    }
}

fn each(mut see: impl FnMut(&Node<'_>)) {
    serin_api::crds().iter().for_each(|crd| each_of(crd, &mut see));
}

fn each_of(crd: &CustomResourceDefinition, mut see: impl FnMut(&Node<'_>)) {
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    let json = serde_json::to_value(schema.expect("there is a schema")).expect("it is JSON");
    let schema = json.as_object().expect("it is an object");
    walk(&Node { path: String::new(), place: Place::Item, schema, in_list: false }, &mut see);
}

fn each_of_spec(mut see: impl FnMut(&Node<'_>)) {
    each(|node| {
        if node.path.starts_with(".spec") {
            see(node);
        }
    });
}

fn walk(node: &Node<'_>, see: &mut impl FnMut(&Node<'_>)) {
    see(node);
    for (name, member) in node.schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let schema = member.as_object().expect("a schema is an object");
        walk(&Node { path: format!("{}.{name}", node.path), place: Place::Field, schema, in_list: node.in_list }, see);
    }
    for (word, in_list) in [("items", true), ("additionalProperties", node.in_list)] {
        if let Some(schema) = node.schema.get(word).and_then(Value::as_object) {
            walk(&Node { path: format!("{}[]", node.path), place: Place::Item, schema, in_list }, see);
        }
    }
}
