//! A BackendPolicy whose spec was parsed.

/// How a Service is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The Service, of the policy's namespace.
    pub service: String,
    /// What is put before the path of each request.
    pub path: Option<String>,
}
