//! From objects as they are written to valid types, with a finding for everything that is not as it should be.
//!
//! All rules of the schema and its CEL rules are enforced here again: offline, in standalone mode, and for objects that were stored past the
//! schema. Some rules are beyond CEL and are only here: falling steps, shares below one bucket, expressions that do not compile, and what
//! this version does not serve yet.

mod analysis;
mod auth_policy;
mod backend_policy;
mod canary;
mod consumer;
mod operation;
mod overrides;
mod quantity;
mod report;
mod schedule;
mod scope;
mod split;
mod strategy;
mod structure;

use crate::finding::Finding;
use crate::identity::Identity;
use crate::release::{Canary, Override, Release, Scope, Split, Workloads};
use crate::spec::CanaryRelease;
pub use auth_policy::{ParsedAuthPolicy, parse_auth_policy};
pub use backend_policy::{ParsedPolicy, parse_backend_policy};
pub use consumer::{ParsedConsumer, parse_consumer};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
pub use quantity::percent_of_text;
use report::Report;
use serde::de::DeserializeOwned;
use serde_json::Value;
pub(crate) use split::BUCKETS;

/// What an object says.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Whose spec it is.
    pub metadata: Metadata,
    /// The release, if its spec is accepted: then there are no findings.
    pub release: Option<Release>,
    /// What is not as it should be; each makes Accepted False. What the schema says comes first.
    pub findings: Vec<Finding>,
    /// Whether the release decides anything; true when the field cannot be read.
    pub enabled: bool,
    /// The scope, if it can be served, also of a spec that is not accepted.
    pub scope: Option<Scope>,
    /// The canary, if it can be served, also of a spec that is not accepted.
    pub canary: Option<Canary>,
    /// The split, if it can be served, also of a spec that is not accepted.
    pub split: Option<Split>,
    /// The overrides that can be served: after a bad edit of a release under way they stay in force.
    pub overrides: Vec<Override>,
    /// The workloads that are followed; `None` when that cannot be read: then what was observed last counts.
    pub workloads: Option<Workloads>,
    identity: Option<Identity>,
}

/// Whose spec it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.generation`.
    pub generation: i64,
}

/// Parses an object that the API server gave.
pub fn parse(object: &CanaryRelease) -> Parsed {
    // The only maps of a spec have text as keys, so it always is JSON.
    of(Metadata::of(&object.metadata), serde_json::to_value(&object.spec).unwrap_or_default())
}

/// Parses an object of any shape: one from a file, or one that was stored past the schema. Unlike [`parse()`] it sees unknown fields.
pub fn parse_value(object: &Value) -> Parsed {
    of(Metadata::read(&object["metadata"]), object["spec"].clone())
}

