//! How often each client was wrong lately: for one user name, and in all.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// For how long a client's wrong guesses count together.
const WINDOW: Duration = Duration::from_secs(60);
/// So many tallies are kept.
const REMEMBERED: usize = 64 * 1024;
/// Behind one address there may be many, of whom one shall not lock out the others: in all it may be wrong so many times as often as for one
/// user name.
const USERS: u32 = 10;

/// A client of the routes of one policy, who says to be somebody.
#[derive(Debug, Clone)]
pub(super) struct Client {
    policy: Box<str>,
    /// Of IPv6 the first 64 bits: within them each host has as many as it likes.
    pub(super) network: IpAddr,
    username: Box<str>,
}

/// What is counted. A user name is whatever the client wrote, so it is kept as a hash that nobody can foresee.
type Key = (Box<str>, IpAddr, Option<u64>);

/// The clients that were wrong lately, or have a guess under way.
#[derive(Debug, Default)]
pub(super) struct Clients {
    tallies: HashMap<Key, Tally>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Tally {
    since: Instant,
    wrong: u32,
    under_way: u32,
}

impl Client {
    pub(super) fn new(policy: &str, address: IpAddr, username: &str) -> Self {
        let network = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        };
        Self { policy: policy.into(), network, username: username.into() }
    }
}

impl Clients {
    /// Whether a client may make a guess. One under way counts as wrong until it is known to be right, or many at once would all pass.
    ///
    /// # Errors
    /// With how long to wait when it has made as many wrong ones as it may: so many for a user name, and ten times as many in all.
    pub(super) fn allow(&self, client: &Client, limit: u32, now: Instant) -> Result<(), Duration> {
        for (key, limit) in self.keys(client).into_iter().zip([limit, limit.saturating_mul(USERS)]) {
            let Some(tally) = self.tallies.get(&key) else { continue };
            let age = now.saturating_duration_since(tally.since);
            let wrong = if age < WINDOW { tally.wrong } else { 0 };
            if wrong.saturating_add(tally.under_way) >= limit {
                // Nothing but time makes a wrong one good; one under way will be over in a moment.
                return Err(if wrong >= limit { WINDOW.saturating_sub(age) } else { Duration::ZERO });
            }
        }
        Ok(())
    }

    /// It makes one.
    pub(super) fn begin(&mut self, client: &Client, now: Instant) {
        for key in self.keys(client) {
            if self.tallies.len() >= REMEMBERED && !self.tallies.contains_key(&key) {
                self.forget(now);
            }
            let tally = self.tallies.entry(key).or_insert(Tally { since: now, wrong: 0, under_way: 0 });
            if now.saturating_duration_since(tally.since) >= WINDOW {
                (tally.since, tally.wrong) = (now, 0);
            }
            tally.under_way += 1;
        }
    }

    /// It is over.
    pub(super) fn end(&mut self, client: &Client, was_right: bool, now: Instant) {
        for key in self.keys(client) {
            let Some(tally) = self.tallies.get_mut(&key) else { continue };
            tally.under_way = tally.under_way.saturating_sub(1);
            if !was_right {
                if tally.wrong == 0 {
                    tally.since = now;
                }
                tally.wrong += 1;
            } else if tally.wrong == 0 && tally.under_way == 0 {
                self.tallies.remove(&key);
            }
        }
    }

    /// For the user name, and in all.
    fn keys(&self, client: &Client) -> [Key; 2] {
        let name = self.hasher.hash_one(&client.username);
        [Some(name), None].map(|name| (client.policy.clone(), client.network, name))
    }

    /// Those whose time is over; if that leaves too many, all that have nothing under way: there must be an end.
    fn forget(&mut self, now: Instant) {
        self.tallies.retain(|_, tally| tally.under_way > 0 || now.saturating_duration_since(tally.since) < WINDOW);
        if self.tallies.len() >= REMEMBERED {
            self.tallies.retain(|_, tally| tally.under_way > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(policy: &str, address: &str, username: &str) -> Client {
        Client::new(policy, address.parse().expect("an address"), username)
    }

    fn wrong(clients: &mut Clients, client: &Client, now: Instant) {
        clients.begin(client, now);
        clients.end(client, false, now);
    }

    #[test]
    fn client_that_was_wrong_too_often_waits_for_the_end_of_its_minute() {
        let (mut clients, start, one) = (Clients::default(), Instant::now(), client("shop/a", "192.0.2.7", "alice"));
        for _ in 0..3 {
            assert_eq!(clients.allow(&one, 3, start), Ok(()));
            wrong(&mut clients, &one, start);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(clients.allow(&one, 3, later), Err(Duration::from_secs(40)));
        for other in [client("shop/b", "192.0.2.7", "alice"), client("shop/a", "192.0.2.8", "alice"), client("shop/a", "192.0.2.7", "bob")]
        {
            assert_eq!(clients.allow(&other, 3, later), Ok(()), "{other:?}");
        }
        assert_eq!(clients.allow(&one, 3, start + WINDOW), Ok(()));
    }

    #[test]
    fn one_address_may_be_wrong_ten_times_as_often_whatever_names_it_makes_up() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        for number in 0..30 {
            let one = client("shop/a", "192.0.2.7", &format!("user-{number}"));
            assert_eq!(clients.allow(&one, 3, now), Ok(()), "{number}");
            wrong(&mut clients, &one, now);
        }
        assert_eq!(clients.allow(&client("shop/a", "192.0.2.7", "alice"), 3, now), Err(WINDOW));
        assert_eq!(clients.tallies.len(), 31, "which is all that it costs");
    }

    #[test]
    fn guesses_under_way_count_until_they_are_right() {
        let (mut clients, now, one) = (Clients::default(), Instant::now(), client("shop/a", "2001:db8::1", "alice"));
        clients.begin(&one, now);
        let neighbour = client("shop/a", "2001:db8::ffff:1", "alice");
        assert_eq!(clients.allow(&neighbour, 1, now), Err(Duration::ZERO), "of the same network");
        clients.end(&one, true, now);
        assert_eq!(clients.allow(&neighbour, 1, now), Ok(()));
    }

    #[test]
    fn those_remembered_have_an_end() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        for number in 0..2 * REMEMBERED {
            let address = IpAddr::V6(Ipv6Addr::from_bits((number as u128) << 64));
            wrong(&mut clients, &Client::new("shop/a", address, &number.to_string()), now);
        }
        assert!(clients.tallies.len() <= REMEMBERED);
    }
}
