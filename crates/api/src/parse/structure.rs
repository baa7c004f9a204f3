//! What a structural schema says about a value: the API server's checks, made from the very schema that it is given.
//!
//! Nulls count as absent, defaults are filled in and `10.0` is 10, as at the API server. An unknown field is said: `kubectl` refuses it too,
//! and a client without strict validation would lose it silently.

use super::report::{Report, last, meant};
use crate::schema::{crds, whole_number};
use crate::spec::words;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool};
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The schemas of specs by kind, and their patterns, compiled.
static SPECS: LazyLock<(HashMap<String, JSONSchemaProps>, HashMap<String, Regex>)> = LazyLock::new(|| {
    let (mut specs, mut patterns) = (HashMap::new(), HashMap::new());
    for crd in crds() {
        let mut schemas = crd.spec.versions.into_iter().filter_map(|version| version.schema?.open_api_v3_schema);
        if let Some(spec) = schemas.next().and_then(|mut root| root.properties.as_mut()?.remove("spec")) {
            compile(&spec, &mut patterns);
            specs.insert(crd.spec.names.kind, spec);
        }
    }
    (specs, patterns)
});

/// Checks the spec of a kind, fills in its defaults, and says what is wrong.
pub(super) fn check(kind: &str, spec: &mut Value, report: &mut Report) {
    let schema = SPECS.0.get(kind).expect("each kind that is parsed has a CRD");
    node(schema, spec, "spec", report);
}

fn compile(schema: &JSONSchemaProps, patterns: &mut HashMap<String, Regex>) {
    if let Some(pattern) = &schema.pattern
        && let Ok(regex) = Regex::new(pattern)
    {
        patterns.insert(pattern.clone(), regex);
    }
    for member in schema.properties.iter().flat_map(|members| members.values()) {
        compile(member, patterns);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        compile(items, patterns);
    }
}

fn node(schema: &JSONSchemaProps, value: &mut Value, field: &str, report: &mut Report) {
    if let Value::Number(number) = value
        && let Some(whole) = whole_number(number)
    {
        *value = whole.into();
    }
    if schema.x_kubernetes_int_or_string == Some(true) {
        let wanted = schema.pattern.as_deref().map_or_else(String::new, words);
        return scalar(schema, value, field, &wanted, report);
    }
    match (schema.type_.as_deref(), &mut *value) {
        (Some("object"), Value::Object(members)) => object(schema, members, field, report),
        (Some("array"), Value::Array(items)) => array(schema, items, field, report),
        (Some("boolean"), Value::Bool(_)) => {}
        (Some("string"), _) => {
            let wanted = schema.pattern.as_deref().map_or("a text; put it in quotes".to_owned(), words);
            scalar(schema, value, field, &wanted, report);
        }
        (Some("integer"), _) => scalar(schema, value, field, "a whole number", report),
        (Some(kind), value) => {
            let wanted = match kind {
                "object" => "an object with fields",
                "array" => "a list",
                _ => "true or false, without quotes",
            };
            let required = list(schema.required.iter().flatten().map(String::as_str));
            let is_cure = field == "spec" && !required.is_empty();
            let cure = if is_cure { format!(" Write at least {required} into it.") } else { String::new() };
            report.invalid(field, format!("{} is {}; it must be {wanted}.{cure}", last(field), shown(value)));
        }
        (None, _) => {}
    }
}

fn object(schema: &JSONSchemaProps, members: &mut Map<String, Value>, field: &str, report: &mut Report) {
    members.retain(|_, member| !member.is_null());
    let Some(properties) = &schema.properties else { return map(schema, members, field, report) };
    for (name, member) in properties {
        if let Some(default) = &member.default
            && !members.contains_key(name)
        {
            members.insert(name.clone(), default.0.clone());
        }
    }
    for name in schema.required.iter().flatten().filter(|name| !members.contains_key(*name)) {
        report.invalid(&format!("{field}.{name}"), format!("{name} is missing. Add it to {}.", last(field)));
    }
    for (name, member) in members {
        let path = format!("{field}.{name}");
        match properties.get(name) {
            Some(schema) => node(schema, member, &path, report),
            None => {
                let cure = match meant(name, properties.keys().map(String::as_str)) {
                    Some(like) => format!("Did you mean {like}?"),
                    None => format!("It has {}.", list(properties.keys().map(String::as_str))),
                };
                report.invalid(&path, format!("{} has no field {name}. {cure}", last(field)));
            }
        }
    }
}

