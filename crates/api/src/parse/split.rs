//! `spec.split`.

use super::Metadata;
use super::report::Report;
use crate::identity::default_salt;
use crate::release::{Split, SplitBy, Strategy};
use crate::spec::{self, SplitSpec};

/// Buckets of a split that names no number; with weights it is their sum.
pub(crate) const BUCKETS: u32 = 1000;

/// The split, if it is valid. What is not served yet is said, and does not change who is in which bucket.
pub(super) fn parse(
    raw: SplitSpec,
    metadata: &Metadata,
    revision: Option<&str>,
    strategy: Option<&Strategy>,
    report: &mut Report,
) -> Option<Split> {
    let by = raw.by.unwrap_or(spec::SplitBy::Consumer);
    let named = matches!(by, spec::SplitBy::Header | spec::SplitBy::Cookie | spec::SplitBy::QueryParam | spec::SplitBy::Claim);
    match &raw.name {
        None if named => {
            report.invalid("spec.split.name", "name is missing. With by Header, Cookie, QueryParam and Claim it says which one.")
        }
        Some(_) if !named => {
            report.invalid("spec.split.name", "name is only for by Header, Cookie, QueryParam and Claim. Remove it, or change by.")
        }
        Some(name) if matches!(by, spec::SplitBy::Header | spec::SplitBy::Cookie) && !name.bytes().all(is_token) => {
            let message = format!("name is {name:?}; the name of a header or cookie is letters, digits and !#$%&'*+.^_`|~-.");
            report.invalid("spec.split.name", message);
        }
        _ => {}
    }
    let issue_cookie = raw.issue_cookie == Some(true);
    if issue_cookie && by != spec::SplitBy::Cookie {
        report.invalid("spec.split.issueCookie", "issueCookie is only for by Cookie. Remove it, or change by.");
    }
    if !report.is_clean("spec.split") {
        return None;
    }
    let name = raw.name.unwrap_or_default();
    let by = match by {
        spec::SplitBy::Consumer => SplitBy::Consumer,
        spec::SplitBy::ClientIp => SplitBy::ClientIp,
        spec::SplitBy::Header => SplitBy::Header(name.to_ascii_lowercase()),
        spec::SplitBy::Cookie => SplitBy::Cookie(name),
        spec::SplitBy::QueryParam => SplitBy::QueryParam(name),
        spec::SplitBy::Claim => SplitBy::Claim(name),
        spec::SplitBy::Request => SplitBy::Request,
    };
    let named = raw.buckets.and_then(|buckets| u32::try_from(buckets).ok());
    let buckets = named.unwrap_or(default_buckets(strategy));
    let names_salt = raw.salt.is_some();
    let salt = raw.salt.unwrap_or_else(|| default_salt(&metadata.key(), revision));
    Some(Split { by, buckets, salt, issue_cookie, names_buckets: named.is_some(), names_salt })
}

/// Buckets of a split that names no number.
fn default_buckets(strategy: Option<&Strategy>) -> u32 {
    match strategy {
        Some(Strategy::Weights { stable, canary }) => stable + canary,
        _ => BUCKETS,
    }
}

/// Whether a byte may stand in the name of a header or cookie (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte)
}
