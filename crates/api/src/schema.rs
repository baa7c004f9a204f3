//! From the Rust types to the CRDs: CEL rules, and what Kubernetes' structural schemas want beyond what the derives give.
//!
//! Nothing is nullable, every list of a spec is atomic, no list item has a default (Argo CD would show drift for ever), and a value that is a
//! number or a text has one schema. The first two are applied here, so that no type can forget them; `tests/schema.rs` holds all of them.
//! CEL rules stand on the smallest node, never at the root or at `spec` and never with `oldSelf`: there they would refuse the status of
//! objects that are stored already.

use crate::{AuthPolicy, BackendPolicy, CanaryRelease, Consumer};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube_core::{CustomResourceExt, Reason, Rule};
use serde_json::{Number, Value};

/// The CRDs of serin, by name. Use this rather than `CanaryRelease::crd()`, which has not been put in order.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [AuthPolicy::crd(), BackendPolicy::crd(), CanaryRelease::crd(), Consumer::crd()].into_iter().map(in_order).collect()
}

/// The CRD files: name and text of each, as they lie in `crds/`.
pub fn crd_files() -> Vec<(String, String)> {
    let file = |crd: CustomResourceDefinition| {
        let name = format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or_default());
        (name, format!("# Generated from crates/api by `cargo xtask generate`.\n{}", yaml(&crd)))
    };
    crds().into_iter().map(file).collect()
}

/// All CRDs as one YAML stream, for `kubectl apply -f -`.
pub fn crd_yaml() -> String {
    let texts: Vec<_> = crds().iter().map(yaml).collect();
    texts.join("---\n")
}

/// A rule of the node that it stands on.
pub(crate) fn rule(rule: &str, message: &str) -> Rule {
    Rule::new(rule).message(message)
}

/// A rule about one member.
pub(crate) fn rule_at(member: &str, expression: &str, message: &str) -> Rule {
    rule(expression, message).field_path(member).reason(Reason::FieldValueInvalid)
}

/// A rule about a member that is missing.
pub(crate) fn rule_required(member: &str, expression: &str, message: &str) -> Rule {
    rule(expression, message).field_path(member).reason(Reason::FieldValueRequired)
}

/// A rule about a member that may not be there.
pub(crate) fn rule_forbidden(member: &str, expression: &str, message: &str) -> Rule {
    rule(expression, message).field_path(member).reason(Reason::FieldValueForbidden)
}

fn in_order(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    crd.spec.conversion = Some(CustomResourceConversion { strategy: "None".to_owned(), webhook: None });
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    for version in &mut crd.spec.versions {
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else { continue };
        root.title = None;
        for (name, node) in root.properties.iter_mut().flatten() {
            tidy(node, name == "status");
        }
    }
    crd
}

fn yaml(crd: &CustomResourceDefinition) -> String {
    let mut json = serde_json::to_value(crd).expect("a CRD is JSON: it has no map with other keys than text");
    whole_numbers(&mut json);
    serde_saphyr::to_string(&json).expect("JSON is YAML")
}

/// Kubernetes' type holds bounds as floats; `maximum: 100.0` would be a change at every server that stores 100.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole_number(number) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// The integer that a float such as `10.0` is, as JSON sees it.
pub(crate) fn whole_number(number: &Number) -> Option<i64> {
    // Below 2^53 every integer is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT)?;
    Some(float as i64)
}

fn tidy(node: &mut JSONSchemaProps, status: bool) {
    node.nullable = None;
    node.description = node.description.take().filter(|text| !text.is_empty()).map(|text| text.replace('\n', " "));
    if status {
        node.default = None;
    }
    if !matches!(node.format.as_deref(), Some("date-time" | "int32" | "int64")) {
        node.format = None;
    }
    if node.type_.as_deref() == Some("array") && node.x_kubernetes_list_type.is_none() {
        node.x_kubernetes_list_type = Some("atomic".to_owned());
    }
    for node in node.properties.iter_mut().flat_map(|members| members.values_mut()) {
        tidy(node, status);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = node.items.as_mut() {
        tidy(items, status);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = node.additional_properties.as_mut() {
        tidy(values, status);
    }
}
