//! A BackendPolicy.

use super::report::Report;
use super::{Metadata, section, structure};
use crate::backend::Policy;
use crate::finding::Finding;
use serde_json::Value;

/// What a BackendPolicy says.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedPolicy {
    /// Whose spec it is.
    pub metadata: Metadata,
    /// The policy, if its spec is accepted: then there are no findings.
    pub policy: Option<Policy>,
    /// What is not as it should be; each makes Accepted False.
    pub findings: Vec<Finding>,
}

/// Parses an object of any shape.
pub fn parse_backend_policy(object: &Value) -> ParsedPolicy {
    let mut report = Report::default();
    let mut spec = object["spec"].clone();
    structure::check("BackendPolicy", &mut spec, &mut report);
    let service = section(&spec, "service", &mut report);
    let path = section(&spec, "path", &mut report);
    let policy = service.filter(|_| report.0.is_empty()).map(|service| Policy { service, path });
    ParsedPolicy { metadata: Metadata::read(&object["metadata"]), policy, findings: report.0 }
}
