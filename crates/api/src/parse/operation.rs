//! `spec.hooks`, `workloads` and `drain`: what surrounds a release. Not all of it is served yet.

use super::report::Report;
use super::section;
use crate::release::{Workload, WorkloadKind, Workloads};
use crate::spec::{self, DrainSpec, HookSpec, WorkloadRef, WorkloadsSpec};
use serde_json::Value;

/// Says what is wrong, and what is not served yet.
pub(super) fn check(spec: &Value, report: &mut Report) {
    if section::<Vec<HookSpec>>(spec, "hooks", report).is_some() {
        report.not_implemented("spec.hooks");
    }
    if let Some(drain) = section::<DrainSpec>(spec, "drain", report)
        && drain.on_promote.is_some_and(|streams| streams != "leave")
    {
        let message = "This version of serin leaves streams to stable alone after promotion. Set onPromote to leave, or use a version that ends them.";
        report.say(crate::reason::NOT_IMPLEMENTED, "spec.drain.onPromote", message);
    }
}

/// The workloads that are followed; `None` when that cannot be read.
pub(super) fn workloads(spec: &Value, report: &mut Report) -> Option<Workloads> {
    if spec.get("workloads").is_none() {
        return Some(Workloads::default());
    }
    let WorkloadsSpec { canary, stable } = section(spec, "workloads", report)?;
    Some(Workloads { canary: canary.map(workload), stable: stable.map(workload) })
}

fn workload(WorkloadRef { kind, name }: WorkloadRef) -> Workload {
    let kind = match kind {
        spec::WorkloadKind::Deployment => WorkloadKind::Deployment,
        spec::WorkloadKind::StatefulSet => WorkloadKind::StatefulSet,
    };
    Workload { kind, name }
}
