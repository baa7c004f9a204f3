//! The API of serin, `serin.dev/v1alpha1`: the types that the CRDs are generated from, and their parser into valid types.

pub mod backend;
pub mod finding;
pub mod identity;
pub mod parse;
pub mod reason;
pub mod release;
pub mod schema;
pub mod spec;
pub mod status;

pub use finding::{Condition, Finding};
pub use parse::{Parsed, ParsedPolicy, findings, parse, parse_backend_policy, parse_value};
pub use release::Release;
pub use schema::{crd_files, crd_yaml, crds};
pub use spec::{BackendPolicy, BackendPolicySpec, CanaryRelease, CanaryReleaseSpec};
pub use status::{CanaryReleaseStatus, ConditionsStatus};

/// Objects of each kind and the verdicts on them, as YAML: the parser, the CEL rules and a real API server are held to the same lists.
///
/// Only tests read them; the head of the first says what the fields mean.
#[doc(hidden)]
pub const CASES: &[(&str, &str)] =
    &[("CanaryRelease", include_str!("../tests/cases.yaml")), ("BackendPolicy", include_str!("../tests/cases/backend-policies.yaml"))];
