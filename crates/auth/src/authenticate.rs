//! The order of methods: the first that finds a credential decides, and what it finds wrong is refused, whoever else might be let in.

use crate::identity::{is_name, text};
use crate::request::Found;
use crate::token;
use crate::{Anonymous, ApiKey, Asked, Guess, Identity, Jwt, KeyAuth, Method, Policy, TokenFault, TrustedHeaders};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Who asks, as far as can be told at once.
#[derive(Debug)]
pub enum Answer {
    /// This one.
    Known(Box<Identity>),
    /// No method found a credential, and the policy allows that.
    Nobody,
    /// Not to be served.
    Refused(Refusal),
    /// Whoever checks the guess will know.
    Password(Guess),
}

/// Why a request is not to be served: 401. What it is answered: [`Policy::challenges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No method found a credential.
    Missing,
    /// A key, a name or a password that is nobody's, or one that cannot be read.
    Wrong,
    /// A token that does not count.
    Token(TokenFault),
}

impl Policy {
    /// Who sends this request.
    pub fn authenticate(&self, asked: &Asked<'_>) -> Answer {
        for (index, method) in self.methods.iter().enumerate() {
            let found = match method {
                Method::KeyAuth(method) => self.by_key(index, method, asked),
                Method::BasicAuth(_) => self.by_password(index, asked),
                Method::Jwt(method) => self.by_token(index, method, asked),
                Method::TrustedHeaders(method) => self.by_header(index, method, asked),
            };
            if let Some(answer) = found {
                return answer;
            }
        }
        match self.anonymous {
            Anonymous::Deny => Answer::Refused(Refusal::Missing),
            Anonymous::Allow => Answer::Nobody,
        }
    }

    /// Whether a key or a password would decide: found, and not looked at.
    pub fn depends_on_secret(&self, asked: &Asked<'_>) -> bool {
        let is_secret = |method: &Method| match method {
            Method::KeyAuth(method) => {
                let in_header = method.headers.iter().any(|name| asked.header(name) != Found::Nothing);
                let is_there = in_header || method.query.iter().any(|name| asked.parameter(name) != Found::Nothing);
                is_there.then_some(true)
            }
            Method::BasicAuth(_) => (asked.authorization("Basic") != Found::Nothing).then_some(true),
            Method::Jwt(_) => (asked.authorization("Bearer") != Found::Nothing).then_some(false),
            Method::TrustedHeaders(method) => {
                let is_believed = asked.peer.is_some_and(|peer| method.believes(peer));
                (is_believed && asked.header(&method.consumer) != Found::Nothing).then_some(false)
            }
        };
        self.methods.iter().find_map(is_secret) == Some(true)
    }

    fn by_key(&self, index: usize, method: &KeyAuth, asked: &Asked<'_>) -> Option<Answer> {
        let headers = method.headers.iter().map(|name| asked.header(name).map(|key| self.owner(index, key)));
        let query = method.query.iter().map(|name| asked.parameter(name).map(|key| self.owner(index, &key)));
        headers.chain(query).find_map(Found::decided)
    }

    fn owner(&self, index: usize, key: &[u8]) -> Answer {
        let owner = if key.len() > ApiKey::LONGEST { None } else { self.consumers.of_key(&ApiKey::of(key)) };
        owner.map_or(Answer::Refused(Refusal::Wrong), |consumer| Answer::known(Identity::of(index, consumer)))
    }

    fn by_password(&self, index: usize, asked: &Asked<'_>) -> Option<Answer> {
        let guess = |credentials: &[u8]| {
            let bytes = BASE64.decode(credentials).ok()?;
            let colon = bytes.iter().position(|b| *b == b':')?;
            let username = std::str::from_utf8(&bytes[..colon]).ok()?;
            let (consumer, hash) = match self.consumers.of_password(username) {
                Some((consumer, hash)) => (Some(Arc::clone(consumer)), Some(hash)),
                None => (None, self.consumers.decoy(username)),
            };
            let (username, password, hash) = (username.to_owned(), bytes[colon + 1..].to_owned(), hash.cloned());
            Some(Answer::Password(Guess { method: index, consumer, username, password, hash }))
        };
        asked.authorization("Basic").map(|credentials| guess(credentials).unwrap_or(Answer::Refused(Refusal::Wrong))).decided()
    }

