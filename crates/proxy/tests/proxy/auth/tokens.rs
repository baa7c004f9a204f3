//! Tokens, through the real proxy. Every way in which one can be wrong is a test in `auth`.

use super::site::{ISSUER, Site, policy};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use serin_auth::{Anonymous, Jwks, Jwt, Method, Policy};
use serin_proxy::Settings;
use serin_routing::config::{By, People};
use serin_split::{Kind, place};
use std::sync::Arc;

const SHARED: &[u8] = b"0123456789abcdef0123456789abcdef";
/// The modulus of a public key that anybody may read.
const MODULUS: [u8; 256] = [0xc5; 256];

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn by_token() -> Method {
    let shared = json!({"kty": "oct", "kid": "shared", "k": encode(SHARED)});
    let public = json!({"kty": "RSA", "kid": "public", "n": encode(MODULUS), "e": "AQAB"});
    let keys = Jwks::parse(json!({"keys": [shared, public]}).to_string().as_bytes()).expect("keys");
    let (consumer_claim, groups_claim) = ("sub".into(), Some("groups".into()));
    Method::Jwt(Jwt { issuer: ISSUER.into(), audiences: vec!["shop".into()], keys: Arc::new(keys), consumer_claim, groups_claim })
}

fn token(head: &Value, claims: &Value, key: &[u8]) -> String {
    let message = format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
    let signature =
        if key.is_empty() { Vec::new() } else { hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec() };
    format!("{message}.{}", encode(signature))
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "shop", "sub": "id-of-alice", "exp": jiff::Timestamp::now().as_second() + 600, "tenant": 42})
}

fn request(token: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer {token}\r\n\r\n")
}

#[test]
fn only_the_issuers_token_is_alices() {
    let site = Site::with(Policy { anonymous: Anonymous::Allow, ..policy(vec![by_token()]) });
    let head = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id});
    assert_eq!(site.ask(request(&token(&head("HS256", "shared"), &claims(), SHARED))).text(), "canary");
    assert_eq!(site.ask("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").text(), "stable", "nobody is let in");
    let expired = json!({"iss": ISSUER, "aud": "shop", "sub": "id-of-alice", "exp": jiff::Timestamp::now().as_second() - 1});
    let elsewhere = json!({"iss": ISSUER, "aud": "other", "sub": "id-of-alice", "exp": 9_999_999_999_u64});
    let wrong = [
        (token(&head("HS256", "shared"), &expired, SHARED), "the token has expired"),
        (token(&head("HS256", "shared"), &elsewhere, SHARED), "the token is for another audience"),
        (token(&head("none", "shared"), &claims(), b""), "the token is signed by no known key"),
        (token(&head("nOnE", "public"), &claims(), b""), "the token is signed by no known key"),
        (token(&head("HS256", "public"), &claims(), &MODULUS), "the token is signed by no known key"),
        (token(&json!({"alg": "HS256"}), &claims(), &MODULUS), "the signature is wrong"),
        (token(&head("RS256", "public"), &claims(), SHARED), "the signature is wrong"),
        ("x".into(), "the token is malformed"),
    ];
    for (token, why) in &wrong {
        let answer = site.ask(request(token));
        assert_eq!((answer.status(), answer.text()), (401, "the credentials are wrong\n"), "{why}");
        let challenge = answer.field("www-authenticate").expect("a challenge");
        assert_eq!(challenge, format!(r#"Bearer realm="serin", error="invalid_token", error_description="{why}""#));
    }
    assert_eq!(site.origins().count(), 2, "those that were wrong reached no origin");
    assert!(site.origins().all(|request| request.field("authorization").is_none()));
}

#[test]
fn split_by_claim_takes_the_text_of_a_number() {
    let mut config = Site::config(policy(vec![by_token()]));
    (config.releases[0].people, config.releases[0].by) = (People::Anyone, By::Claim("tenant".into()));
    let site = Site::of(config, Settings { decision_header: true, ..crate::support::settings() });
    let answer = site.ask(request(&token(&json!({"alg": "HS256"}), &claims(), SHARED)));
    let bucket = place("shop/checkout", Kind::Claim, b"42", 1000).bucket;
    let decision = format!("release=shop/checkout; side=canary; rule=bucket; bucket={bucket}; k=1000");
    assert_eq!(answer.field("serin-decision"), Some(decision.as_str()));
}

#[test]
fn group_of_a_token_needs_no_consumer_object() {
    let mut config = Site::config(policy(vec![by_token()]));
    config.releases[0].people = People::Group("beta".into());
    let site = Site::of(config, crate::support::settings());
    let mut claims = claims();
    claims["sub"] = json!("somebody");
    assert_eq!(site.ask(request(&token(&json!({"alg": "HS256"}), &claims, SHARED))).text(), "stable");
    claims["groups"] = json!(["beta"]);
    assert_eq!(site.ask(request(&token(&json!({"alg": "HS256"}), &claims, SHARED))).text(), "canary");
}
