//! jwt: every way in which a token can be another's.

use crate::signing::{ALGORITHMS, Keys, claims, encode, mac, with};
use crate::support::{NOW, answer, by_token, policy, who};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use serin_auth::{Answer, Directory, Jwks, JwksFault, Jwt, Method, Policy, Refusal, TokenFault};
use std::sync::Arc;

fn all_keys() -> Policy {
    policy(vec![by_token(&ALGORITHMS.jwks())])
}

fn of(policy: &Policy, token: &str) -> String {
    who(policy, &[("authorization", &format!("Bearer {token}"))], None, "192.0.2.7")
}

/// Why a token is refused.
fn fault(policy: &Policy, token: &str) -> TokenFault {
    match answer(policy, &[("authorization", &format!("Bearer {token}"))], None, "192.0.2.7") {
        Answer::Refused(Refusal::Token(fault)) => fault,
        other => panic!("{other:?} for {token}"),
    }
}

#[test]
fn token_of_each_algorithm_names_its_consumer() {
    let policy = all_keys();
    for algorithm in ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "HS256", "HS512"] {
        assert_eq!(of(&policy, &ALGORITHMS.token(algorithm, &claims())), "alice of testers,beta", "{algorithm}");
        let without_id = ALGORITHMS.signed(&json!({"alg": algorithm, "typ": "JWT"}), &claims(), algorithm);
        assert_eq!(of(&policy, &without_id), "alice of testers,beta", "{algorithm} without an id");
    }
    let twice = [("authorization", "Bearer x"), ("authorization", "Bearer x")];
    assert_eq!(who(&policy, &twice, None, "192.0.2.7"), "Token(Malformed)");
}

#[test]
fn algorithm_is_the_keys_and_never_the_tokens() {
    use TokenFault::{Signature, UnknownKey};
    let policy = all_keys();
    let claims = claims();
    let head = |algorithm: &str, id: Option<&str>| json!({"alg": algorithm, "kid": id});
    let message = |head: &Value| format!("{}.{}", encode(head.to_string()), encode(claims.to_string()));
    for none in ["none", "None", "NONE", "nOnE", "", "HS1", "null", "RS256 "] {
        for id in [None, Some("RS256"), Some("none")] {
            assert_eq!(fault(&policy, &ALGORITHMS.signed(&head(none, id), &claims, "none")), UnknownKey, "{none} {id:?}");
        }
    }
    // The public key as if it were a shared one, in every form that it has.
    let only_rsa = policy_of(&json!({"keys": [ALGORITHMS.rsa_jwk(Some("RS256"), None)]}));
    let modulus = ALGORITHMS.modulus();
    let forms = [modulus.clone(), encode(&modulus).into_bytes(), ALGORITHMS.rsa_jwk(Some("RS256"), None).to_string().into_bytes(), vec![]];
    for key in &forms {
        for id in [None, Some("RS256")] {
            let message = message(&head("HS256", id));
            let token = format!("{message}.{}", encode(mac(hmac::HMAC_SHA256, key, message.as_bytes())));
            assert_eq!(fault(&only_rsa, &token), UnknownKey);
            assert!(matches!(fault(&policy, &token), Signature | UnknownKey));
        }
    }
    // A key with another of its own kind's algorithms, and with one of another kind.
    for (said, by) in
        [("RS512", "RS256"), ("PS256", "RS256"), ("RS256", "PS256"), ("ES256", "RS256"), ("EdDSA", "ES256"), ("HS512", "HS256")]
    {
        assert_eq!(fault(&policy, &ALGORITHMS.signed(&head(said, None), &claims, by)), Signature, "{said} by {by}");
        assert_eq!(fault(&policy, &ALGORITHMS.signed(&head(said, Some(by)), &claims, by)), UnknownKey, "{said} by {by}");
    }
    assert_eq!(fault(&only_rsa, &ALGORITHMS.signed(&head("RS512", Some("RS256")), &claims, "RS512")), UnknownKey, "of a key without alg");
    // An id is compared and nothing else is done with it.
    for id in ["", "../../dev/null", "RS256' OR 1=1", "rs256", "RS256\0", "ES256"] {
        assert_eq!(fault(&policy, &ALGORITHMS.signed(&head("RS256", Some(id)), &claims, "RS256")), UnknownKey, "{id:?}");
    }
    // Another issuer's keys, and keys that the token brings with it.
    let mallory = Keys::new();
    assert_eq!(fault(&policy, &mallory.token("RS256", &claims)), Signature);
    let own = mallory.rsa_jwk(Some("RS256"), Some("RS256"));
    for (name, value) in [("jwk", own), ("jku", json!("https://evil.example/keys")), ("x5u", json!("https://evil.example/cert"))] {
        let mut head = head("RS256", Some("RS256"));
        head[name] = value;
        assert_eq!(fault(&policy, &mallory.signed(&head, &claims, "RS256")), Signature, "{name}");
    }
}

