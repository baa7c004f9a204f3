//! Deployments and StatefulSets: which revision one has, whether that is rolled out, and which images it runs. Known only where a release
//! names one.

use crate::backends::Backends;
use crate::declared::Sides;
use crate::need::{Need, Needed};
use crate::{Key, Objects};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serin_api::release::{self, WorkloadKind};
use serin_api::{Condition, Finding, reason};
use std::collections::BTreeMap;

/// Where the controller of Deployments writes the revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What is kept of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    uid: String,
    /// `None` before its controller has looked at it.
    revision: Option<String>,
    rolled_out: bool,
    /// By name of the container.
    pub(crate) images: BTreeMap<String, String>,
}

impl Workload {
    pub(crate) fn of_deployment(deployment: Deployment) -> Self {
        let spec = deployment.spec.unwrap_or_default();
        let status = deployment.status.unwrap_or_default();
        let (wanted, updated) = (spec.replicas.unwrap_or(1), status.updated_replicas.unwrap_or(0));
        // As `kubectl rollout status` has it: all pods are new, none is left of the old ones, and the new ones are available.
        let rolled_out = status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
            && updated >= wanted
            && status.replicas.unwrap_or(0) <= updated
            && status.available_replicas.unwrap_or(0) >= updated;
        Self {
            uid: deployment.metadata.uid.unwrap_or_default(),
            revision: deployment.metadata.annotations.unwrap_or_default().remove(REVISION),
            rolled_out,
            images: images(spec.template),
        }
    }

    pub(crate) fn of_stateful_set(set: StatefulSet) -> Self {
        let spec = set.spec.unwrap_or_default();
        let status = set.status.unwrap_or_default();
        let wanted = spec.replicas.unwrap_or(1);
        // With a partition some pods are never updated, and the rollout is not complete.
        let rolled_out = status.observed_generation.unwrap_or(0) >= set.metadata.generation.unwrap_or(0)
            && status.updated_replicas.unwrap_or(0) >= wanted
            && status.available_replicas.unwrap_or(0) >= wanted;
        Self {
            uid: set.metadata.uid.unwrap_or_default(),
            revision: status.update_revision.filter(|revision| !revision.is_empty()),
            rolled_out,
            images: images(spec.template),
        }
    }

    /// `UID/REVISION`, as identities have it.
    pub(crate) fn observed(&self) -> Option<String> {
        self.revision.as_ref().map(|revision| format!("{}/{revision}", self.uid))
    }
}

fn images(template: PodTemplateSpec) -> BTreeMap<String, String> {
    let containers = template.spec.into_iter().flat_map(|spec| spec.containers);
    containers.map(|container| (container.name, container.image.unwrap_or_default())).collect()
}

impl Objects {
    /// A workload that a release of this namespace names; `None` when it does not exist, or was not seen yet.
    pub(crate) fn workload(&self, namespace: &str, named: &release::Workload) -> Option<&Workload> {
        let shelf = match named.kind {
            WorkloadKind::Deployment => &self.deployments,
            WorkloadKind::StatefulSet => &self.stateful_sets,
        };
        shelf.get(&Key::new(namespace, &*named.name)).map(AsRef::as_ref)
    }
}

impl Backends<'_> {
    /// Why step 1 must not start yet: the canary workload is not rolled out, or was not seen (a sentence). `None` when it may.
    pub(crate) fn rolling(&self, sides: Sides<'_>) -> Option<String> {
        let Some(workloads) = sides.workloads else { return Some("spec.workloads cannot be read.".to_owned()) };
        let named = workloads.canary.as_ref()?;
        let rolled_out = self.objects.workload(sides.namespace, named).is_some_and(|seen| seen.rolled_out && seen.revision.is_some());
        (!rolled_out).then(|| format!("{} {}/{} is not rolled out.", named.kind, sides.namespace, named.name))
    }

    /// Whether stable's workload has rolled out the images of the canary's, by name of the container (S10).
    pub(crate) fn runs_the_canary(&self, sides: Sides<'_>) -> bool {
        let Some((canary, stable)) = self.both(sides) else { return false };
        let stable = self.objects.workload(sides.namespace, stable).filter(|stable| stable.rolled_out);
        stable.is_some_and(|stable| canary.images.iter().all(|(name, image)| stable.images.get(name) == Some(image)))
    }

    /// The images that stable's workload is to have, when a release names both workloads.
    pub(crate) fn wanted<'s>(&self, sides: Sides<'s>) -> Option<(&'s release::Workload, &BTreeMap<String, String>)> {
        let (canary, stable) = self.both(sides)?;
        Some((stable, &canary.images))
    }

    fn both<'s>(&self, sides: Sides<'s>) -> Option<(&Workload, &'s release::Workload)> {
        let workloads = sides.workloads?;
        let canary = self.objects.workload(sides.namespace, workloads.canary.as_ref()?)?;
        // Without containers there is nothing to compare, and nothing that was rolled out.
        Some((canary, workloads.stable.as_ref()?)).filter(|(canary, _)| !canary.images.is_empty())
    }

    /// The workloads that a release names and that do not exist.
    pub(crate) fn missing_workloads(&self, sides: Sides<'_>) -> Vec<Finding> {
        let Some(workloads) = sides.workloads else { return Vec::new() };
        let named = [(&workloads.canary, "spec.workloads.canary"), (&workloads.stable, "spec.workloads.stable")];
        let named = named.into_iter().filter_map(|(workload, field)| Some((workload.as_ref()?, field)));
        let missing = named.filter(|(workload, _)| {
            let need = Need { kind: Needed::of(workload.kind), namespace: sides.namespace.to_owned() };
            let is_listed = self.standalone || self.objects.known.contains(&need);
            is_listed && self.objects.workload(sides.namespace, workload).is_none()
        });
        let finding = |(workload, field): (&release::Workload, &str)| Finding {
            condition: Condition::ResolvedRefs,
            reason: reason::WORKLOAD_NOT_FOUND,
            field: field.to_owned(),
            message: format!(
                "{} {}/{} does not exist, or serin may not read it. What is served stays, and nothing rises.",
                workload.kind, sides.namespace, workload.name
            ),
        };
        missing.map(finding).collect()
    }
}