    /// Of several issuers the one decides that the token says it is of; if none is, the first refuses it.
    fn by_token(&self, index: usize, method: &Jwt, asked: &Asked<'_>) -> Option<Answer> {
        let decide = |token: &[u8]| {
            let others = || self.methods.iter().enumerate().skip(index + 1);
            let said = if others().any(|(_, other)| matches!(other, Method::Jwt(_))) { token::issuer(token) } else { None };
            let meant = others().find_map(|(index, other)| match other {
                Method::Jwt(other) if said.as_deref() == Some(&other.issuer) => Some((index, other)),
                _ => None,
            });
            let (index, method) = match said {
                Some(issuer) if issuer != method.issuer => meant.unwrap_or((index, method)),
                _ => (index, method),
            };
            match token::verify(method, token, asked.now).and_then(|claims| self.subject(index, method, claims)) {
                Ok(identity) => Answer::known(identity),
                Err(fault) => Answer::Refused(Refusal::Token(fault)),
            }
        };
        match asked.authorization("Bearer") {
            Found::Several => Some(Answer::Refused(Refusal::Token(TokenFault::Malformed))),
            found => found.map(decide).decided(),
        }
    }

    /// The Consumer that has this issuer and subject, else whom the claim names.
    fn subject(&self, index: usize, method: &Jwt, claims: Map<String, Value>) -> Result<Identity, TokenFault> {
        let subject = claims.get("sub").and_then(Value::as_str);
        let known = subject.and_then(|subject| self.consumers.of_subject(&method.issuer, subject)).cloned();
        let username = match &known {
            Some(consumer) => Some(Arc::clone(&consumer.username)),
            None => match claims.get(&method.consumer_claim).and_then(text) {
                Some(name) if !is_name(&name) => return Err(TokenFault::Name),
                name => name.map(Into::into),
            },
        };
        let groups = method.groups_claim.as_ref().and_then(|claim| claims.get(claim)).map(groups).unwrap_or_default();
        Ok(Identity { method: index, username, known, groups, claims })
    }

    fn by_header(&self, index: usize, method: &TrustedHeaders, asked: &Asked<'_>) -> Option<Answer> {
        if !asked.peer.is_some_and(|peer| method.believes(peer)) {
            return None;
        }
        let identity = |name: &[u8]| {
            // A comma is how a proxy joins two fields: one of them may be the client's.
            let name = std::str::from_utf8(name).ok().filter(|name| is_name(name) && !name.contains(','))?;
            let line = match method.groups.as_ref().map_or(Found::Nothing, |name| asked.header(name)) {
                Found::Nothing => &[][..],
                Found::One(line) => line,
                // One of them may be the client's, whatever the proxy does with the other.
                Found::Several => return None,
            };
            let names = line.split(|b| *b == b',').map(<[u8]>::trim_ascii);
            let groups = names.filter_map(|name| std::str::from_utf8(name).ok()).filter(|name| is_name(name));
            Some(Identity {
                method: index,
                username: Some(name.into()),
                known: self.consumers.named(name).cloned(),
                groups: groups.map(str::to_owned).collect(),
                claims: Map::new(),
            })
        };
        asked.header(&method.consumer).map(|name| identity(name).map_or(Answer::Refused(Refusal::Wrong), Answer::known)).decided()
    }
}

impl TrustedHeaders {
    /// Whether what this peer says of others counts.
    pub(crate) fn believes(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.from.iter().any(|net| net.contains(&peer))
    }
}

impl Answer {
    fn known(identity: Identity) -> Self {
        Self::Known(Box::new(identity))
    }
}

impl Found<Answer> {
    /// `None`: the next method may look.
    fn decided(self) -> Option<Answer> {
        match self {
            Self::Nothing => None,
            Self::One(answer) => Some(answer),
            Self::Several => Some(Answer::Refused(Refusal::Wrong)),
        }
    }
}

impl<T> Found<T> {
    fn map<U>(self, map: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Nothing => Found::Nothing,
            Self::One(value) => Found::One(map(value)),
            Self::Several => Found::Several,
        }
    }
}

/// A list of names, or one name.
fn groups(claim: &Value) -> Vec<String> {
    let entries = match claim {
        Value::Array(entries) => entries.as_slice(),
        one => std::slice::from_ref(one),
    };
    entries.iter().filter_map(text).filter(|name| is_name(name)).map(Into::into).collect()
}
