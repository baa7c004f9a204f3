//! The CEL rules as kube evaluates them: one more judge over the same lists, without a cluster.

use super::{By, Case, cases};
use kube_cel::{CompiledSchema, ErrorKind, Validator, compile_schema};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn kube_refuses_by_a_rule_what_the_rules_are_there_to_refuse() {
    for (kind, cases) in cases() {
        let (schema, validator) = (schema(kind), Validator::new());
        for case in cases.cases.iter().filter(|case| case.by != Some(By::Schema)) {
            let object = without_nulls(case.object(&cases.base));
            let refused = match validator.validate_compiled(&schema, &object, None) {
                Ok(()) => Vec::new(),
                Err(errors) => errors.into_vec(),
            };
            assert!(refused.iter().all(|error| error.kind == ErrorKind::ValidationFailure), "{}: {refused:?}", case.says);
            assert_eq!(!refused.is_empty(), case.by == Some(By::Cel), "{}: {refused:?}", case.says);
            let named = |error: &kube_cel::ValidationError| Some(&error.field_path) == case.field.as_ref();
            assert!(refused.is_empty() || refused.iter().any(named), "{}: {refused:?}", case.says);
        }
    }
}

#[test]
fn every_rule_refuses_some_case() {
    for (kind, cases) in cases() {
        let (schema, validator) = (schema(kind), Validator::new());
        let mut unused = rules(kind);
        for case in cases.cases.iter().filter(|case: &&Case| case.by == Some(By::Cel)) {
            if let Err(errors) = validator.validate_compiled(&schema, &without_nulls(case.object(&cases.base)), None) {
                for error in errors.as_slice() {
                    unused.remove(&error.rule);
                }
            }
        }
        assert!(unused.is_empty(), "no case of {kind} shows what these refuse: {unused:#?}");
    }
}

pub(super) fn schema(kind: &str) -> CompiledSchema {
    compile_schema(&json(kind))
}

fn json(kind: &str) -> Value {
    let mut crd = serin_api::crds().into_iter().find(|crd| crd.spec.names.kind == kind).expect("each kind has a CRD");
    let version = crd.spec.versions.remove(0);
    serde_json::to_value(version.schema.and_then(|schema| schema.open_api_v3_schema)).expect("a schema is JSON")
}

fn rules(kind: &str) -> BTreeSet<String> {
    fn walk(node: &Value, found: &mut BTreeSet<String>) {
        match node {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_array().filter(|_| name == "x-kubernetes-validations") {
                        Some(rules) => found.extend(rules.iter().filter_map(|rule| rule["rule"].as_str()).map(str::to_owned)),
                        None => walk(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(&json(kind), &mut found);
    found
}

/// The API server drops the nulls of what may not be null before it asks the rules.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
        for member in members.values_mut() {
            *member = without_nulls(member.take());
        }
    }
    value
}
