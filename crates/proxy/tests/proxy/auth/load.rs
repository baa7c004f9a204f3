//! 50 wrong passwords a second, each from another client: what others wait does not double.

use super::passwords::{limited, request};
use super::site::{Site, by_key, by_password, directory, hash, policy};
use crate::support::Client;
use serin_auth::Policy;
use serin_proxy::PasswordLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const FEWEST_ROUNDS: u8 = 10;
const MOST_ROUNDS: u8 = 100;
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

/// Wrong passwords at their rate until told to stop; how many there were.
fn attack(site: &Site, stop: &AtomicBool, round: u8) -> u32 {
    let (mut sent, mut number, start) = (Vec::new(), 0_u32, Instant::now());
    while !stop.load(Relaxed) {
        let [_, _, high, low] = (number + 1).to_be_bytes();
        let address = [127, round + 1, high, low];
        let mut client = site.client_from(address);
        client.send(request("/", "alice", &format!("wrong-{number}")));
        sent.push(client);
        number += 1;
        let next = start + BETWEEN_WRONG * number;
        thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    number
}

#[test]
fn fifty_wrong_passwords_a_second_do_not_double_what_others_wait() {
    let consumers = Arc::new(directory(&hash(dear(), "password")));
    let policy = Policy { consumers, ..policy(vec![by_key(), by_password()]) };
    let site = Site::of(Site::config(policy), limited(PasswordLimits::default()));
    p99(&site);
    let (mut quiet, mut attacked, mut wrong, mut rounds) = (Duration::MAX, Duration::MAX, 0, 0);
    // The best round of each, in turn: a short one is now and then free of whatever else the machine does, and never of what the attack
    // costs, since one round's passwords take longer to check than it lasts.
    while rounds < FEWEST_ROUNDS || (rounds < MOST_ROUNDS && attacked >= quiet * 2) {
        quiet = quiet.min(p99(&site));
        let stop = AtomicBool::new(false);
        wrong += thread::scope(|scope| {
            let attacker = scope.spawn(|| attack(&site, &stop, rounds));
            attacked = attacked.min(p99(&site));
            stop.store(true, Relaxed);
            attacker.join().expect("no panic")
        });
        rounds += 1;
    }
    let rate = f64::from(wrong) / f64::from(rounds) / ROUND.as_secs_f64();
    println!("{rate:.0} wrong passwords a second: p99 of others {attacked:?}, without {quiet:?}, in {rounds} rounds");
    assert!(rate > 40.0, "{rate:.0} a second is no attack");
    assert!(attacked < quiet * 2, "{attacked:?} with the attack and {quiet:?} without");
}
