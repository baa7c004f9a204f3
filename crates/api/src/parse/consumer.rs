//! `spec` of a Consumer.

use super::report::Report;
use super::{Metadata, structure};
use crate::auth::{Credential, Profile, SecretKey};
use crate::finding::Finding;
use crate::spec::{ConsumerSpec, CredentialSpec};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a Consumer says.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedConsumer {
    /// Whose spec it is.
    pub metadata: Metadata,
    /// The spec, if it is accepted: then there are no findings.
    pub profile: Option<Profile>,
    /// What is not as it should be; each makes Accepted False.
    pub findings: Vec<Finding>,
}

/// Parses a Consumer of any shape.
pub fn parse_consumer(object: &Value) -> ParsedConsumer {
    let (metadata, mut report) = (Metadata::read(&object["metadata"]), Report::default());
    // A consumer without a spec is its name.
    let mut spec = Some(object["spec"].clone()).filter(|spec| !spec.is_null()).unwrap_or_else(|| json!({}));
    structure::check("Consumer", &mut spec, &mut report);
    let profile = report.0.is_empty().then(|| ConsumerSpec::deserialize(&spec));
    let profile = match profile {
        Some(Ok(spec)) => Some(self::profile(spec, &metadata, &mut report)),
        // The schema is made from these types, so what it lets through they take.
        Some(Err(error)) => {
            report.invalid("spec", format!("spec cannot be read: {error}."));
            None
        }
        None => None,
    };
    ParsedConsumer { profile: profile.filter(|_| report.0.is_empty()), metadata, findings: report.0 }
}

fn profile(spec: ConsumerSpec, metadata: &Metadata, report: &mut Report) -> Profile {
    let mut groups = spec.groups.unwrap_or_default();
    groups.sort();
    groups.dedup();
    let credentials = spec.credentials.unwrap_or_default().into_iter().enumerate();
    let credentials = credentials.filter_map(|(index, raw)| credential(raw, &format!("spec.credentials[{index}]"), report)).collect();
    Profile { username: spec.username.unwrap_or_else(|| metadata.name.clone()), custom_id: spec.custom_id, groups, credentials }
}

fn credential(raw: CredentialSpec, field: &str, report: &mut Report) -> Option<Credential> {
    match (raw.key_auth, raw.basic_auth, raw.jwt) {
        (Some(key), None, None) => Some(Credential::Key(SecretKey { name: key.secret_ref.name, key: key.secret_ref.key })),
        (None, Some(password), None) => Some(Credential::Password(password.secret_ref.name)),
        (None, None, Some(token)) => Some(Credential::Token { issuer: token.issuer, subject: token.subject }),
        _ => {
            report
                .invalid(field, "A credential is exactly one of keyAuth, basicAuth and jwt. Give one, and each other an entry of its own.");
            None
        }
    }
}
