//! `docs/reference.md`: every field of every kind, as the CRDs describe it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use std::fmt::Write;

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# Reference\n\nGenerated from crates/api by `cargo xtask generate`; `kubectl explain` says the same. A field that ends in `[]` is an item of a \
         list, `.*` any member of a map.\n",
    );
    for crd in serin_api::crds() {
        let version = crd.spec.versions.first().expect("a CRD of ours has a version");
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).expect("a CRD of ours has a schema");
        let names = crd.spec.names.short_names.unwrap_or_default().join("`, `");
        let _ = write!(page, "\n## {}\n\n`{}/{}`, short `{names}`. ", crd.spec.names.kind, crd.spec.group, version.name);
        page.push_str(schema.description.as_deref().unwrap_or_default());
        page.push('\n');
        for (title, part) in [("Spec", "spec"), ("Status", "status")] {
            let Some(node) = schema.properties.as_ref().and_then(|members| members.get(part)) else { continue };
            let _ = write!(page, "\n### {title} of {}\n\n| field | type | |\n|---|---|---|\n", crd.spec.names.kind);
            members(&mut page, "", node);
        }
    }
    page
}

/// A row for each member below a node, the node's own row having been written.
fn members(page: &mut String, path: &str, node: &JSONSchemaProps) {
    for (name, member) in node.properties.iter().flatten() {
        row(page, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, member);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &node.items {
        members(page, &format!("{path}[]"), item);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &node.additional_properties {
        members(page, &format!("{path}.*"), value);
    }
}

fn row(page: &mut String, path: &str, node: &JSONSchemaProps) {
    let text = node.description.as_deref().unwrap_or_default().replace('|', "\\|");
    let _ = writeln!(page, "| `{path}` | {} | {text} |", type_of(node).replace('|', "\\|"));
    members(page, path, node);
}

/// The type with its bounds, such as `integer, 1 to 1000000`.
fn type_of(node: &JSONSchemaProps) -> String {
    if let Some(values) = &node.enum_ {
        let values: Vec<_> =
            values.iter().map(|JSON(value)| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect();
        return values.join(", ");
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &node.items {
        let most = node.max_items.map(|most| format!(", at most {most}")).unwrap_or_default();
        return format!("list of {}{most}", type_of(item));
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &node.additional_properties {
        return format!("map of {}", type_of(value));
    }
    let kind = match node.type_.as_deref() {
        _ if node.x_kubernetes_int_or_string == Some(true) => "integer or string",
        _ if node.format.as_deref() == Some("date-time") => "time",
        Some(kind) => kind,
        None => "any",
    };
    let bounds = match (node.minimum, node.maximum) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    };
    let length = node.max_length.map(|most| format!(", at most {most} characters")).unwrap_or_default();
    format!("{kind}{bounds}{length}")
}
