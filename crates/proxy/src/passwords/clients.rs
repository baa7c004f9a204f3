//! How often each client was wrong lately.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// For how long a client's wrong guesses count together.
const WINDOW: Duration = Duration::from_secs(60);
/// So many clients are remembered.
const REMEMBERED: usize = 64 * 1024;

/// A client of the routes of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Client {
    policy: Box<str>,
    /// Of IPv6 the first 64 bits: within them each host has as many as it likes.
    network: IpAddr,
}

/// The clients that were wrong lately, or have a guess under way.
#[derive(Debug, Default)]
pub(super) struct Clients(HashMap<Client, Tally>);

#[derive(Debug)]
struct Tally {
    since: Instant,
    wrong: u32,
    under_way: u32,
}

impl Client {
    pub(super) fn new(policy: &str, address: IpAddr) -> Self {
        let network = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        };
        Self { policy: policy.into(), network }
    }
}

impl Clients {
    /// A client makes a guess. One under way counts as wrong until it is known to be right, or many at once would all pass.
    ///
    /// # Errors
    /// With how long to wait when it has made as many wrong ones as it may.
    pub(super) fn begin(&mut self, client: &Client, limit: u32, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(client) {
            self.forget(now);
        }
        let tally = self.0.entry(client.clone()).or_insert(Tally { since: now, wrong: 0, under_way: 0 });
        let age = now.saturating_duration_since(tally.since);
        if age >= WINDOW {
            (tally.since, tally.wrong) = (now, 0);
        }
        if tally.wrong.saturating_add(tally.under_way) >= limit {
            return Err(WINDOW.saturating_sub(age));
        }
        tally.under_way += 1;
        Ok(())
    }

    /// A guess is over.
    pub(super) fn end(&mut self, client: &Client, was_right: bool, now: Instant) {
        let Some(tally) = self.0.get_mut(client) else { return };
        tally.under_way = tally.under_way.saturating_sub(1);
        if !was_right {
            if tally.wrong == 0 {
                tally.since = now;
            }
            tally.wrong += 1;
        } else if tally.wrong == 0 && tally.under_way == 0 {
            self.0.remove(client);
        }
    }

    /// Those whose time is over; if that leaves too many, all that have nothing under way: there must be an end.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, tally| tally.under_way > 0 || now.saturating_duration_since(tally.since) < WINDOW);
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, tally| tally.under_way > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(policy: &str, address: &str) -> Client {
        Client::new(policy, address.parse().expect("an address"))
    }

    #[test]
    fn client_that_was_wrong_too_often_waits_for_the_end_of_its_minute() {
        let (mut clients, start, one) = (Clients::default(), Instant::now(), client("shop/a", "192.0.2.7"));
        for _ in 0..3 {
            assert_eq!(clients.begin(&one, 3, start), Ok(()));
            clients.end(&one, false, start);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(clients.begin(&one, 3, later), Err(Duration::from_secs(40)));
        assert_eq!(clients.begin(&client("shop/b", "192.0.2.7"), 3, later), Ok(()), "another policy");
        assert_eq!(clients.begin(&client("shop/a", "192.0.2.8"), 3, later), Ok(()), "another client");
        assert_eq!(clients.begin(&one, 3, start + WINDOW), Ok(()));
    }

    #[test]
    fn guesses_under_way_count_until_they_are_right() {
        let (mut clients, now, one) = (Clients::default(), Instant::now(), client("shop/a", "2001:db8::1"));
        assert_eq!(clients.begin(&one, 1, now), Ok(()));
        let neighbour = client("shop/a", "2001:db8::ffff:1");
        assert!(clients.begin(&neighbour, 1, now).is_err(), "of the same network");
        clients.end(&one, true, now);
        assert_eq!(clients.begin(&neighbour, 1, now), Ok(()));
    }

    #[test]
    fn those_remembered_have_an_end() {
        let (mut clients, now) = (Clients::default(), Instant::now());
        for number in 0..2 * REMEMBERED {
            let one = Client::new("shop/a", IpAddr::V6(Ipv6Addr::from_bits((number as u128) << 64)));
            assert_eq!(clients.begin(&one, 1, now), Ok(()));
            clients.end(&one, false, now);
        }
        assert!(clients.0.len() <= REMEMBERED);
    }
}
