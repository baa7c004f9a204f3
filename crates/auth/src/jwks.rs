//! A JSON Web Key Set (RFC 7517): the keys by which an issuer's tokens are verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// More keys make each token without a key id too dear.
const MOST_KEYS: usize = 64;
/// RFC 7518, section 3.3.
const RSA_LEAST_BYTES: usize = 2048 / 8;

/// The keys of an issuer. Each verifies tokens of one algorithm, which the key says and never the token.
pub struct Jwks {
    pub(crate) keys: Vec<Key>,
    /// The text that it was read from tells two apart.
    text: Box<[u8]>,
    missed: AtomicBool,
}

/// One key.
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// Why a text is no key set that serin verifies by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksFault {
    /// Not JSON, or no member `keys`.
    #[error("is no JSON Web Key Set: an object with a list `keys`")]
    Malformed,
    /// More than 64.
    #[error("has more than {MOST_KEYS} keys")]
    TooMany,
    /// RFC 7517 says to pass over keys of unknown kinds; here none was left.
    #[error("has no key that signatures can be verified by (RSA of 2048 bits or more, P-256, P-384, Ed25519, or a symmetric key)")]
    NoneUsable,
    /// A key that names what it cannot be, or lacks a part.
    #[error("has a key that cannot be used, number {number}: {why}")]
    Key {
        /// Counted from 1.
        number: usize,
        /// Says nothing of its value.
        why: &'static str,
    },
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl Jwks {
    /// Reads a set. A key without `alg` gets the usual one of its kind: RS256, ES256, ES384, EdDSA, HS256. Keys of other kinds and those for
    /// encryption are passed over.
    ///
    /// # Errors
    /// When the text is no set, when none of its keys is of use, and when a key is faulty. The error says nothing of any value.
    pub fn parse(text: &[u8]) -> Result<Self, JwksFault> {
        let set: Set = serde_json::from_slice(text).map_err(|_| JwksFault::Malformed)?;
        if set.keys.len() > MOST_KEYS {
            return Err(JwksFault::TooMany);
        }
        let mut keys = Vec::new();
        for (index, entry) in set.keys.into_iter().enumerate() {
            let fault = |why| JwksFault::Key { number: index + 1, why };
            let entry: Entry = serde_json::from_value(entry).map_err(|_| fault("a member has the wrong type, or `kty` is missing"))?;
            keys.extend(entry.key().map_err(fault)?);
        }
        if keys.is_empty() {
            return Err(JwksFault::NoneUsable);
        }
        Ok(Self { keys, text: text.into(), missed: AtomicBool::new(false) })
    }

    /// A token named a key that is not here.
    pub(crate) fn miss(&self) {
        self.missed.store(true, Ordering::Relaxed);
    }

    /// Whether a token named a key that is not here since this was last asked: the issuer may have other keys by now.
    pub fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    /// Whether anyone who may read the set may sign: so a set that was published must have none of those.
    pub fn has_symmetric_keys(&self) -> bool {
        self.keys.iter().any(|key| matches!(key.algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512))
    }
}

impl Entry {
    /// `None`: not for signatures, or of a kind that serin does not know.
    fn key(self) -> Result<Option<Key>, &'static str> {
        let verifies = self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !verifies || self.used_for.as_deref().is_some_and(|used| used != "sig") {
            return Ok(None);
        }
        let part = |part: &Option<String>| part.as_deref().and_then(bytes).filter(|bytes| !bytes.is_empty());
        let known = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let n = part(&self.n).ok_or("`n` is missing or no base64url")?;
                let e = part(&self.e).ok_or("`e` is missing or no base64url")?;
                if n.iter().skip_while(|b| **b == 0).count() < RSA_LEAST_BYTES {
                    return Err("an RSA key has 2048 bits or more (RFC 7518, section 3.3)");
                }
                let algorithms = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..];
                (algorithms, DecodingKey::from_rsa_raw_components(&n, &e))
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (size, algorithms) = if curve == "P-256" { (32, &["ES256"][..]) } else { (48, &["ES384"][..]) };
                let [x, y] = [&self.x, &self.y].map(|half| part(half).filter(|bytes| bytes.len() == size));
                let (Some(x), Some(y)) = (x, y) else { return Err("`x` or `y` is missing or has the wrong length") };
                (algorithms, DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
            }
            ("OKP", Some("Ed25519")) => {
                let x = part(&self.x).filter(|bytes| bytes.len() == 32).ok_or("`x` is missing or has the wrong length")?;
                (&["EdDSA", "Ed25519"][..], DecodingKey::from_ed_der(&x))
            }
            ("oct", _) => {
                let k = part(&self.k).ok_or("`k` is missing or no base64url")?;
                let least = match self.alg.as_deref() {
                    Some("HS384") => 48,
                    Some("HS512") => 64,
                    _ => 32,
                };
                if k.len() < least {
                    return Err("a symmetric key is as long as its hash or longer (RFC 7518, section 3.2)");
                }
                (&["HS256", "HS384", "HS512"][..], DecodingKey::from_secret(&k))
            }
            _ => return Ok(None),
        };
        let (algorithms, key) = known;
        let name = self.alg.as_deref().unwrap_or(algorithms[0]);
        if !algorithms.contains(&name) {
            // Of another use, such as RSA-OAEP, or of none that there is.
            return Ok(None);
        }
        let algorithm = algorithm(name).ok_or("`alg` is not known")?;
        Ok(Some(Key { id: self.kid, algorithm, key }))
    }
}

/// The algorithms that serin knows; `none` is none of them.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    // RFC 9864 gives EdDSA with this curve the name of the curve.
    if name == "Ed25519" { Some(Algorithm::EdDSA) } else { name.parse().ok() }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

impl PartialEq for Jwks {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Jwks {}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(Key::shown)).finish()
    }
}

/// For goldens: ids and algorithms.
impl Serialize for Jwks {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.keys.iter().map(Key::shown))
    }
}

impl Key {
    fn shown(&self) -> String {
        format!("{} {:?}", self.id.as_deref().unwrap_or("-"), self.algorithm)
    }
}
