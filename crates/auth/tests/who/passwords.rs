//! basicAuth: names, passwords and the hashes of both kinds.

use crate::support::{BCRYPT, PASSWORD, answer, by_password, policy, who};
use argon2::PasswordHasher;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serin_auth::{Answer, Directory, FingerprintKey, Guess, PasswordHash, PasswordHashFault, Policy};
use std::sync::Arc;

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

fn guess(policy: &Policy, credentials: &str) -> Guess {
    match answer(policy, &[("authorization", &basic(credentials))], None, "192.0.2.7") {
        Answer::Password(guess) => guess,
        other => panic!("{other:?}"),
    }
}

#[test]
fn name_and_password_must_both_be_right() {
    let policy = policy(vec![by_password()]);
    let alice = basic(&format!("alice@shop:{PASSWORD}"));
    let token = alice.strip_prefix("Basic ").expect("the scheme");
    let right = [alice.clone(), format!("basic {token}"), format!("BASIC   {token}"), alice.trim_end_matches('=').to_owned()];
    for value in &right {
        assert_eq!(who(&policy, &[("authorization", value)], None, "192.0.2.7"), "alice of testers", "{value}");
    }
    let wrong =
        ["alice@shop:wrong", "alice@shop:", "alice@shop", ":", "", "alice:correctbatteryhorsestapler", "ALICE@shop:x", "\u{0}:\u{0}"];
    for credentials in wrong {
        assert_eq!(who(&policy, &[("authorization", &basic(credentials))], None, "192.0.2.7"), "Wrong", "{credentials}");
    }
    for value in ["Basic", "Basic ***", "Basic YQ=", "Basic Og==, Basic Og==", &format!("Basic {}", STANDARD.encode([0xff, b':']))] {
        assert_eq!(who(&policy, &[("authorization", value)], None, "192.0.2.7"), "Wrong", "{value}");
    }
    let twice = [("authorization", alice.as_str()), ("authorization", "Bearer x")];
    assert_eq!(who(&policy, &twice, None, "192.0.2.7"), "Wrong");
    assert_eq!(who(&policy, &[("authorization", &format!("Basic{token}"))], None, "192.0.2.7"), "Missing", "another scheme");
}

#[test]
fn unknown_name_is_hashed_as_a_known_one_and_nobodys_even_with_a_right_password() {
    let policy = policy(vec![by_password()]);
    let unknown = guess(&policy, &format!("mallory:{PASSWORD}"));
    assert!(!unknown.check());
    assert!(unknown.clone().settle(true).is_err(), "nobody can be settled on");
    let nobody = Policy { consumers: Arc::new(Directory::default()), ..policy };
    assert!(!guess(&nobody, "alice@shop:x").check());
}

#[test]
fn fingerprint_is_of_name_password_and_hash() {
    let (one, other) = (FingerprintKey::new(&[1; 32]), FingerprintKey::new(&[2; 32]));
    let policy = policy(vec![by_password()]);
    let print = |credentials: &str| guess(&policy, credentials).fingerprint(&one);
    assert_eq!(print("alice@shop:a"), print("alice@shop:a"));
    for different in ["alice@shop:b", "bob@shop:a", "alice@sho:pa", "mallory:a"] {
        assert_ne!(print("alice@shop:a"), print(different), "{different}");
    }
    assert_ne!(print("alice@shop:a"), guess(&policy, "alice@shop:a").fingerprint(&other));
}

