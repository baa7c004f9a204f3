//! Precedence inside one release: rollback, overrides, groups, buckets; and the fallbacks of a missing identity (S8).

use crate::{Facts, Groups, Kind, Override, Placement, Side, Turns, place, stride};
use std::fmt::Write;
use std::sync::Arc;

/// What `spec.split.by` and `name` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitBy {
    /// By the authenticated consumer.
    Consumer,
    /// By the originating address.
    ClientIp,
    /// By a header, in lower case.
    Header(String),
    /// By a cookie.
    Cookie(String),
    /// By a cookie that a browser without one is given (`split.issueCookie`).
    IssuedCookie(String),
    /// By a query parameter.
    QueryParam(String),
    /// By a claim.
    Claim(String),
    /// Every request for itself.
    Request,
}

/// How a release splits: what of it does not change while it runs.
#[derive(Debug, Clone)]
pub struct Policy {
    salt: String,
    by: SplitBy,
    buckets: u32,
    stride: u32,
    overrides: Vec<Override>,
    turns: Arc<Turns>,
}

/// What a release serves at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served<'a> {
    /// Buckets below this are the canary's.
    pub k: u32,
    /// The groups in force.
    pub groups: Option<&'a Groups>,
    /// Aborted, or not this release's traffic: all go to stable, overrides and groups are off (S14).
    pub rolled_back: bool,
}

/// Which rule chose the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The release is rolled back.
    Rollback,
    /// The override with this index.
    Override(usize),
    /// The groups.
    Group,
    /// The bucket.
    Bucket,
}

/// What the bucket was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// A hashed value.
    Value {
        /// Of which kind.
        kind: Kind,
        /// The hash that its bucket is from: who counts identities needs no value.
        hash: u64,
    },
    /// The request's own turn.
    Request,
    /// What a cookie that is given with the answer will hold: only where a request is foreseen, for that is random.
    Issued,
}

/// The answer, with all that `explain`, the access log and the `Serin-Decision` header tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The side.
    pub side: Side,
    /// The rule that chose it.
    pub rule: Rule,
    /// What was counted or hashed, when a bucket decided.
    pub identity: Option<Identity>,
    /// Whether the identity that was asked for was missing, and another took its place.
    pub fallback: bool,
    /// The bucket, when one decided.
    pub bucket: Option<u32>,
    /// The threshold in force.
    pub k: u32,
}

impl Policy {
    /// A policy over `buckets` buckets; `turns` lives as long as the release, over many tables.
    ///
    /// # Panics
    /// When `buckets` is 0, which parsing excludes.
    pub fn new(salt: String, by: SplitBy, buckets: u32, overrides: Vec<Override>, turns: Arc<Turns>) -> Self {
        assert!(buckets > 0, "a split has at least one bucket");
        Self { salt, by, buckets, stride: stride(buckets), overrides, turns }
    }

    /// What is hashed with each identity.
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// How many buckets there are.
    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// The cookie that a browser without one is given.
    pub fn issues(&self) -> Option<&str> {
        if let SplitBy::IssuedCookie(name) = &self.by { Some(name) } else { None }
    }

    fn turn(&self) -> Option<u32> {
        Some(self.turns.next(self.buckets, self.stride))
    }
}

/// Which side this request takes, and why. Allocates nothing. Nobody is issued a cookie: who has none falls on, as with any other (S8).
pub fn decide(policy: &Policy, served: &Served<'_>, facts: &impl Facts) -> Decision {
    decide_by(policy, served, facts, || policy.turn(), None::<fn() -> Option<[u8; 0]>>)
}

/// The same where who has no cookie is given one: `issue` says what it will hold, and is asked only where the policy issues cookies and the
/// bucket of this one decides.
pub fn decide_issuing<V: AsRef<[u8]>>(policy: &Policy, served: &Served<'_>, facts: &impl Facts, issue: impl FnOnce() -> V) -> Decision {
    decide_by(policy, served, facts, || policy.turn(), Some(|| Some(issue())))
}

/// The same of a request that is only asked about: it takes no turn and no cookie, so where these would decide it has no bucket, and no side
/// but stable.
pub fn foresee(policy: &Policy, served: &Served<'_>, facts: &impl Facts) -> Decision {
    decide_by(policy, served, facts, || None, Some(|| None::<[u8; 0]>))
}

