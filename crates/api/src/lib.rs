//! The API of serin, `serin.dev/v1alpha1`: the types that the CRDs are generated from, and their parser into valid types.

pub mod finding;
pub mod identity;
pub mod parse;
pub mod reason;
pub mod release;
pub mod schema;
pub mod spec;
pub mod status;

pub use finding::{Condition, Finding};
pub use parse::{Parsed, parse, parse_value};
pub use release::Release;
pub use schema::{crd_files, crd_yaml, crds};
pub use spec::{CanaryRelease, CanaryReleaseSpec};
pub use status::CanaryReleaseStatus;

/// Objects and the verdicts on them, as YAML: the parser, the CEL rules and a real API server are held to the same list.
///
/// Only tests read it; its head says what the fields mean.
#[doc(hidden)]
pub const CASES: &str = include_str!("../tests/cases.yaml");