#[test]
fn token_that_names_no_key_is_tried_with_a_few() {
    let key = |number: u8| json!({"kty": "oct", "kid": number.to_string(), "k": encode([number; 32])});
    let policy = policy_of(&json!({"keys": (1..=9).map(key).collect::<Vec<_>>()}));
    let token = |id: Value, number: u8| {
        let message = format!("{}.{}", encode(json!({"alg": "HS256", "kid": id}).to_string()), encode(claims().to_string()));
        format!("{message}.{}", encode(mac(hmac::HMAC_SHA256, &[number; 32], message.as_bytes())))
    };
    assert_eq!(of(&policy, &token(Value::Null, 8)), "alice of testers,beta");
    assert_eq!(fault(&policy, &token(Value::Null, 9)), TokenFault::Signature, "each try costs a signature");
    assert_eq!(of(&policy, &token(json!("9"), 9)), "alice of testers,beta");
}

#[test]
fn token_that_is_changed_or_no_token_is_refused() {
    let policy = all_keys();
    let good = ALGORITHMS.token("ES256", &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let forged = encode(with("sub", json!("id-of-bob")).to_string());
    assert_eq!(fault(&policy, &format!("{head}.{forged}.{signature}")), TokenFault::Signature);
    for token in ["", ".", "..", "...", "a.b", "a.b.c", &format!("{head}.{body}"), &format!("{head}.{body}.{signature}.")] {
        assert_eq!(fault(&policy, token), TokenFault::Malformed, "{token}");
    }
    for token in [format!("{head}.{body}."), format!("{head}.{body}.{signature}="), format!("{head}.{body}.{}", &signature[1..])] {
        assert_eq!(fault(&policy, &token), TokenFault::Signature, "{token}");
    }
    for head in [json!([]), json!("x"), json!({}), json!({"alg": 5}), json!({"alg": ["RS256"]}), json!({"alg": "RS256", "kid": 5})] {
        assert_eq!(fault(&policy, &ALGORITHMS.signed(&head, &claims(), "RS256")), TokenFault::Malformed, "{head}");
    }
    for extension in
        [json!({"alg": "RS256", "crit": ["b64"], "b64": false}), json!({"alg": "RS256", "crit": []}), json!({"alg": "RS256", "b64": false})]
    {
        assert_eq!(fault(&policy, &ALGORITHMS.signed(&extension, &claims(), "RS256")), TokenFault::Critical, "{extension}");
    }
    for body in [json!([]), json!("x"), json!(5)] {
        assert_eq!(fault(&policy, &ALGORITHMS.token("RS256", &body)), TokenFault::Malformed, "{body}");
    }
    let twice = format!("{}.{body}", encode(r#"{"alg":"none","alg":"ES256"}"#));
    assert_eq!(fault(&policy, &format!("{twice}.{signature}")), TokenFault::Malformed, "a member given twice");
    assert_eq!(fault(&policy, &ALGORITHMS.token("RS256", &with("x", json!("x".repeat(16_384))))), TokenFault::TooLong);
    assert_eq!(of(&policy, &ALGORITHMS.token("RS256", &with("x", json!("x".repeat(8_192))))), "alice of testers,beta");
}

#[test]
fn issuer_audience_and_time_must_be_right() {
    use TokenFault::{Audience, Early, Endless, Expired, Issuer, Malformed};
    let policy = all_keys();
    let wrong = [
        ("iss", json!("https://id.example/"), Issuer),
        ("iss", json!(["https://id.example"]), Issuer),
        ("iss", Value::Null, Issuer),
        ("aud", json!("other"), Audience),
        ("aud", json!(["other", 5]), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!({"shop": true}), Audience),
        ("aud", Value::Null, Audience),
        ("exp", Value::Null, Endless),
        ("exp", json!(NOW), Expired),
        ("exp", json!(NOW - 1), Expired),
        ("exp", json!(0), Expired),
        ("exp", json!(-1), Expired),
        ("exp", json!("9999999999"), Malformed),
        ("nbf", json!(NOW + 31), Early),
        ("nbf", json!(1e300), Early),
        ("nbf", json!("soon"), Malformed),
    ];
    for (claim, value, expected) in wrong {
        assert_eq!(fault(&policy, &ALGORITHMS.token("ES256", &with(claim, value.clone()))), expected, "{claim} {value}");
    }
    let right = [
        ("aud", json!(["other", "shop"])),
        ("exp", json!(NOW + 1)),
        ("exp", json!(NOW as f64 + 0.5)),
        ("exp", json!(1e300)),
        ("nbf", json!(NOW + 30)),
        ("nbf", json!(-5)),
    ];
    for (claim, value) in right {
        assert_eq!(of(&policy, &ALGORITHMS.token("ES256", &with(claim, value.clone()))), "alice of testers,beta", "{claim} {value}");
    }
}

#[test]
fn consumer_is_the_one_with_that_subject_else_the_one_that_the_claim_names() {
    let policy = all_keys();
    let as_stranger = |name: &str, value: Value| {
        let mut claims = with("sub", json!("id-of-carol"));
        claims[name] = value;
        of(&policy, &ALGORITHMS.token("ES256", &claims))
    };
    assert_eq!(as_stranger("preferred_username", json!("carol")), "carol of beta");
    assert_eq!(as_stranger("preferred_username", json!("alice")), "alice of beta", "a name alone brings none of a Consumer's groups");
    assert_eq!(as_stranger("preferred_username", json!(4711)), "4711 of beta");
    assert_eq!(as_stranger("preferred_username", json!(["alice"])), "- of beta");
    assert_eq!(as_stranger("other", json!("alice")), "- of beta");
    for hostile in [json!(""), json!("a\nb"), json!("a\u{0}"), json!("x".repeat(1_025))] {
        assert_eq!(as_stranger("preferred_username", hostile), "Token(Name)");
    }
    let groups = |value: Value| of(&policy, &ALGORITHMS.token("ES256", &with("groups", value)));
    assert_eq!(groups(json!("one")), "alice of testers,one");
    assert_eq!(groups(json!(["a", "", 5, true, null, {"b": 1}, "c\r\n"])), "alice of testers,a,5,true");
    assert_eq!(groups(json!({"a": "b"})), "alice of testers");
    let unknown = Policy { consumers: Arc::new(Directory::default()), ..policy.clone() };
    assert_eq!(of(&unknown, &ALGORITHMS.token("ES256", &claims())), "- of beta");
}

#[test]
fn claims_are_texts_and_the_json_text_of_numbers_and_booleans() {
    let claims = with("tenant", json!({"a": 1}));
    let claims = json!({"text": "t", "empty": "", "number": 42, "negative": -7, "fraction": 1.5, "yes": true, "list": ["a"], "nothing": null,
        "iss": claims["iss"], "aud": claims["aud"], "exp": claims["exp"], "tenant": claims["tenant"]});
    let token = format!("Bearer {}", ALGORITHMS.token("ES256", &claims));
    let Answer::Known(identity) = answer(&all_keys(), &[("authorization", &token)], None, "192.0.2.7") else { panic!("it is known") };
    let cases = [("text", Some("t")), ("empty", Some("")), ("number", Some("42")), ("negative", Some("-7")), ("fraction", Some("1.5"))];
    let others = [("yes", Some("true")), ("list", None), ("nothing", None), ("tenant", None), ("absent", None)];
    for (name, expected) in cases.into_iter().chain(others) {
        assert_eq!(identity.claim(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn of_several_issuers_the_one_decides_that_the_token_names() {
    let Method::Jwt(first) = by_token(&ALGORITHMS.jwks()) else { panic!("it is one") };
    let mallory = Keys::new();
    let keys = Arc::new(Jwks::parse(mallory.jwks().as_bytes()).expect("keys"));
    let second = Jwt { issuer: "https://other.example".into(), keys, consumer_claim: "sub".into(), ..first.clone() };
    let policy = policy(vec![Method::Jwt(first), Method::Jwt(second)]);
    let theirs = with("iss", json!("https://other.example"));
    assert_eq!(of(&policy, &ALGORITHMS.token("ES256", &claims())), "alice of testers,beta");
    assert_eq!(of(&policy, &mallory.token("ES256", &theirs)), "id-of-alice of beta", "another issuer's subject is another's");
    assert_eq!(fault(&policy, &mallory.token("ES256", &claims())), TokenFault::Signature);
    assert_eq!(fault(&policy, &ALGORITHMS.token("ES256", &theirs)), TokenFault::Signature);
    assert_eq!(fault(&policy, &mallory.token("ES256", &with("iss", json!("third")))), TokenFault::Signature);
}

#[test]
fn challenge_says_what_is_wrong_with_a_token_and_nothing_without_one() {
    let told = |refusal| all_keys().challenges(refusal)[0].to_str().expect("text").to_owned();
    assert_eq!(told(Refusal::Missing), r#"Bearer realm="serin""#);
    assert_eq!(
        told(Refusal::Token(TokenFault::Expired)),
        r#"Bearer realm="serin", error="invalid_token", error_description="the token has expired""#
    );
}

fn policy_of(jwks: &Value) -> Policy {
    policy(vec![by_token(&jwks.to_string())])
}

#[test]
fn key_sets_are_read_as_rfc_7517_says() {
    let rsa = ALGORITHMS.rsa_jwk(Some("a"), None);
    let merged = |mut key: Value, more: Value| {
        key.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        key
    };
    let unusable = [
        json!({"kty": "XYZ"}),
        json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
        merged(rsa.clone(), json!({"use": "enc"})),
        merged(rsa.clone(), json!({"alg": "RSA-OAEP"})),
        merged(rsa.clone(), json!({"alg": "HS256"})),
        merged(rsa.clone(), json!({"key_ops": ["encrypt"]})),
    ];
    for key in &unusable {
        assert_eq!(Jwks::parse(json!({"keys": [key]}).to_string().as_bytes()), Err(JwksFault::NoneUsable), "{key}");
        assert!(Jwks::parse(json!({"keys": [key, rsa]}).to_string().as_bytes()).is_ok(), "{key} is passed over");
    }
    let faulty = [
        json!({}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "RSA", "e": "AQAB"}),
        merged(rsa.clone(), json!({"e": "***"})),
        json!({"kty": "oct", "k": encode([7; 31])}),
        json!({"kty": "oct", "k": encode([7; 63]), "alg": "HS512"}),
        json!({"kty": "EC", "crv": "P-256", "x": encode([1; 31]), "y": encode([1; 32])}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": encode([1; 33])}),
    ];
    for key in &faulty {
        let fault = Jwks::parse(json!({"keys": [rsa, key]}).to_string().as_bytes()).expect_err("a fault");
        assert!(matches!(fault, JwksFault::Key { number: 2, .. }), "{key}: {fault}");
    }
    for text in ["", "[]", "{}", "{\"keys\": {}}", "\u{0}"] {
        assert_eq!(Jwks::parse(text.as_bytes()), Err(JwksFault::Malformed), "{text}");
    }
    assert_eq!(Jwks::parse(json!({"keys": vec![rsa; 65]}).to_string().as_bytes()), Err(JwksFault::TooMany));
    let keys = Jwks::parse(ALGORITHMS.jwks().as_bytes()).expect("keys");
    assert!(keys.has_symmetric_keys() && format!("{keys:?}").contains("HS512"), "{keys:?}");
    assert!(!format!("{keys:?}").contains(&encode(&ALGORITHMS.shared)));
}
