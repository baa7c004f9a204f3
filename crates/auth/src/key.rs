//! A key of keyAuth, as the digest that it is looked up by.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt;
use std::hash::{Hash, Hasher};

/// The digest of a key. How long a look-up takes tells nothing of a key: a digest shares no prefix with that of a similar key, and two
/// are compared in constant time. Nothing of the key itself is kept.
#[derive(Clone, Copy)]
pub struct ApiKey([u8; 32]);

/// Why a Secret's value is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyFault {
    /// Nothing but blanks.
    #[error("is empty")]
    Empty,
    /// No request could have it.
    #[error("is longer than 4096 bytes")]
    TooLong,
}

impl ApiKey {
    /// No longer key is looked at.
    pub(crate) const LONGEST: usize = 4096;

    /// Of the value that a Secret holds, without the blanks and line ends around it, which a header could not have.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn of_secret(value: &[u8]) -> Result<Self, ApiKeyFault> {
        match value.trim_ascii() {
            [] => Err(ApiKeyFault::Empty),
            key if key.len() > Self::LONGEST => Err(ApiKeyFault::TooLong),
            key => Ok(Self::of(key)),
        }
    }

    /// Of what a request has.
    pub(crate) fn of(key: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(bytes)
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for ApiKey {}

impl Hash for ApiKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_a_secrets_value_do_not_count() {
        assert_eq!(ApiKey::of_secret(b"\tk-1\n"), Ok(ApiKey::of(b"k-1")));
        assert_ne!(ApiKey::of(b"k-1"), ApiKey::of(b"k-2"));
        assert_eq!(ApiKey::of_secret(b" \r\n"), Err(ApiKeyFault::Empty));
        assert_eq!(ApiKey::of_secret(&[b'k'; 4097]), Err(ApiKeyFault::TooLong));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        assert_eq!(format!("{:?}", ApiKey::of(b"k-1")), "ApiKey(..)");
    }
}