/// An object whose names are free, such as labels.
fn map(schema: &JSONSchemaProps, members: &mut Map<String, Value>, field: &str, report: &mut Report) {
    bounds(members.len(), schema.min_properties, schema.max_properties, "entries", field, report);
    if let Some(JSONSchemaPropsOrBool::Schema(schema)) = &schema.additional_properties {
        for (name, member) in members {
            node(schema, member, &format!("{field}.{name}"), report);
        }
    }
}

fn array(schema: &JSONSchemaProps, items: &mut [Value], field: &str, report: &mut Report) {
    bounds(items.len(), schema.min_items, schema.max_items, "items", field, report);
    if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
        // A list that is far too long is not gone through.
        for (index, item) in items.iter_mut().enumerate().take(1024) {
            node(schema, item, &format!("{field}[{index}]"), report);
        }
    }
}

fn scalar(schema: &JSONSchemaProps, value: &Value, field: &str, wanted: &str, report: &mut Report) {
    let name = last(field);
    let takes_text = schema.x_kubernetes_int_or_string == Some(true) || schema.type_.as_deref() == Some("string");
    let takes_number = schema.x_kubernetes_int_or_string == Some(true) || schema.type_.as_deref() == Some("integer");
    match value {
        Value::String(text) if takes_text => self::text(schema, text, field, report),
        Value::Number(number) if takes_number && !number.is_f64() => {
            let at = number.as_i64().map_or(f64::MAX, |whole| whole as f64);
            if let Some(least) = schema.minimum.filter(|least| at < *least) {
                report.invalid(field, format!("{name} is {number}; the least is {least}."));
            }
            if let Some(most) = schema.maximum.filter(|most| at > *most) {
                report.invalid(field, format!("{name} is {number}; the most is {most}."));
            }
        }
        Value::Number(number) if takes_text && takes_number && fits(schema, &number.to_string()) => {
            report.invalid(field, format!("{name} is {number}, which is read as a floating-point number. Put it in quotes: \"{number}\"."));
        }
        _ => report.invalid(field, format!("{name} is {}; it must be {wanted}.", shown(value))),
    }
}

fn text(schema: &JSONSchemaProps, text: &str, field: &str, report: &mut Report) {
    let name = last(field);
    if let Some(words) = &schema.enum_ {
        let words = || words.iter().filter_map(|word| word.0.as_str());
        if !words().any(|word| word == text) {
            let like = meant(text, words()).map_or(String::new(), |like| format!(" Did you mean {like}?"));
            report.invalid(field, format!("{name} is {text:?}; it must be {}.{like}", one_of(words())));
        }
        return;
    }
    let before = report.0.len();
    bounds(text.chars().count(), schema.min_length, schema.max_length, "characters", field, report);
    if before == report.0.len()
        && let Some(pattern) = schema.pattern.as_ref().filter(|_| !fits(schema, text))
    {
        report.invalid(field, format!("{name} is {text:?}; it must be {}.", words(pattern)));
    }
}

/// Whether a text is of the pattern that a schema asks for.
fn fits(schema: &JSONSchemaProps, text: &str) -> bool {
    let regex = schema.pattern.as_ref().and_then(|pattern| SPECS.1.get(pattern));
    regex.is_none_or(|regex| regex.is_match(text))
}

fn bounds(count: usize, least: Option<i64>, most: Option<i64>, what: &str, field: &str, report: &mut Report) {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let name = last(field);
    if let Some(least) = least.filter(|least| count < *least) {
        match count {
            0 => report.invalid(field, format!("{name} is empty. Fill it, or leave it out.")),
            _ => report.invalid(field, format!("{name} has {count} {what}; the least is {least}.")),
        }
    }
    if let Some(most) = most.filter(|most| count > *most) {
        report.invalid(field, format!("{name} has {count} {what}; the most is {most}."));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > 64 => "a long text".to_owned(),
        scalar => scalar.to_string(),
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<_> = words.collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() { last.to_owned() } else { format!("{} or {last}", words.join(", ")) }
}
