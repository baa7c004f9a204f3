//! The API of serin, `serin.dev/v1alpha1`: the types that the CRDs are generated from, and their parser into valid types.

pub mod finding;
pub mod identity;
pub mod release;
pub mod schema;
pub mod spec;
pub mod status;

pub use finding::{Condition, Finding};
pub use release::Release;
pub use schema::{crd_files, crd_yaml, crds};
pub use spec::{CanaryRelease, CanaryReleaseSpec};
pub use status::CanaryReleaseStatus;