fn decide_by<V: AsRef<[u8]>>(
    policy: &Policy,
    served: &Served<'_>,
    facts: &impl Facts,
    turn: impl FnOnce() -> Option<u32>,
    issue: Option<impl FnOnce() -> Option<V>>,
) -> Decision {
    let without_bucket = |side, rule| Decision { side, rule, identity: None, fallback: false, bucket: None, k: served.k };
    if served.rolled_back {
        return without_bucket(Side::Stable, Rule::Rollback);
    }
    for (index, entry) in policy.overrides.iter().enumerate() {
        if let Some(side) = entry.side(facts) {
            return without_bucket(side, Rule::Override(index));
        }
    }
    if let Some(side) = served.groups.and_then(|g| g.side(facts)) {
        return without_bucket(side, Rule::Group);
    }
    let (identity, bucket, fallback) = bucket(policy, facts, turn, issue);
    let side = if bucket.is_some_and(|bucket| bucket < served.k) { Side::Canary } else { Side::Stable };
    Decision { side, rule: Rule::Bucket, identity: Some(identity), fallback, bucket, k: served.k }
}

fn bucket<V: AsRef<[u8]>>(
    policy: &Policy,
    facts: &impl Facts,
    turn: impl FnOnce() -> Option<u32>,
    issue: Option<impl FnOnce() -> Option<V>>,
) -> (Identity, Option<u32>, bool) {
    let request = || (Identity::Request, turn());
    if policy.by == SplitBy::Request {
        let (identity, bucket) = request();
        return (identity, bucket, false);
    }
    if let Some((identity, bucket)) = asked(policy, facts) {
        return (identity, Some(bucket), false);
    }
    if let (SplitBy::IssuedCookie(_), Some(issue)) = (&policy.by, issue) {
        let issued = issue().and_then(|value| hashed(policy, Kind::Cookie, value.as_ref()));
        return issued.map_or((Identity::Issued, None, false), |(identity, bucket)| (identity, Some(bucket), false));
    }
    // S8: Consumer -> ClientIP -> Request; the rest fall to Consumer first. Asking again for what was asked first finds nothing again.
    let (identity, bucket) = match consumer(policy, facts).or_else(|| client_ip(policy, facts)) {
        Some((identity, bucket)) if policy.by != SplitBy::ClientIp => (identity, Some(bucket)),
        _ => request(),
    };
    (identity, bucket, true)
}

fn asked(policy: &Policy, facts: &impl Facts) -> Option<(Identity, u32)> {
    match &policy.by {
        SplitBy::Consumer => consumer(policy, facts),
        SplitBy::ClientIp => client_ip(policy, facts),
        SplitBy::Header(name) => hashed(policy, Kind::Header, facts.header(name).next()?),
        SplitBy::Cookie(name) | SplitBy::IssuedCookie(name) => hashed(policy, Kind::Cookie, facts.cookie(name)?),
        SplitBy::QueryParam(name) => hashed(policy, Kind::Query, &facts.query(name)?),
        SplitBy::Claim(name) => hashed(policy, Kind::Claim, facts.claim(name)?.as_bytes()),
        SplitBy::Request => None,
    }
}

fn consumer(policy: &Policy, facts: &impl Facts) -> Option<(Identity, u32)> {
    hashed(policy, Kind::Consumer, facts.consumer()?.as_bytes())
}

/// An address is hashed as RFC 5952 text, an IPv4-mapped one as IPv4.
fn client_ip(policy: &Policy, facts: &impl Facts) -> Option<(Identity, u32)> {
    let mut text = AddressText { bytes: [0; 45], len: 0 };
    write!(text, "{}", facts.client_ip()?.to_canonical()).ok()?;
    hashed(policy, Kind::Ip, &text.bytes[..text.len])
}

/// Empty and not UTF-8 are missing.
fn hashed(policy: &Policy, kind: Kind, value: &[u8]) -> Option<(Identity, u32)> {
    let usable = !value.is_empty() && std::str::from_utf8(value).is_ok();
    usable.then(|| {
        let Placement { hash, bucket } = place(&policy.salt, kind, value, policy.buckets);
        (Identity::Value { kind, hash }, bucket)
    })
}

/// Room for the longest text of an address, so that none is allocated.
struct AddressText {
    bytes: [u8; 45],
    len: usize,
}

impl Write for AddressText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.len + s.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
