//! 50 wrong passwords a second, each from another client: what others wait does not double.
//!
//! A target of its own, since targets run one after the other: beside other tests the two cores of a small machine are taken, and what the
//! check of a password adds there is their doing.

#[expect(dead_code, reason = "the proxy's other tests use the rest")]
#[path = "../proxy/auth/site.rs"]
mod site;
#[expect(dead_code, reason = "the proxy's other tests use the rest")]
#[path = "../proxy/support.rs"]
mod support;

use serin_auth::Policy;
use serin_proxy::PasswordLimits;
use site::{Site, by_key, by_password, directory, hash, limited, policy, request};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use support::Client;

/// Odd, so that each median is one of the rounds.
const ROUNDS: usize = 11;
const ROUNDS_OF_THE_LONG_FORM: usize = 41;
const ROUND: Duration = Duration::from_millis(300);
const BETWEEN_WRONG: Duration = Duration::from_millis(20);

/// A cost at which a check takes a tenth of a second or more here, as it should where passwords are kept.
fn dear() -> u32 {
    let start = Instant::now();
    hash(6, "password");
    let of_six = start.elapsed();
    (6..14).find(|cost| of_six * 2_u32.pow(cost - 6) >= Duration::from_millis(100)).unwrap_or(14)
}

/// The 99th percentile of what requests of a consumer with a key take within a round.
fn p99(site: &Site) -> Duration {
    let (mut client, mut times, end) = (Client::of(&site.proxy), Vec::new(), Instant::now() + ROUND);
    while Instant::now() < end {
        let start = Instant::now();
        let answer = client.send("GET / HTTP/1.1\r\nHost: shop.example\r\napikey: key of alice\r\n\r\n").response();
        assert_eq!(answer.status(), 200);
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() * 99 / 100]
}

/// Wrong passwords at their rate for a round; how many there were. All their clients have left then.
fn attack(site: &Site, round: usize) -> u32 {
    let (mut sent, mut number, start) = (Vec::new(), 0_u32, Instant::now());
    while start.elapsed() < ROUND {
        let mut client = site.client_from(address(round, number));
        client.send(request("/", "alice", &format!("wrong-{round}-{number}")));
        sent.push(client);
        number += 1;
        let next = start + BETWEEN_WRONG * number;
        thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    assert_eq!(sent[0].response().status(), 401, "the first one was checked");
    number
}

/// Another one for each wrong password, so that nobody is refused before a check.
fn address(round: usize, number: u32) -> [u8; 4] {
    let [_, _, high, low] = (number + 1).to_be_bytes();
    [127, u8::try_from(round + 1).expect("few rounds"), high, low]
}

/// Returns when no password waits or is checked any more: the one thread answers what was asked last after all else.
fn drain(site: &Site, round: usize) {
    let answer = site.client_from(address(round, 65_000)).send(request("/", "bob", &format!("last-{round}"))).response();
    assert_eq!(answer.status(), 401);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn fifty_wrong_passwords_a_second_do_not_double_what_others_wait() {
    let consumers = Arc::new(directory(&hash(dear(), "password")));
    let policy = Policy { consumers, ..policy(vec![by_key(), by_password()]) };
    // As many threads as a machine of up to four cores has for them.
    let site = Site::of(Site::config(policy), limited(PasswordLimits { threads: 1, ..PasswordLimits::default() }));
    p99(&site);
    let rounds = if std::env::var_os("SERIN_LONG").is_some() { ROUNDS_OF_THE_LONG_FORM } else { ROUNDS };
    let (mut quiet, mut loud, mut wrong) = (Vec::new(), Vec::new(), 0);
    // In turn, so that whatever else the machine does falls on both; a quiet one carries nothing of the attack before it.
    for round in 0..rounds {
        quiet.push(p99(&site));
        wrong += thread::scope(|scope| {
            let attacker = scope.spawn(|| attack(&site, round));
            loud.push(p99(&site));
            attacker.join().expect("no panic")
        });
        drain(&site, round);
    }
    let rate = f64::from(wrong) / rounds as f64 / ROUND.as_secs_f64();
    let (quiet, loud) = (median(quiet), median(loud));
    println!("{rate:.0} wrong passwords a second: p99 of others {loud:?}, without {quiet:?}, medians of {rounds} rounds each");
    assert!(rate > 40.0, "{rate:.0} a second is no attack");
    assert!(loud < quiet * 2, "{loud:?} with the attack and {quiet:?} without");
}
