//! The consumers that a policy has in reach, by whatever a request may name them with.

use crate::{ApiKey, PasswordHash};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// One who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The identity that is hashed.
    pub username: Arc<str>,
    /// Their groups, as the Consumer says.
    pub groups: Vec<String>,
    /// What they may show.
    pub credentials: Vec<Credential>,
}

/// What a consumer may show.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A key.
    KeyAuth(ApiKey),
    /// A user name, which need not be that of the consumer, and the hash of a password.
    BasicAuth {
        /// As the client writes it.
        username: String,
        /// What the Secret holds.
        hash: PasswordHash,
    },
    /// A token of this issuer about this subject.
    Jwt {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
    },
}

/// Consumers, ready to be looked up: what a request costs does not depend on how many there are.
///
/// Where two have the same user name or credential the first has it, so they are given by age. Equal directories are found equal at
/// once when they are the same one: keep the `Arc` while nothing changes.
#[derive(Clone, Default)]
pub struct Directory {
    consumers: Vec<Arc<Consumer>>,
    usernames: HashMap<Arc<str>, usize>,
    keys: HashMap<ApiKey, usize>,
    passwords: HashMap<String, Password>,
    /// By issuer, then subject.
    subjects: HashMap<String, HashMap<String, usize>>,
    /// The hashes by which the passwords of unknown users are refused.
    decoys: Vec<PasswordHash>,
}

#[derive(Clone)]
struct Password {
    consumer: usize,
    hash: PasswordHash,
}

impl Directory {
    /// Of these consumers, the oldest first.
    pub fn new(consumers: Vec<Arc<Consumer>>) -> Self {
        let mut directory = Self::default();
        for (index, consumer) in consumers.iter().enumerate() {
            directory.usernames.entry(Arc::clone(&consumer.username)).or_insert(index);
            for credential in &consumer.credentials {
                directory.enter(index, credential);
            }
        }
        directory.consumers = consumers;
        directory
    }

    fn enter(&mut self, consumer: usize, credential: &Credential) {
        match credential {
            Credential::KeyAuth(key) => {
                self.keys.entry(*key).or_insert(consumer);
            }
            Credential::BasicAuth { username, hash } => {
                self.decoys.push(hash.clone());
                self.passwords.entry(username.clone()).or_insert_with(|| Password { consumer, hash: hash.clone() });
            }
            Credential::Jwt { issuer, subject } => {
                self.subjects.entry(issuer.clone()).or_default().entry(subject.clone()).or_insert(consumer);
            }
        }
    }

    /// All of them, in order.
    pub fn consumers(&self) -> &[Arc<Consumer>] {
        &self.consumers
    }

    /// The consumer of that user name.
    pub fn named(&self, username: &str) -> Option<&Arc<Consumer>> {
        self.consumers.get(*self.usernames.get(username)?)
    }

    /// The consumer of that key.
    pub fn of_key(&self, key: &ApiKey) -> Option<&Arc<Consumer>> {
        self.consumers.get(*self.keys.get(key)?)
    }

    /// The consumer that a token of this issuer is about.
    pub fn of_subject(&self, issuer: &str, subject: &str) -> Option<&Arc<Consumer>> {
        self.consumers.get(*self.subjects.get(issuer)?.get(subject)?)
    }

    /// The consumer that has this name for basicAuth, and the hash of their password.
    pub fn of_password(&self, username: &str) -> Option<(&Arc<Consumer>, &PasswordHash)> {
        let password = self.passwords.get(username)?;
        Some((self.consumers.get(password.consumer)?, &password.hash))
    }

    /// A hash for the password of somebody unknown: always the same one for the same name, and of all in turn for all names, so that
    /// answers to unknown names take as long as those to known ones. `None`: nobody has a password.
    pub(crate) fn decoy(&self, username: &str) -> Option<&PasswordHash> {
        let digest = digest(&SHA256, username.as_bytes());
        let number = digest.as_ref().first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk));
        let count = u64::try_from(self.decoys.len()).ok().filter(|count| *count > 0)?;
        self.decoys.get(usize::try_from(number % count).ok()?)
    }
}

/// The maps follow from the consumers.
impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        self.consumers == other.consumers
    }
}

impl Eq for Directory {}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({} consumers)", self.consumers.len())
    }
}

/// For goldens: names and what kinds of credentials there are.
impl Serialize for Directory {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.consumers.iter().map(|consumer| &**consumer))
    }
}

impl Serialize for Consumer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let credentials: Vec<String> = self.credentials.iter().map(Credential::to_string).collect();
        s.collect_str(&format_args!("{} in [{}] by [{}]", self.username, self.groups.join(", "), credentials.join(", ")))
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyAuth(_) => f.write_str("keyAuth"),
            Self::BasicAuth { username, .. } => write!(f, "basicAuth of {username}"),
            Self::Jwt { issuer, subject } => write!(f, "jwt of {subject} by {issuer}"),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
