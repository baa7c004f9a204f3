//! The hash of a password: bcrypt or Argon2, as usual tools write them.

use argon2::{Argon2, Params, PasswordVerifier};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::engine::general_purpose::NO_PAD;
use base64::{Engine, alphabet, engine::GeneralPurpose};
use std::fmt;
use std::sync::Arc;

const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
/// About a second of a core.
const BCRYPT_HIGHEST_COST: u32 = 14;
/// 64 MiB, in KiB: what RFC 9106 recommends where memory is short, and several are checked at once.
const ARGON2_MOST_MEMORY: u32 = 64 * 1024;
/// Over the most memory; over less of it as many more: the time that a check takes is their product.
const ARGON2_MOST_PASSES: u32 = 4;
/// No longer password is looked at.
const LONGEST: usize = 1024;

/// The hash of a password. Checking one against it takes long, on purpose: never where requests are served.
#[derive(Clone)]
pub struct PasswordHash(Arc<Parsed>);

#[derive(PartialEq, Eq)]
struct Parsed {
    text: String,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Bcrypt { cost: u32, salt: [u8; 16], hash: [u8; 23] },
    Argon2,
}

/// Why a Secret's value is no hash that serin checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashFault {
    /// Also a password in clear.
    #[error("is neither a bcrypt hash ($2a$, $2b$ or $2y$) nor an Argon2 hash ($argon2id$, $argon2i$ or $argon2d$)")]
    Unknown,
    /// Looks like bcrypt, and is none.
    #[error("is a malformed bcrypt hash")]
    Bcrypt,
    /// Looks like Argon2, and is none.
    #[error("is a malformed Argon2 hash")]
    Argon2,
    /// Each check would take a core for seconds.
    #[error("has a bcrypt cost that is not 4 to {BCRYPT_HIGHEST_COST}")]
    BcryptCost,
    /// Each check would take too much.
    #[error("asks for more than {ARGON2_MOST_MEMORY} KiB of memory, or for more work than {ARGON2_MOST_PASSES} passes over that much")]
    Argon2Cost,
}

impl PasswordHash {
    /// Of the value that a Secret holds, without the blanks and line ends around it.
    ///
    /// # Errors
    /// When it is no hash, or one that takes too long to check. The error says nothing of the value.
    pub fn parse(value: &[u8]) -> Result<Self, PasswordHashFault> {
        let text = std::str::from_utf8(value.trim_ascii()).map_err(|_| PasswordHashFault::Unknown)?;
        let kind = if text.starts_with("$2") {
            bcrypt_parts(text)?
        } else if text.starts_with("$argon2") {
            argon2_checked(text)?
        } else {
            return Err(PasswordHashFault::Unknown);
        };
        Ok(Self(Arc::new(Parsed { text: text.to_owned(), kind })))
    }

    /// Whether it is this password's. Takes from milliseconds to seconds.
    ///
    /// bcrypt looks at 72 bytes only, so a longer password is nobody's.
    pub fn verifies(&self, password: &[u8]) -> bool {
        if password.len() > LONGEST {
            return false;
        }
        match &self.0.kind {
            Kind::Bcrypt { cost, salt, hash } => {
                let long = password.len() > 72;
                let used = &password[..password.len().min(72)];
                let terminated = [used, &[0]].concat();
                let computed = bcrypt::bcrypt(*cost, *salt, &terminated[..terminated.len().min(72)]);
                verify_slices_are_equal(&computed[..23], hash).is_ok() && !long
            }
            Kind::Argon2 => Argon2::default().verify_password(password, self.0.text.as_str()).is_ok(),
        }
    }

    /// As the Secret has it; never to be shown.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }
}

/// `$2b$12$` and 53 digits: 16 bytes of salt, 23 of hash.
fn bcrypt_parts(text: &str) -> Result<Kind, PasswordHashFault> {
    let malformed = PasswordHashFault::Bcrypt;
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| text.strip_prefix(version)).ok_or(malformed)?;
    let (cost, digits) = rest.split_once('$').ok_or(malformed)?;
    if cost.len() != 2 || !cost.bytes().all(|b| b.is_ascii_digit()) || digits.len() != 53 || !digits.is_ascii() {
        return Err(malformed);
    }
    let cost = cost.parse().map_err(|_| malformed)?;
    if !(4..=BCRYPT_HIGHEST_COST).contains(&cost) {
        return Err(PasswordHashFault::BcryptCost);
    }
    let bytes = |digits| BCRYPT_BASE64.decode(digits).map_err(|_| malformed);
    let salt = bytes(&digits[..22])?.try_into().map_err(|_| malformed)?;
    let hash = bytes(&digits[22..])?.try_into().map_err(|_| malformed)?;
    Ok(Kind::Bcrypt { cost, salt, hash })
}

fn argon2_checked(text: &str) -> Result<Kind, PasswordHashFault> {
    let malformed = PasswordHashFault::Argon2;
    let parsed = argon2::PasswordHash::new(text).map_err(|_| malformed)?;
    argon2::Algorithm::new(parsed.algorithm).map_err(|_| malformed)?;
    let params = Params::try_from(&parsed).map_err(|_| malformed)?;
    if parsed.salt.is_none() || parsed.hash.is_none() {
        return Err(malformed);
    }
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    if params.m_cost() > ARGON2_MOST_MEMORY || work > u64::from(ARGON2_MOST_MEMORY * ARGON2_MOST_PASSES) {
        return Err(PasswordHashFault::Argon2Cost);
    }
    Ok(Kind::Argon2)
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for PasswordHash {}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.0.kind, Kind::Argon2) { "PasswordHash(argon2)" } else { "PasswordHash(bcrypt)" })
    }
}
