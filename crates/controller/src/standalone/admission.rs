//! What an API server would refuse, for the kinds that serin reads.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_api::{Condition, Finding, reason};

/// Everything that is wrong with an object: with a kind of serin's all that its own content shows, with another kind its shape.
pub fn findings(kind: &str, object: &Value) -> Vec<Finding> {
    let unnamed = unnamed(object);
    let content = match kind {
        "Service" => shape::<Service>(object),
        "Pod" => shape::<Pod>(object),
        "Secret" => secret(object),
        "Deployment" => shape::<Deployment>(object),
        "StatefulSet" => shape::<StatefulSet>(object),
        "EndpointSlice" => shape::<EndpointSlice>(object),
        "Ingress" => shape::<Ingress>(object),
        "IngressClass" => shape::<IngressClass>(object),
        ours => serin_api::findings(ours, object).unwrap_or_default(),
    };
    unnamed.into_iter().chain(content).collect()
}

/// Why an API server has no object of this name and namespace: names stand in addresses, logs and metrics.
pub(super) fn unnamed(object: &Value) -> Option<Finding> {
    let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let is_label = |label: &str| {
        let ends = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && ends && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let (name, namespace) = (of("name"), of("namespace"));
    let (field, longest) = if name.len() > 253 || !name.split('.').all(is_label) {
        ("metadata.name", 253)
    } else if namespace.len() > 63 || !(namespace.is_empty() || is_label(namespace)) {
        ("metadata.namespace", 63)
    } else {
        return None;
    };
    let message =
        format!("It is made of lower case letters, digits and -, begins and ends with none of -, and has at most {longest} bytes.");
    Some(Finding { condition: Condition::Accepted, reason: reason::INVALID_SPEC, field: field.to_owned(), message })
}

/// Why an API server would not store it; empty when it would.
pub(super) fn refusals(kind: &str, object: &Value) -> Vec<Finding> {
    findings(kind, object).into_iter().filter(|finding| finding.reason == reason::INVALID_SPEC).collect()
}

/// As [`shape`], but in words that have nothing of the value.
fn secret(object: &Value) -> Vec<Finding> {
    let mut findings = shape::<Secret>(object);
    for finding in findings.iter_mut().filter(|finding| finding.field != "apiVersion") {
        finding.message = "It must be a text; put it in quotes. What is in data must be base64 too.".to_owned();
    }
    findings
}

/// The first field that is not what its kind has there.
fn shape<K: DeserializeOwned>(object: &Value) -> Vec<Finding> {
    let Err(error) = serde_path_to_error::deserialize::<_, K>(object) else { return Vec::new() };
    let field = match error.path().to_string() {
        // What is wrong with the whole is that it is another kind.
        path if path == "." => "apiVersion".to_owned(),
        path => path,
    };
    let message = format!("{}.", error.inner());
    vec![Finding { condition: Condition::Accepted, reason: reason::INVALID_SPEC, field, message }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_no_object_can_have_is_found() {
        let field = |name: &str, namespace: &str| unnamed(&json!({"metadata": {"name": name, "namespace": namespace}})).map(|f| f.field);
        for name in ["a", "checkout-v2", "a.b-c.d", "0", &"a".repeat(253)] {
            assert_eq!(field(name, ""), None, "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "a\nb", "a b", "é", &"a".repeat(254)] {
            assert_eq!(field(name, "shop").as_deref(), Some("metadata.name"), "{name}");
        }
        for namespace in ["a.b", "A", "a/b", &"a".repeat(64)] {
            assert_eq!(field("a", namespace).as_deref(), Some("metadata.namespace"), "{namespace}");
        }
    }

    #[test]
    fn a_wrong_type_is_found_with_its_field() {
        let path = json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": "http"}}}});
        let told_of = |kind: &str, version: &str, spec: Value| {
            let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": spec});
            findings(kind, &object).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        for (kind, version, spec, told) in [
            (
                "Ingress",
                "networking.k8s.io/v1",
                json!({"rules": [{"http": {"paths": [path]}}]}),
                "spec.rules[0].http.paths[0].backend.service.port.number: invalid type: string \"http\", expected i32.",
            ),
            ("Service", "v1", json!({"ports": 80}), "spec.ports: invalid type: integer `80`, expected a sequence."),
            ("Service", "v2", json!({}), "apiVersion: invalid value: string \"v2\", expected v1."),
            ("DaemonSet", "apps/v1", json!(7), ""),
        ] {
            assert_eq!(told_of(kind, version, spec), told, "{kind}");
        }
    }

    #[test]
    fn of_a_secret_that_is_refused_no_value_is_told() {
        for (member, values) in [("stringData", json!({"key": 4711})), ("data", json!({"key": "s3cret!"})), ("data", json!(4711))] {
            let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
            object[member] = values;
            let told = findings("Secret", &object).remove(0).to_string();
            assert!(told.starts_with(member) && !told.contains("4711") && !told.contains("s3cret"), "{told}");
        }
    }
}
