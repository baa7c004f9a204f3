//! JSON schemas for kubeconform, from what the API server itself says of its kinds.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_testkit::cluster::Cluster;
use std::fs;
use std::path::Path;

/// Writes a schema for each kind into this folder, by the names that [`LOCATION`] has; a field that a kind does not have is refused.
pub(crate) fn write(cluster: &Cluster, folder: &Path) -> Result<()> {
    let mut api: Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", "/openapi/v2"], "")?.ok()?)?;
    let definitions = api["definitions"].as_object_mut().context("there are no definitions")?;
    let mut kinds = 0;
    for (name, definition) in definitions.iter_mut() {
        strict(name, definition);
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let word = |field: &str| kind[field].as_str().unwrap_or_default().to_lowercase();
            // As kubeconform makes it: `deployment-apps-v1.json`, `service-v1.json`, `role-rbac-v1.json`.
            let group = word("group").split('.').next().map(|group| format!("-{group}")).filter(|group| group != "-").unwrap_or_default();
            let file = folder.join(format!("{}{group}-{}.json", word("kind"), word("version")));
            fs::write(file, json!({"$ref": format!("definitions.json#/definitions/{name}")}).to_string())?;
            kinds += 1;
        }
    }
    ensure!(kinds > 50, "the API server has more than {kinds} kinds");
    fs::write(folder.join("definitions.json"), json!({"definitions": definitions}).to_string())?;
    Ok(())
}

/// For `-schema-location`, after the folder.
pub(crate) const LOCATION: &str = "{{.ResourceKind}}{{.KindSuffix}}.json";

/// Refuses fields that are not there, and takes for the types that are two at once what the API server takes.
fn strict(name: &str, definition: &mut Value) {
    if name.ends_with(".Quantity") || name.ends_with(".IntOrString") {
        *definition = json!({"type": ["string", "number"]});
        return;
    }
    if name.ends_with(".JSON") || name.ends_with("JSONSchemaPropsOrBool") || name.ends_with("JSONSchemaPropsOrArray") {
        return;
    }
    if let Some(object) = definition.as_object_mut()
        && object.contains_key("properties")
        && !object.contains_key("additionalProperties")
        && !object.contains_key("x-kubernetes-preserve-unknown-fields")
    {
        object.insert("additionalProperties".into(), false.into());
    }
}
