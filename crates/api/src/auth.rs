//! A Consumer and an AuthPolicy whose specs were parsed: every value here is valid, and every default is applied. Secrets are named, not held.

use crate::release::Scope;
use ipnet::IpNet;

/// What a valid Consumer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What scopes name and what is hashed.
    pub username: String,
    /// What other systems call it.
    pub custom_id: Option<String>,
    /// Sorted and each once.
    pub groups: Vec<String>,
    /// In the order of the spec.
    pub credentials: Vec<Credential>,
}

/// What proves that a request is a consumer's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A key.
    Key(SecretKey),
    /// A name and the hash of a password: the keys `username` and `password` of this Secret.
    Password(String),
    /// The subject of a token.
    Token {
        /// Its issuer.
        issuer: String,
        /// What its `sub` says.
        subject: String,
    },
}

/// One key of a Secret of the object's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretKey {
    /// The Secret.
    pub name: String,
    /// The key within it.
    pub key: String,
}

/// What a valid AuthPolicy asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which requests; of anyone.
    pub scope: Scope,
    /// In order: the first that finds a credential decides. At least one.
    pub methods: Vec<Method>,
    /// Whether a request without a credential goes on without identity, and is not answered with 401.
    pub anonymous: bool,
    /// Whether credentials are taken out of the request.
    pub hide_credentials: bool,
}

/// One way to say who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// A key.
    Key {
        /// Headers that hold one, in lower case.
        headers: Vec<String>,
        /// Query parameters that hold one.
        query: Vec<String>,
    },
    /// A name and a password.
    Basic {
        /// What the client is told that it logs in to: ASCII without quotes and backslashes.
        realm: String,
    },
    /// A signed token.
    Jwt(Jwt),
    /// Headers that a proxy before serin sets.
    TrustedHeaders {
        /// The header that names the consumer, in lower case.
        consumer: String,
        /// The header that lists groups, in lower case.
        groups: Option<String>,
        /// Networks of the proxies that are believed; none of them is everyone.
        from: Vec<IpNet>,
    },
}

/// How tokens are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// What `iss` must be.
    pub issuer: String,
    /// One of these must be in `aud`; none: any audience.
    pub audiences: Vec<String>,
    /// Where the keys are.
    pub jwks: Jwks,
    /// The claim that names the consumer.
    pub consumer_claim: String,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
}

/// Where a JSON Web Key Set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jwks {
    /// In a Secret.
    Secret(SecretKey),
    /// Behind an address.
    Url(String),
}
