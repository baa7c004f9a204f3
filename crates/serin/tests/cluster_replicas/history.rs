//! Every version of a release, as a watch of the API server tells them.

use anyhow::Result;
use serde_json::{Deserializer, Value};
use serin_testkit::process::Process;

/// `kubectl get --watch` in the background.
pub(crate) struct History {
    process: Process,
}

impl History {
    pub(crate) fn new(process: Process) -> Self {
        Self { process }
    }

    /// All versions until now, oldest first.
    pub(crate) fn versions(&self) -> Vec<Value> {
        // What kubectl has not printed to its end yet is no version.
        Deserializer::from_str(&self.process.log()).into_iter().map_while(Result::ok).collect()
    }

    /// The statuses in which something was decided, oldest first.
    pub(crate) fn statuses(&self) -> Vec<Value> {
        let mut statuses: Vec<Value> = self.versions().into_iter().map(|version| version["status"].clone()).collect();
        statuses.dedup();
        statuses
    }
}

/// Number of buckets at the end of the line that a status lays.
pub(crate) fn to(status: &Value) -> u64 {
    status.pointer("/traffic/to").and_then(Value::as_u64).unwrap_or(0)
}

/// The condition of this type, as `True/Reason`.
pub(crate) fn condition(status: &Value, of: &str) -> String {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == of);
    let text = |field: &str| found.and_then(|condition| condition[field].as_str()).unwrap_or("-").to_owned();
    format!("{}/{}", text("status"), text("reason"))
}
