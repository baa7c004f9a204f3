//! Who wrote what of an object, as far as anybody asks.

use crate::cluster::FIELD_MANAGER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Value, json};

/// How the API server spells an annotation of serin.
const OURS: &str = "f:serin.dev/";

/// Leaves who wrote annotations of serin: a command is recorded with the tool that sent it; and that serin itself wrote the addresses of an
/// Ingress, which it clears only then. All else is most of a small object.
pub(super) fn keep_tools(managers: &mut Vec<ManagedFieldsEntry>) {
    managers.retain_mut(|entry| {
        if wrote_addresses(entry) {
            entry.fields_v1 = Some(FieldsV1(json!({"f:status": {"f:loadBalancer": {}}})));
            return true;
        }
        let fields = entry.fields_v1.as_ref().and_then(|FieldsV1(fields)| fields.pointer("/f:metadata/f:annotations")?.as_object());
        let ours: serde_json::Map<String, Value> = fields
            .into_iter()
            .flatten()
            .filter(|(field, _)| field.starts_with(OURS))
            .map(|(field, of)| (field.clone(), of.clone()))
            .collect();
        let any = !ours.is_empty();
        entry.fields_v1 = Some(FieldsV1(json!({"f:metadata": {"f:annotations": ours}})));
        any
    });
}

fn wrote_addresses(entry: &ManagedFieldsEntry) -> bool {
    let addresses = |FieldsV1(fields): &FieldsV1| fields.pointer("/f:status/f:loadBalancer").is_some();
    entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.fields_v1.as_ref().is_some_and(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(managers: Value) -> Value {
        let mut managers: Vec<ManagedFieldsEntry> = serde_json::from_value(managers).unwrap();
        keep_tools(&mut managers);
        serde_json::to_value(managers).unwrap()
    }

    #[test]
    fn who_wrote_an_annotation_of_serin_is_kept_with_that_alone() {
        let annotations = json!({"f:serin.dev/abort": {}, "f:team": {}, ".": {}});
        let wrote = json!({"f:metadata": {"f:annotations": annotations, "f:labels": {}}, "f:spec": {"f:canary": {}}});
        let expected = json!([{"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:annotations": {"f:serin.dev/abort": {}}}}}]);
        assert_eq!(kept(json!([{"manager": "argocd"}, {"manager": "kubectl", "fieldsV1": wrote}])), expected);
    }

    #[test]
    fn that_serin_wrote_addresses_is_kept_and_that_another_did_is_not() {
        let wrote = |manager: &str| json!({"manager": manager, "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}});
        let expected = json!([{"manager": "serin", "fieldsV1": {"f:status": {"f:loadBalancer": {}}}}]);
        assert_eq!(kept(json!([wrote("nginx"), wrote("serin")])), expected);
    }

    #[test]
    fn who_wrote_other_things_or_wrote_them_in_no_known_form_is_not_kept() {
        let fields = [json!({"f:spec": {}}), json!({"f:metadata": {"f:annotations": {"f:team": {}}}}), json!({"f:metadata": 7}), json!([])];
        for fields in fields {
            assert_eq!(kept(json!([{"manager": "kubectl", "fieldsV1": fields}])), json!([]));
        }
    }
}