fn of(metadata: Metadata, mut spec: Value) -> Parsed {
    let mut report = Report::default();
    structure::check("CanaryRelease", &mut spec, &mut report);
    let enabled = spec["enabled"].as_bool().unwrap_or(true);

    let scope = section(&spec, "scope", &mut report).and_then(|raw| scope::parse(&raw, &mut report));
    let canary = section(&spec, "canary", &mut report).and_then(|raw| canary::parse(raw, &mut report));
    if let (Some(scope), Some(canary)) = (&scope, &canary) {
        canary::is_another_backend(scope, canary, &mut report);
        canary::is_within_its_namespace(scope, canary, &mut report);
    }
    let revision = section::<String>(&spec, "revision", &mut report);
    let strategy = section(&spec, "strategy", &mut report).and_then(|raw| strategy::parse(&raw, &mut report));
    let split = section(&spec, "split", &mut report)
        .and_then(|raw| split::parse(raw, &metadata, revision.as_deref(), strategy.as_ref(), &mut report));
    let overrides = overrides::parse(&spec["overrides"], &mut report);
    if let (Some(strategy), Some(split)) = (&strategy, &split) {
        strategy::reaches_a_bucket(strategy, split.buckets, &mut report);
    }
    let analysis = section(&spec, "analysis", &mut report).and_then(|raw| analysis::parse(&raw, &mut report));
    let schedule = section(&spec, "schedule", &mut report).map(|raw| schedule::parse(&raw, &mut report)).unwrap_or_default();
    operation::check(&spec, &mut report);
    let workloads = operation::workloads(&spec, &mut report);

    let revision_is_known = report.is_clean("spec.revision");
    let identity = match (&scope, &canary, &split) {
        (Some(scope), Some(canary), Some(split)) if revision_is_known => {
            Some(Identity::of(&metadata.key(), scope, canary, split, revision.as_deref()))
        }
        _ => None,
    };
    let span = |name: &str| quantity::duration(spec.pointer(name).and_then(Value::as_str).unwrap_or_default());
    let release = match (&scope, &canary, &split, strategy, span("/progressDeadline"), span("/drain/onAbort")) {
        (Some(scope), Some(canary), Some(split), Some(strategy), Some(progress_deadline), Some(drain_on_abort)) if report.0.is_empty() => {
            Some(Release {
                namespace: metadata.namespace.clone(),
                name: metadata.name.clone(),
                uid: metadata.uid.clone(),
                created: metadata.created,
                generation: metadata.generation,
                enabled,
                scope: scope.clone(),
                canary: canary.clone(),
                split: split.clone(),
                overrides: overrides.clone(),
                strategy,
                analysis,
                schedule,
                revision,
                progress_deadline,
                paused: spec["paused"].as_bool().unwrap_or(false),
                drain_on_abort,
            })
        }
        _ => None,
    };
    Parsed { metadata, release, findings: report.0, enabled, scope, canary, split, overrides, workloads, identity }
}

impl Parsed {
    /// The identity of the release, if scope, canary, split and revision can be read; also of a spec that is not accepted.
    ///
    /// `observed` is what is seen of the canary workload ([`Identity::id`]), absent without one.
    pub fn id(&self, observed: Option<&str>) -> Option<String> {
        self.identity.as_ref().map(|identity| identity.id(observed))
    }

    /// The same with the salt that an observed revision gives, in a split that names none; `fixed` is the one that a release under way
    /// has already.
    pub fn with_observed(mut self, observed: Option<&str>, fixed: Option<&str>) -> Self {
        if let Some(salt) = self.identity.as_ref().and_then(|identity| identity.observed_salt(observed)) {
            let salt = fixed.map_or(salt, str::to_owned);
            for split in self.split.iter_mut().chain(self.release.as_mut().map(|release| &mut release.split)) {
                split.salt.clone_from(&salt);
            }
        }
        self
    }
}

impl Metadata {
    fn of(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            generation: metadata.generation.unwrap_or(0),
        }
    }

    fn read(metadata: &Value) -> Self {
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        Self {
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
            created: metadata["creationTimestamp"].as_str().and_then(|text| text.parse().ok()),
            generation: metadata["generation"].as_i64().unwrap_or(0),
        }
    }

    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// All that is wrong with the own content of an object of a kind of serin's; `None` for other kinds.
pub fn findings(kind: &str, object: &Value) -> Option<Vec<Finding>> {
    match kind {
        "CanaryRelease" => Some(parse_value(object).findings),
        "AuthPolicy" => Some(parse_auth_policy(object).findings),
        "BackendPolicy" => Some(parse_backend_policy(object).findings),
        "Consumer" => Some(parse_consumer(object).findings),
        _ => None,
    }
}

/// A member of the spec that is there and of its shape.
fn section<T: DeserializeOwned>(spec: &Value, name: &str, report: &mut Report) -> Option<T> {
    let field = format!("spec.{name}");
    let value = spec.get(name).filter(|_| report.is_clean(&field))?;
    let read = T::deserialize(value);
    // The schema is made from these types, so what it lets through they take.
    read.map_err(|error| report.invalid(&field, format!("{name} cannot be read: {error}."))).ok()
}

/// A span of time that the schema has let through.
fn span(text: Option<&str>) -> SignedDuration {
    text.and_then(quantity::duration).unwrap_or(SignedDuration::ZERO)
}
