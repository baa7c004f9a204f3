//! A user name and a password that only a hash can tell right from wrong, which takes long.

use crate::{Consumer, Identity, PasswordHash, Refusal};
use aws_lc_rs::hmac;
use std::fmt;
use std::sync::Arc;

/// A user name and a password.
///
/// Where no consumer has that name the password is still hashed, by a hash as known users have them, and refused after that: how long an
/// answer takes tells nobody which names there are.
#[derive(Clone)]
pub struct Guess {
    pub(crate) method: usize,
    pub(crate) consumer: Option<Arc<Consumer>>,
    pub(crate) username: String,
    pub(crate) password: Vec<u8>,
    /// `None`: nobody in reach has a password at all.
    pub(crate) hash: Option<PasswordHash>,
}

/// Stands for a guess where answers are kept. Tells nothing without the key, which lives as long as the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// What fingerprints are made with.
pub struct FingerprintKey(hmac::Key);

impl Guess {
    /// Whether it is right. Takes from milliseconds to seconds.
    pub fn check(&self) -> bool {
        let verifies = self.hash.as_ref().is_some_and(|hash| hash.verifies(&self.password));
        verifies && self.consumer.is_some()
    }

    /// Whose password it claims to be.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// What becomes of it, once that is known.
    ///
    /// # Errors
    /// When it is wrong.
    pub fn settle(self, right: bool) -> Result<Identity, Refusal> {
        match self.consumer {
            Some(consumer) if right => Ok(Identity::of(self.method, &consumer)),
            _ => Err(Refusal::Wrong),
        }
    }

    /// The same for the same name, password and hash: a hash that was replaced makes it another guess.
    pub fn fingerprint(&self, key: &FingerprintKey) -> Fingerprint {
        let mut context = hmac::Context::with_key(&key.0);
        let hash = self.hash.as_ref().map_or("", PasswordHash::text);
        let known = [u8::from(self.consumer.is_some())];
        for part in [&known[..], hash.as_bytes(), self.username.as_bytes(), &self.password] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Fingerprint(bytes)
    }
}

impl FingerprintKey {
    /// Of these bytes, which must be random and told to nobody.
    pub fn new(random: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random))
    }
}

impl fmt::Debug for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guess(..)")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}
