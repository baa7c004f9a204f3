//! Tokens (RFC 7519, as RFC 8725 advises): signed by a key of the issuer's with that key's own algorithm, for this audience, at this time.

use crate::jwks::{Key, algorithm};
use crate::{Jwks, Jwt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// No longer token is looked at.
const LONGEST: usize = 16 * 1024;
/// So many keys are tried for one token, as there are several of an algorithm for one that names none.
const MOST_TRIED: usize = 8;
/// By how many seconds a token may come before its `nbf`: the issuer's clock may be ahead. Behind its `exp` none counts.
const EARLY: f64 = 30.0;

/// Why a token is refused. None says what would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Longer than 16 KiB.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url, or not JSON within; also an encrypted token.
    #[error("the token is malformed")]
    Malformed,
    /// It asks for extensions that must be understood (RFC 7515, section 4.1.11).
    #[error("the token has a critical extension that is not known")]
    Critical,
    /// No key of the issuer's has that id and algorithm; so is `none` refused, and a key used for another algorithm.
    #[error("the token is signed by no known key")]
    UnknownKey,
    /// The signature is another's.
    #[error("the signature is wrong")]
    Signature,
    /// It is of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It says no end.
    #[error("the token does not say when it expires")]
    Endless,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time is to come.
    #[error("the token is not valid yet")]
    Early,
    /// The claim that names the consumer is no name.
    #[error("the token names no consumer that could be one")]
    Name,
}

/// What serin reads of a token's head. What names keys or where to fetch them (`jwk`, `jku`, `x5c`, `x5u`) is never looked at.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
    /// RFC 7797 makes it critical; some write it without.
    b64: Option<IgnoredAny>,
}

/// The three parts, the signature's apart.
struct Parts<'t> {
    head: &'t str,
    claims: &'t str,
    signed: &'t str,
    signature: &'t str,
}

/// The claims of a token, when all of it is right.
pub(crate) fn verify(jwt: &Jwt, token: &[u8], now: Timestamp) -> Result<Map<String, Value>, TokenFault> {
    let parts = parts(token)?;
    let head: Head = json(parts.head)?;
    if head.crit.is_some() || head.b64.is_some() {
        return Err(TokenFault::Critical);
    }
    check_signature(&jwt.keys, &head, &parts)?;
    let claims: Map<String, Value> = json(parts.claims)?;
    check_claims(jwt, &claims, now)?;
    Ok(claims)
}

/// Which issuer a token says it is of. Nothing is verified.
pub(crate) fn issuer(token: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    json(parts(token).ok()?.claims).ok().map(|claims: Claims| claims.iss)
}

fn parts(token: &[u8]) -> Result<Parts<'_>, TokenFault> {
    if token.len() > LONGEST {
        return Err(TokenFault::TooLong);
    }
    let token = std::str::from_utf8(token).map_err(|_| TokenFault::Malformed)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    let (head, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
    if claims.contains('.') {
        return Err(TokenFault::Malformed);
    }
    Ok(Parts { head, claims, signed, signature })
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Malformed)
}

/// A key verifies only what says that key's algorithm, so no public key is ever taken for a symmetric one. A token that names a key is
/// verified by keys of that name alone.
fn check_signature(keys: &Jwks, head: &Head, parts: &Parts<'_>) -> Result<(), TokenFault> {
    let algorithm = algorithm(&head.alg).ok_or(TokenFault::UnknownKey)?;
    let is_meant = |key: &&Key| key.algorithm == algorithm && (head.kid.is_none() || head.kid == key.id);
    let mut fault = TokenFault::UnknownKey;
    for key in keys.keys.iter().filter(is_meant).take(MOST_TRIED) {
        match jsonwebtoken::crypto::verify(parts.signature, parts.signed.as_bytes(), &key.key, key.algorithm) {
            Ok(true) => return Ok(()),
            Ok(false) | Err(_) => fault = TokenFault::Signature,
        }
    }
    if fault == TokenFault::UnknownKey && head.kid.is_some() {
        keys.miss();
    }
    Err(fault)
}

fn check_claims(jwt: &Jwt, claims: &Map<String, Value>, now: Timestamp) -> Result<(), TokenFault> {
    if claims.get("iss").and_then(Value::as_str) != Some(&jwt.issuer) {
        return Err(TokenFault::Issuer);
    }
    let is_ours = |audience: &Value| audience.as_str().is_some_and(|audience| jwt.audiences.iter().any(|own| own == audience));
    let for_us = match claims.get("aud") {
        _ if jwt.audiences.is_empty() => true,
        Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    };
    if !for_us {
        return Err(TokenFault::Audience);
    }
    let now = now.as_millisecond() as f64 / 1000.0;
    let expires = claims.get("exp").ok_or(TokenFault::Endless)?.as_f64().ok_or(TokenFault::Malformed)?;
    if now >= expires {
        return Err(TokenFault::Expired);
    }
    match claims.get("nbf").map(|begins| begins.as_f64().ok_or(TokenFault::Malformed)).transpose()? {
        Some(begins) if now + EARLY < begins => Err(TokenFault::Early),
        _ => Ok(()),
    }
}
