//! Passwords, which are checked off the workers: their limits, and what is kept over tables.

use super::site::{Site, by_password, directory, hash, limited, policy, request};
use crate::support::{Client, eventually};
use serin_auth::Policy;
use serin_proxy::{PasswordLimits, Settings, Timeouts};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn password_is_checked_and_goes_no_further() {
    let site = Site::with(policy(vec![by_password()]));
    assert_eq!(site.ask(request("/", "alice", "password")).text(), "canary");
    assert_eq!(site.ask(request("/", "bob", "password")).text(), "stable");
    for (username, password) in [("alice", "Password"), ("alice", ""), ("carol", "password"), ("", "password")] {
        assert_eq!(site.ask(request("/", username, password)).status(), 401, "{username}:{password}");
    }
    assert!(site.origins().all(|request| request.field("authorization").is_none()));
}

#[test]
fn client_that_is_wrong_too_often_waits_and_others_do_not() {
    let limits = PasswordLimits { failures: 3, ..PasswordLimits::default() };
    let site = Site::of(Site::config(policy(vec![by_password()])), limited(limits));
    assert_eq!(site.ask(request("/", "alice", "password")).status(), 200);
    for number in 0..3 {
        assert_eq!(site.ask(request("/", "bob", &format!("wrong-{number}"))).status(), 401);
    }
    // Also over another table, which is another one of the same policy.
    site.publish(Site::config(policy(vec![by_password()])));
    for password in ["wrong-4", "password"] {
        let answer = site.ask(request("/", "bob", password));
        assert_eq!((answer.status(), answer.text()), (429, "too many wrong passwords came from this client\n"));
        let wait: u64 = answer.field("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
        assert!((1..=61).contains(&wait), "{wait}");
    }
    assert_eq!(site.ask(request("/", "alice", "password")).status(), 200, "what is known to be right is not asked again");
    let other = site.client_from([127, 0, 0, 2]).send(request("/", "bob", "password")).response();
    assert_eq!(other.status(), 200, "another client");
}

#[test]
fn right_password_of_many_requests_at_once_is_checked_once_and_lets_all_in() {
    let consumers = Arc::new(directory(&hash(8, "password")));
    let site = Site::with(Policy { consumers, ..policy(vec![by_password()]) });
    let mut clients: Vec<Client> = (0..60).map(|_| Client::of(&site.proxy)).collect();
    for client in &mut clients {
        client.send(request("/", "alice", "password"));
    }
    let refused: Vec<_> = clients.iter_mut().map(|client| client.response().status()).filter(|status| *status != 200).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn one_address_fills_no_queue() {
    let consumers = Arc::new(directory(&hash(8, "password")));
    let policy = Policy { consumers, ..policy(vec![by_password()]) };
    let limits = PasswordLimits { threads: 1, queue: 4, waiting: 2, failures: 100 };
    let site = Site::of(Site::config(policy), limited(limits));
    let mut clients: Vec<Client> = (0..12).map(|_| Client::of(&site.proxy)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(request("/", "alice", &format!("wrong-{number}")));
    }
    let other = site.client_from([127, 0, 0, 2]).send(request("/", "bob", "password")).response();
    assert_eq!(other.status(), 200, "another address finds room");
    let busy = clients.iter_mut().filter_map(|client| (client.response().status() == 503).then_some(())).count();
    assert!(busy >= 8, "{busy}");
}

#[test]
fn wait_for_a_password_is_part_of_the_requests_time() {
    let consumers = Arc::new(directory(&hash(11, "password")));
    let policy = Policy { consumers, ..policy(vec![by_password()]) };
    let settings = crate::support::settings();
    let timeouts = Timeouts { request: Some(Duration::from_millis(10)), ..settings.timeouts };
    let site = Site::of(Site::config(policy), Settings { timeouts, ..settings });
    let answer = site.ask(request("/", "alice", "password"));
    assert_eq!((answer.status(), site.origins().count()), (504, 0));
}

#[test]
fn hash_that_was_replaced_counts_at_once() {
    let site = Site::with(policy(vec![by_password()]));
    assert_eq!(site.ask(request("/", "alice", "password")).status(), 200);
    let consumers = Arc::new(directory(&hash(4, "another")));
    site.publish(Site::config(Policy { consumers, ..policy(vec![by_password()]) }));
    assert_eq!(site.ask(request("/", "alice", "password")).status(), 401);
    assert_eq!(site.ask(request("/", "alice", "another")).status(), 200);
}

#[test]
fn passwords_that_find_no_room_are_told_to_come_again_and_leave_it_when_their_client_does() {
    // Each check takes a while, so that they pile up.
    let consumers = Arc::new(directory(&hash(8, "password")));
    let policy = Policy { consumers, ..policy(vec![by_password()]) };
    let site = Site::of(Site::config(policy), limited(PasswordLimits { threads: 1, queue: 2, waiting: 2, failures: 100 }));
    let mut clients: Vec<Client> = (0..12).map(|_| Client::of(&site.proxy)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(request("/", "alice", &format!("wrong-{number}")));
    }
    let answers: Vec<_> = clients.iter_mut().map(Client::response).collect();
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status() == 503).collect();
    assert!((8..=11).contains(&busy.len()), "{}", busy.len());
    assert!(
        busy.iter().all(|answer| answer.field("retry-after") == Some("1") && answer.text() == "too many passwords wait to be checked\n")
    );
    assert!(answers.iter().all(|answer| matches!(answer.status(), 401 | 503)));
    // The same guess of many is checked once, so it takes one place.
    for client in &mut clients {
        client.send(request("/", "alice", "password"));
    }
    assert!(clients.iter_mut().all(|client| client.response().status() == 200));
    for number in 0..3 {
        Client::of(&site.proxy).send(request("/", "bob", &format!("gone-{number}")));
    }
    eventually("those who left make room", || site.ask(request("/", "bob", "password")).status() == 200);
}
