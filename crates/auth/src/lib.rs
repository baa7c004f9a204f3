//! Who a request comes from.
//!
//! A [`Policy`] says by which methods a route learns it, and a [`Directory`] holds the consumers that those may name. Both are made once
//! per change and then asked by every request: [`Policy::authenticate`]. Secrets stand in types that show nothing of themselves.
//!
//! Not here: a Kubernetes object, a socket, a thread, a clock; whoever asks says what time it is, and checks a [`Guess`] where that holds
//! up nobody.

mod authenticate;
mod challenge;
mod directory;
mod guess;
mod hide;
mod identity;
mod jwks;
mod key;
mod password;
mod policy;
mod request;
mod token;

pub use authenticate::{Answer, Refusal};
pub use directory::{Consumer, Credential, Directory};
pub use guess::{Fingerprint, FingerprintKey, Guess};
pub use hide::redacted;
pub use identity::Identity;
pub use jwks::{Jwks, JwksFault};
pub use key::{ApiKey, ApiKeyFault};
pub use password::{PasswordHash, PasswordHashFault};
pub use policy::{Anonymous, BasicAuth, Jwt, KeyAuth, Method, Policy, TrustedHeaders};
pub use request::Asked;
pub use token::TokenFault;
