//! `spec.hooks`, `schedule`, `workloads` and `drain`: valid or not, most of it is not served yet.

use super::report::Report;
use super::section;
use crate::spec::{DrainSpec, HookSpec, ScheduleSpec, WorkloadsSpec};
use serde_json::Value;

/// Says what is wrong, and what is not served yet.
pub(super) fn check(spec: &Value, report: &mut Report) {
    if section::<Vec<HookSpec>>(spec, "hooks", report).is_some() {
        report.not_implemented("spec.hooks");
    }
    if let Some(schedule) = section::<ScheduleSpec>(spec, "schedule", report) {
        for (index, window) in schedule.windows.iter().flatten().enumerate() {
            if window.from == window.to {
                let message = format!("The window begins and ends at {}. Make from and to differ.", window.from);
                report.invalid(&format!("spec.schedule.windows[{index}]"), message);
            }
        }
        if schedule.windows.is_some() && report.is_clean("spec.schedule.windows") {
            report.not_implemented("spec.schedule.windows");
        }
        if schedule.frozen == Some(true) {
            report.not_implemented("spec.schedule.frozen");
        }
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
