//! `spec.hooks`, `workloads` and `drain`: valid or not, most of it is not served yet.

use super::report::Report;
use super::section;
use crate::spec::{DrainSpec, HookSpec, WorkloadsSpec};
use serde_json::Value;

/// Says what is wrong, and what is not served yet.
pub(super) fn check(spec: &Value, report: &mut Report) {
    if section::<Vec<HookSpec>>(spec, "hooks", report).is_some() {
        report.not_implemented("spec.hooks");
    }
    if let Some(workloads) = section::<WorkloadsSpec>(spec, "workloads", report) {
        for (given, field) in [(workloads.canary.is_some(), "spec.workloads.canary"), (workloads.stable.is_some(), "spec.workloads.stable")]
        {
            if given {
                report.not_implemented(field);
            }
        }
    }
    if let Some(drain) = section::<DrainSpec>(spec, "drain", report)
        && drain.on_promote.is_some_and(|streams| streams != "leave")
    {
        let message = "This version of serin leaves streams to stable alone after promotion. Set onPromote to leave, or use a version that ends them.";
        report.say(crate::reason::NOT_IMPLEMENTED, "spec.drain.onPromote", message);
    }
}
