//! The string fields of a CustomResourceDefinition, and objects that have a text in one of them.

use regex::Regex;
use serde_json::{Map, Value, json};

/// A step from a value to one within it.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A member of an object.
    Member(String),
    /// An item of a list.
    Item,
    /// The value of a member that may have any name.
    Any,
    /// The name of such a member.
    Name,
}

/// The paths to all strings below this schema.
pub(super) fn strings(schema: &Value) -> Vec<Vec<Step>> {
    let below = |step: Step, schema: &Value| -> Vec<Vec<Step>> {
        strings(schema).into_iter().map(|rest| [vec![step.clone()], rest].concat()).collect()
    };
    let mut paths = Vec::new();
    if schema["type"] == "string" || schema["x-kubernetes-int-or-string"] == true {
        paths.push(Vec::new());
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        paths.extend(below(Step::Member(name.clone()), member));
    }
    if schema["items"].is_object() {
        paths.extend(below(Step::Item, &schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        paths.push(vec![Step::Name]);
        paths.extend(below(Step::Any, &schema["additionalProperties"]));
    }
    paths
}

/// A value with this text there, and beside it only what must be.
pub(super) fn with(schema: &Value, path: &[Step], text: &str) -> Value {
    let Some((step, rest)) = path.split_first() else { return text.into() };
    match step {
        Step::Item => json!([with(&schema["items"], rest, text)]),
        Step::Name => Value::Object(Map::from_iter([(text.to_owned(), least(&schema["additionalProperties"]))])),
        Step::Any => json!({"name": with(&schema["additionalProperties"], rest, text)}),
        Step::Member(name) => {
            let mut object = least(schema);
            object[name] = with(&schema["properties"][name], rest, text);
            object
        }
    }
}

/// The least that this schema lets through.
pub(super) fn least(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Value::Object(required.map(|name| (name.to_owned(), least(&schema["properties"][name]))).collect())
        }
        Some("array") if schema["minItems"].as_u64().unwrap_or_default() > 0 => json!([least(&schema["items"])]),
        Some("array") => json!([]),
        Some("boolean") => json!(false),
        Some("integer") => schema["minimum"].as_i64().unwrap_or(1).into(),
        _ => {
            let fits = |text: &&str| schema["pattern"].as_str().and_then(|p| Regex::new(p).ok()).is_none_or(|p| p.is_match(text));
            ["a", "1", "1m", "09:00", "2026-01-01T00:00:00Z", "http://a", "/a"].into_iter().find(fits).unwrap_or("a").into()
        }
    }
}

/// How a person would write it.
pub(super) fn text(path: &[Step]) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Member(name) => format!(".{name}"),
        Step::Item => "[]".to_owned(),
        Step::Any => ".*".to_owned(),
        Step::Name => ".*?".to_owned(),
    });
    steps.collect()
}
