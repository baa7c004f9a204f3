//! Who sends a request: found out by the policy of its route, before any release is asked.

use crate::failure::Failure;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use serin_auth::{Answer, Asked, Guess, Identity, Policy, Refusal};
use serin_routing::Auth;
use std::net::IpAddr;
use std::sync::Arc;

/// An answer of serin's own, and the fields that it has besides.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
}

/// Who sends this request; `None` for somebody unknown where that is allowed. `judge` knows what becomes of a password.
///
/// A route without a policy costs nothing here.
pub(crate) fn author<E: From<Refused>>(
    auth: &Auth,
    parts: &Parts,
    peer: Option<IpAddr>,
    now: impl FnOnce() -> Timestamp,
    judge: impl FnOnce(&Policy, Guess) -> Result<Result<Identity, Refusal>, E>,
) -> Result<Option<Box<Identity>>, E> {
    let policy = match auth {
        Auth::None => return Ok(None),
        Auth::Policy(policy) => policy,
        Auth::Unresolved(_) => return Err(Refused::from(Failure::PolicyNotResolved).into()),
    };
    let found = match policy.authenticate(&Asked { headers: &parts.headers, query: parts.uri.query(), peer, now: now() }) {
        Answer::Known(identity) => Ok(identity),
        Answer::Nobody => return Ok(None),
        Answer::Refused(refusal) => Err(refusal),
        Answer::Password(guess) => judge(policy, guess)?.map(Box::new),
    };
    found.map(Some).map_err(|refusal| Refused::challenged(policy, refusal).into())
}

/// Takes from a head what names somebody without having decided, so that no release and no origin believes it.
pub(crate) fn disbelieve(policy: Option<&Arc<Policy>>, found: Option<&Identity>, headers: &mut HeaderMap) {
    for name in policy.into_iter().flat_map(|policy| policy.unbelieved(found)) {
        headers.remove(name);
    }
}

/// Takes from a head what the origin does not get to see.
pub(crate) fn hide(policy: Option<&Arc<Policy>>, headers: &mut HeaderMap) {
    for name in policy.into_iter().flat_map(|policy| policy.hidden()) {
        headers.remove(name);
    }
}

impl Refused {
    fn challenged(policy: &Policy, refusal: Refusal) -> Self {
        let failure = if refusal == Refusal::Missing { Failure::Unauthenticated } else { Failure::WrongCredentials };
        let fields = policy.challenges(refusal).into_iter().map(|challenge| (header::WWW_AUTHENTICATE, challenge));
        Self { failure, fields: fields.collect() }
    }

    /// One that says when to come again.
    pub(crate) fn until(failure: Failure, seconds: u64) -> Self {
        Self { failure, fields: vec![(header::RETRY_AFTER, HeaderValue::from(seconds))] }
    }

    /// One that says where to ask instead.
    pub(crate) fn sent_to(location: HeaderValue) -> Self {
        Self { failure: Failure::TlsAsked, fields: vec![(header::LOCATION, location)] }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure {
            // A connection may be free at any moment.
            Failure::EndpointBusy => Self::until(failure, 1),
            _ => Self { failure, fields: Vec::new() },
        }
    }
}
