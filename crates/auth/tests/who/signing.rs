//! An issuer: a key of each kind, their public halves, and tokens, right and wrong.

use crate::support::{ISSUER, NOW};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// A key of each kind.
pub(crate) struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    pub(crate) shared: Vec<u8>,
}

pub(crate) static ALGORITHMS: LazyLock<Keys> = LazyLock::new(Keys::new);

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Of a token that is right.
pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "shop", "sub": "id-of-alice", "exp": NOW + 60, "groups": ["beta"]})
}

/// The same, with one claim as it is here; a null takes it away.
pub(crate) fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().expect("an object");
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.into(), value)
    };
    claims
}

impl Keys {
    pub(crate) fn new() -> Self {
        let ec = |algorithm| EcdsaKeyPair::generate(algorithm).expect("a key");
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
            p256: ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            ed: Ed25519KeyPair::generate().expect("a key"),
            shared: (0..64).collect(),
        }
    }

    /// All of them, each with its algorithm as its id.
    pub(crate) fn jwks(&self) -> String {
        let rsa = |algorithm: &str| self.rsa_jwk(Some(algorithm), Some(algorithm));
        let oct = |algorithm: &str| json!({"kty": "oct", "kid": algorithm, "alg": algorithm, "k": encode(&self.shared)});
        let keys = [rsa("RS256"), rsa("RS512"), rsa("PS256"), ec_jwk("P-256", "ES256", &self.p256), ec_jwk("P-384", "ES384", &self.p384)];
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": encode(self.ed.public_key().as_ref())});
        let keys: Vec<Value> = keys.into_iter().chain([ed, oct("HS256"), oct("HS512")]).collect();
        json!({"keys": keys}).to_string()
    }

    pub(crate) fn rsa_jwk(&self, id: Option<&str>, algorithm: Option<&str>) -> Value {
        let mut key = json!({"kty": "RSA", "n": encode(self.modulus()), "e": encode([1, 0, 1])});
        for (name, value) in [("kid", id), ("alg", algorithm)] {
            key.as_object_mut().expect("an object").extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        key
    }

    pub(crate) fn modulus(&self) -> Vec<u8> {
        self.rsa.public_key().modulus().big_endian_without_leading_zero().to_vec()
    }

    /// A token of these claims, by the key of this algorithm.
    pub(crate) fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.signed(&json!({"alg": algorithm, "kid": algorithm}), claims, algorithm)
    }

    /// With any head, by any key.
    pub(crate) fn signed(&self, head: &Value, claims: &Value, by: &str) -> String {
        let message = format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
        let signature = self.sign(by, message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    fn sign(&self, by: &str, message: &[u8]) -> Vec<u8> {
        let chance = SystemRandom::new();
        let rsa = |padding: &'static dyn signature::RsaEncoding| {
            let mut bytes = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(padding, &chance, message, &mut bytes).expect("a signature");
            bytes
        };
        match by {
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "ES256" => self.p256.sign(&chance, message).expect("a signature").as_ref().to_vec(),
            "ES384" => self.p384.sign(&chance, message).expect("a signature").as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "HS256" => mac(hmac::HMAC_SHA256, &self.shared, message),
            "HS512" => mac(hmac::HMAC_SHA512, &self.shared, message),
            "none" => Vec::new(),
            other => panic!("{other}"),
        }
    }
}

/// A symmetric signature, by whatever bytes.
pub(crate) fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}

fn ec_jwk(curve: &str, algorithm: &str, pair: &EcdsaKeyPair) -> Value {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
    json!({"kty": "EC", "crv": curve, "kid": algorithm, "alg": algorithm, "x": encode(x), "y": encode(y)})
}
