//! What the chart renders, as objects.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
pub(crate) use serin_testkit::helm::{CHART, Helm, NAMESPACE};

/// The objects with these values, which are YAML.
pub(crate) fn objects(helm: &Helm, values: &str) -> Result<Vec<Value>> {
    let text = helm.template(values)?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| format!("{}: {text}", helm.name))?;
    ensure!(!objects.is_empty(), "{} renders nothing", helm.name);
    Ok(objects)
}
