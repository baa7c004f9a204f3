//! The Helm chart says what the binary says: its values are the options, its alerts and its dashboard read metrics that exist.

use crate::running::serin;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const VALUES: &str = include_str!("../../../../charts/serin/values.yaml");
const SCHEMA: &str = include_str!("../../../../charts/serin/values.schema.json");
const TEMPLATE: &str = include_str!("../../../../charts/serin/templates/_helpers.tpl");
const ALERTS: &str = include_str!("../../../../charts/serin/files/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../../charts/serin/files/dashboard.json");

/// Options that the chart itself decides: addresses have the ports of its Services, the namespace is where it is installed, replicas find each other by
/// its headless Service and show a token that it mounts.
const DECIDED: [&str; 6] = ["http", "https", "admin", "own-namespace", "peers-service", "peers-token"];
/// Values among the options that are none.
const NO_OPTIONS: [&str; 6] = ["log", "listen", "extraArgs", "extraEnv", "extraVolumes", "extraVolumeMounts"];

struct Option {
    environment: String,
    default: std::option::Option<String>,
}

/// What `serin controller --help` has, by name.
fn options() -> Result<BTreeMap<String, Option>> {
    let output = serin().args(["controller", "--help"]).output()?;
    let help = String::from_utf8(output.stdout)?;
    let between = |text: &str, before: &str| Some(text.split_once(before)?.1.split_once([']', '='])?.0.to_owned());
    let mut options = BTreeMap::new();
    for block in help.split("\n      --").skip(1) {
        let name = block.split([' ', '\n']).next().unwrap_or_default().to_owned();
        let environment = between(block, "[env: ").with_context(|| format!("--{name} is no environment variable"))?;
        options.insert(name, Option { environment, default: between(block, "[default: ") });
    }
    ensure!(options.len() > 10, "these are not all: {help}");
    Ok(options)
}

fn camel(name: &str) -> String {
    let mut words = name.split('-').map(str::to_owned);
    let first = words.next().unwrap_or_default();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

fn values() -> Result<Value> {
    Ok(serde_saphyr::from_str(VALUES)?)
}

#[test]
fn an_option_has_one_name_on_the_command_line_in_the_environment_and_in_the_chart() -> Result<()> {
    let values = values()?;
    for (name, option) in options()? {
        assert_eq!(option.environment, format!("SERIN_{}", name.replace('-', "_").to_uppercase()));
        if DECIDED.contains(&name.as_str()) {
            continue;
        }
        let value = values.get(camel(&name)).with_context(|| format!("values.yaml has no {}", camel(&name)))?;
        ensure!(TEMPLATE.contains(&format!("--{name}")), "the chart does not pass --{name} on");
        let given = match value {
            Value::Null | Value::Bool(false) => None,
            Value::Array(list) if list.is_empty() => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        assert_eq!(given, option.default.filter(|default| default != "false"), "the default of {name}");
    }
    Ok(())
}

#[test]
fn what_values_have_among_the_options_are_options() -> Result<()> {
    let names: BTreeSet<String> = options()?.keys().map(|name| camel(name)).collect();
    let section = VALUES.split_once("\n## Options of serin").and_then(|(_, rest)| rest.split_once("\n## ")).context("no such section")?.0;
    let keys = section.lines().filter(|line| !line.starts_with(['#', ' '])).filter_map(|line| line.split_once(':').map(|(key, _)| key));
    let others: Vec<&str> = keys.filter(|key| !names.contains(*key)).collect();
    assert_eq!(others, NO_OPTIONS);
    Ok(())
}

#[test]
fn the_schema_knows_every_value_and_no_other() -> Result<()> {
    fn agree(path: &str, values: &Value, schema: &Value) -> Result<()> {
        let (Some(values), Some(known)) = (values.as_object(), schema["properties"].as_object()) else { return Ok(()) };
        assert_eq!(schema["additionalProperties"], false, "{path} takes what is misspelt");
        let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
        let mut known_names = names(known);
        // Helm gives every chart the values of the chart around it, and a resource may have claims.
        known_names.retain(|name| values.contains_key(name) || !["global", "claims"].contains(&name.as_str()));
        assert_eq!(names(values), known_names, "{path}");
        values.iter().try_for_each(|(name, value)| agree(&format!("{path}.{name}"), value, &known[name]))
    }
    agree("", &values()?, &serde_json::from_str(SCHEMA)?)
}

#[test]
fn alerts_and_dashboard_read_metrics_that_exist() -> Result<()> {
    let metrics: BTreeMap<&str, &str> = include_str!("metrics.txt").lines().filter_map(|line| line.split_once(' ')).collect();
    let alerts: Value = serde_saphyr::from_str(ALERTS)?;
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let mut expressions = Vec::new();
    collect("expr", &alerts, &mut expressions);
    collect("expr", &dashboard, &mut expressions);
    collect("query", &dashboard, &mut expressions);
    ensure!(expressions.len() > 15, "{expressions:?}");
    let mut read = BTreeSet::new();
    for expression in &expressions {
        for word in expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("serin_")) {
            let known = metrics.contains_key(word)
                || ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|suffix| word.strip_suffix(suffix).is_some_and(|name| metrics.get(name) == Some(&"histogram")));
            ensure!(known, "there is no metric {word}: {expression}");
            read.insert(word);
        }
    }
    ensure!(read.len() > 10, "hardly any is read: {read:?}");
    Ok(())
}

fn collect<'a>(key: &str, value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| match value {
            Value::String(text) if name == key => texts.push(text),
            other => collect(key, other, texts),
        }),
        Value::Array(list) => list.iter().for_each(|value| collect(key, value, texts)),
        _ => {}
    }
}
