//! The API of serin, `serin.dev/v1alpha1`: the types that the CRDs are generated from, and their parser into valid types.

pub mod auth;
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
pub use parse::{
    Parsed, ParsedAuthPolicy, ParsedConsumer, ParsedPolicy, findings, parse, parse_auth_policy, parse_backend_policy, parse_consumer,
    parse_value,
};
pub use release::Release;
pub use schema::{crd_files, crd_yaml, crds};
pub use spec::{AuthPolicy, AuthPolicySpec, BackendPolicy, BackendPolicySpec, CanaryRelease, CanaryReleaseSpec, Consumer, ConsumerSpec};
pub use status::{AuthPolicyStatus, CanaryReleaseStatus, ConditionsStatus, ConsumerStatus};

/// Objects of each kind and the verdicts on them, as YAML: the parser, the CEL rules and a real API server are held to the same lists.
///
/// Only tests read them; the head of the first says what the fields mean.
#[doc(hidden)]
pub const CASES: &[(&str, &str)] = &[
    ("CanaryRelease", include_str!("../tests/cases.yaml")),
    ("AuthPolicy", include_str!("../tests/cases/auth-policies.yaml")),
    ("BackendPolicy", include_str!("../tests/cases/backend-policies.yaml")),
    ("Consumer", include_str!("../tests/cases/consumers.yaml")),
];
