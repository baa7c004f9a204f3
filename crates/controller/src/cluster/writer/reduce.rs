//! A status without the fields that a schema does not have: pure.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The status as the API server takes it, and what was left out. Without a schema it is whole. A null is never sent: it says what
/// leaving out says, but a schema that is not nullable refuses it.
pub(super) fn reduce(status: &Value, schema: Option<&Value>) -> (Value, Vec<String>) {
    let mut cut = BTreeSet::new();
    let reduced = part(status, schema, "status", &mut cut);
    (reduced, cut.into_iter().collect())
}

fn part(value: &Value, schema: Option<&Value>, path: &str, cut: &mut BTreeSet<String>) -> Value {
    match value {
        Value::Object(members) => Value::Object(object(members, schema, path, cut)),
        Value::Array(items) => {
            let schema = schema.and_then(|schema| schema.get("items"));
            let path = format!("{path}[]");
            Value::Array(items.iter().map(|item| part(item, schema, &path, cut)).collect())
        }
        scalar => scalar.clone(),
    }
}

fn object(members: &Map<String, Value>, schema: Option<&Value>, path: &str, cut: &mut BTreeSet<String>) -> Map<String, Value> {
    let mut reduced = Map::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let path = format!("{path}.{name}");
        match schema.map_or(Member::Free, |schema| member(schema, name)) {
            Member::Free => drop(reduced.insert(name.clone(), part(value, None, &path, cut))),
            Member::Of(schema) => drop(reduced.insert(name.clone(), part(value, Some(schema), &path, cut))),
            Member::Unknown => drop(cut.insert(path)),
        }
    }
    reduced
}

/// What a schema says about one member of an object.
enum Member<'a> {
    /// It has this schema.
    Of(&'a Value),
    /// It may be anything.
    Free,
    /// There is none of this name.
    Unknown,
}

fn member<'a>(schema: &'a Value, name: &str) -> Member<'a> {
    if let Some(known) = schema.get("properties").and_then(|properties| properties.get(name)) {
        return Member::Of(known);
    }
    // Schemas of CRDs are served without references (but metadata's), so one here is of a form that serin does not know.
    let is_free = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) || schema.get("$ref").is_some();
    match schema.get("additionalProperties") {
        Some(Value::Bool(true)) => Member::Free,
        Some(known @ Value::Object(_)) => Member::Of(known),
        _ if is_free => Member::Free,
        _ => Member::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(status: Value, schema: Value, reduced: Value, cut: &[&str]) {
        let (value, paths) = reduce(&status, Some(&schema));
        assert_eq!(value, reduced);
        assert_eq!(paths, cut);
    }

    #[test]
    fn what_the_schema_has_stays() {
        let schema = json!({"type": "object", "properties": {"phase": {"type": "string"}, "weight": {"x-kubernetes-int-or-string": true}}});
        check(json!({"phase": "Paused", "weight": 5}), schema, json!({"phase": "Paused", "weight": 5}), &[]);
    }

    #[test]
    fn what_it_does_not_have_is_cut_and_named_at_every_depth() {
        let line = json!({"type": "object", "properties": {"from": {"type": "integer"}}});
        let schema = json!({"properties": {"traffic": line, "checks": {"type": "array", "items": line}}});
        check(
            json!({"traffic": {"from": 1, "to": 2}, "checks": [{"from": 1, "to": 2}, {"to": 3}], "new": {"a": 1}}),
            schema,
            json!({"traffic": {"from": 1}, "checks": [{"from": 1}, {}]}),
            &["status.checks[].to", "status.new", "status.traffic.to"],
        );
    }

    #[test]
    fn maps_and_free_objects_keep_any_name() {
        let schema = json!({"properties": {
            "fallbacks": {"additionalProperties": {"properties": {"count": {}}}},
            "labels": {"additionalProperties": true},
            "edit": {"x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"properties": {}}}},
        }});
        check(
            json!({"fallbacks": {"ClientIP": {"count": 1, "new": 2}}, "labels": {"a": {"b": 1}}, "edit": {"any": {"x": 1}, "known": {"y": 2}}}),
            schema,
            json!({"fallbacks": {"ClientIP": {"count": 1}}, "labels": {"a": {"b": 1}}, "edit": {"any": {"x": 1}, "known": {}}}),
            &["status.edit.known.y", "status.fallbacks.ClientIP.new"],
        );
    }

    #[test]
    fn nulls_are_left_out_and_no_finding() {
        check(json!({"phase": null, "new": null}), json!({"properties": {"phase": {}}}), json!({}), &[]);
        assert_eq!(reduce(&json!({"a": {"b": null, "c": [{"d": null}]}}), None), (json!({"a": {"c": [{}]}}), vec![]));
    }

    #[test]
    fn a_value_of_another_type_than_the_schemas_is_the_api_servers_to_refuse() {
        let schema = json!({"properties": {"phase": {"type": "string"}, "list": {"type": "array"}}});
        check(json!({"phase": ["a"], "list": "b"}), schema, json!({"phase": ["a"], "list": "b"}), &[]);
    }
}
