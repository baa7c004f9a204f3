use super::*;
use base64::Engine;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use serin_auth::{Anonymous, Answer, Asked, BasicAuth, Consumer, Credential, Directory, Method, PasswordHash, Policy};
use std::time::Duration;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const MINUTE: Duration = Duration::from_secs(60);
/// Of alice, the cheapest that there is.
const HASH: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";
const PASSWORD: &str = "correctbatteryhorsestapler";

/// As a request makes it.
pub(super) fn guess(username: &str, password: &str) -> Guess {
    let hash = PasswordHash::parse(HASH.as_bytes()).expect("a hash");
    let credentials = vec![Credential::BasicAuth { username: "alice".into(), hash }];
    let alice = Consumer { username: "alice".into(), groups: Vec::new(), credentials };
    let policy = Policy {
        name: "shop/policy".into(),
        methods: vec![Method::BasicAuth(BasicAuth { realm: "shop".into() })],
        anonymous: Anonymous::Deny,
        hide_credentials: true,
        consumers: Arc::new(Directory::new(vec![Arc::new(alice)])),
    };
    let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")));
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::try_from(value).expect("a value"))]);
    match policy.authenticate(&Asked { headers: &headers, query: None, peer: None, now: Timestamp::UNIX_EPOCH }) {
        Answer::Password(guess) => guess,
        other => panic!("{other:?}"),
    }
}

pub(super) fn print(guess: &Guess) -> Fingerprint {
    guess.fingerprint(&FingerprintKey::new(&[7; 32]))
}

fn ask(passwords: &Passwords, password: &str, now: Instant) -> Result<Known, Failure> {
    let guess = guess("alice", password);
    let print = passwords.fingerprint(&guess);
    passwords.ask("shop/policy", HOME, guess, print, now).map_err(|refused| refused.failure)
}

fn is_right(known: Result<Known, Failure>) -> bool {
    match known.expect("it is taken") {
        Known::Right => true,
        Known::Soon(right) => right.blocking_recv().expect("an answer"),
    }
}

#[test]
fn waiters_of_one_guess_cost_their_client_one_guess() {
    let passwords = Passwords::new(PasswordLimits { failures: 3, ..PasswordLimits::default() }).expect("random bytes");
    let now = Instant::now();
    let (waited, print) = (guess("alice", "wrong"), passwords.fingerprint(&guess("alice", "wrong")));
    // It is pending already, and will be for as long as this takes.
    passwords.0.state().pending.insert(print, Pending { waiters: Vec::new(), by: Some(Client::new("shop/policy", HOME, "alice")) });
    for _ in 0..100 {
        let known = passwords.ask("shop/policy", HOME, waited.clone(), print, now);
        assert!(matches!(known, Ok(Known::Soon(_))), "{known:?}");
    }
    assert_eq!(passwords.0.state().queue.len(), 0, "it is checked once");
    passwords.0.state().settle(print, Some(false), now);
    for number in 0..3 {
        assert!(!is_right(ask(&passwords, &format!("wrong-{number}"), now)));
    }
    assert_eq!(ask(&passwords, "wrong-3", now).expect_err("too many"), Failure::TooManyWrongPasswords);
}

#[test]
fn guess_that_was_right_lately_passes_the_limit_and_is_checked_again() {
    let passwords = Passwords::new(PasswordLimits { failures: 3, ..PasswordLimits::default() }).expect("random bytes");
    let (start, guess) = (Instant::now(), guess("alice", PASSWORD));
    assert!(is_right(ask(&passwords, PASSWORD, start)));
    let later = start + 2 * MINUTE;
    let client = Client::new("shop/policy", HOME, guess.username());
    for _ in 0..3 {
        passwords.0.state().clients.begin(&client, later);
        passwords.0.state().clients.end(&client, false, later);
    }
    assert_eq!(ask(&passwords, "wrong", later).expect_err("too many"), Failure::TooManyWrongPasswords);
    let known = ask(&passwords, PASSWORD, later);
    assert!(matches!(known, Ok(Known::Soon(_))), "{known:?}");
    assert!(is_right(known));
}

#[test]
fn without_a_thread_nobody_waits_for_one() {
    let passwords = Passwords::on_stacks(PasswordLimits::default(), 1 << 50).expect("random bytes");
    assert_eq!(ask(&passwords, PASSWORD, Instant::now()).expect_err("no thread"), Failure::PasswordsBusy);
    assert!(passwords.0.state().pending.is_empty());
}
