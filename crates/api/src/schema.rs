//! From the Rust types to the CRDs: CEL rules, and what Kubernetes' structural schemas want beyond what the derives give.
//!
//! serin's rules on schemas (ARCHITECTURE.md, "The API"): nothing is nullable, every list of a spec is atomic, no list item has a default,
//! a value that is a number or a text has one schema. The first two are applied here, so that no type can forget them.

use crate::CanaryRelease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube_core::{CustomResourceExt, Reason, Rule};

/// The CRDs of serin. Use this rather than `CanaryRelease::crd()`, which has not been put in order.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![in_order(CanaryRelease::crd())]
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