#[test]
fn hashes_of_usual_tools_verify_their_password_only() {
    let digits = "n4Uy0eSnMfvnESYL.bLwuuj0U/ETSsoTpRT9GVk5bektyVVa5xnIi";
    let params = argon2::Params::new(64, 1, 2, None).expect("parameters");
    let argon2 = [argon2::Algorithm::Argon2id, argon2::Algorithm::Argon2i, argon2::Algorithm::Argon2d].map(|algorithm| {
        let hasher = argon2::Argon2::new(algorithm, argon2::Version::V0x13, params.clone());
        hasher.hash_password_with_salt(PASSWORD.as_bytes(), b"some salt").expect("a hash").to_string()
    });
    let hashes = [format!("$2a$04${digits}"), format!("$2y$04${digits}"), BCRYPT.to_owned()];
    for hash in hashes.into_iter().chain(argon2) {
        let parsed = PasswordHash::parse(format!("{hash}\n").as_bytes()).expect("a hash");
        assert!(parsed.verifies(PASSWORD.as_bytes()), "{hash}");
        assert!(!parsed.verifies(b"") && !parsed.verifies(b"Correctbatteryhorsestapler"), "{hash}");
        assert!(!format!("{parsed:?}").contains(&hash[4..]));
    }
}

#[test]
fn password_that_bcrypt_would_cut_off_is_nobodys() {
    let text = "a".repeat(72);
    let salt = *b"0123456789abcdef";
    let computed = bcrypt_of(&text, salt);
    assert!(computed.verifies(text.as_bytes()));
    assert!(!computed.verifies(format!("{text}b").as_bytes()));
    assert!(!computed.verifies(&vec![b'a'; 100_000]));
}

fn bcrypt_of(password: &str, salt: [u8; 16]) -> PasswordHash {
    use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
    let engine = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);
    let hash = bcrypt::bcrypt(4, salt, &password.as_bytes()[..72]);
    PasswordHash::parse(format!("$2b$04${}{}", engine.encode(salt), engine.encode(&hash[..23])).as_bytes()).expect("a hash")
}

#[test]
fn what_is_no_hash_says_why_and_not_what_it_is() {
    use PasswordHashFault::{Argon2, Argon2Cost, Bcrypt, BcryptCost, Unknown};
    let digits = &BCRYPT[7..];
    let salted = "$c29tZXNhbHRzb21l$9qWtwbpyPd3vm1rB1GThgPzZ3/ydHL92zKL+15XZypg";
    let cases = [
        (String::new(), Unknown),
        ("in clear".into(), Unknown),
        ("$apr1$salt$hash".into(), Unknown),
        ("{SHA}x".into(), Unknown),
        (format!("$2x$04${digits}"), Bcrypt),
        (format!("$2b$4${digits}"), Bcrypt),
        (format!("$2b$04${}", &digits[1..]), Bcrypt),
        (format!("$2b$04${}é", &digits[2..]), Bcrypt),
        (format!("$2b$03${digits}"), BcryptCost),
        (format!("$2b$15${digits}"), BcryptCost),
        (format!("$2b$31${digits}"), BcryptCost),
        ("$argon2id$v=19$m=1024,t=1,p=1".into(), Argon2),
        (format!("$argon2xx$v=19$m=1024,t=1,p=1{salted}"), Argon2),
        (format!("$argon2id$v=19$m=4194304,t=1,p=1{salted}"), Argon2Cost),
        (format!("$argon2id$v=19$m=65537,t=1,p=1{salted}"), Argon2Cost),
        (format!("$argon2id$v=19$m=65536,t=5,p=1{salted}"), Argon2Cost),
        (format!("$argon2id$v=19$m=1024,t=1000,p=1{salted}"), Argon2Cost),
    ];
    for (text, fault) in cases {
        assert_eq!(PasswordHash::parse(text.as_bytes()).expect_err("a fault"), fault, "{text}");
        assert!(text.is_empty() || !fault.to_string().contains(&text));
    }
    assert_eq!(PasswordHash::parse(&[0xff, 0xfe]).expect_err("a fault"), Unknown);
    // The dearest that are taken; among them what RFC 9106 and usual tools propose.
    for parameters in ["m=65536,t=4,p=1", "m=65536,t=3,p=4", "m=19456,t=2,p=1", "m=4096,t=64,p=1"] {
        assert!(PasswordHash::parse(format!("$argon2id$v=19${parameters}{salted}").as_bytes()).is_ok(), "{parameters}");
    }
    assert!(PasswordHash::parse(format!("$2b$14${digits}").as_bytes()).is_ok());
}
