//! The gate for requests: its table of cases, its limits, and that the way bytes are split changes nothing.

mod agreement;
#[path = "../cases/requests.rs"]
mod cases;
mod mutate;
mod response;
mod support;

use cases::requests;
use proptest::prelude::*;
use serin_proxy::gate::head::parse;
use serin_proxy::gate::stream::{Event, Requests, Step};
use serin_proxy::gate::{Fault, Limits};
use std::collections::HashSet;
use support::{long_or, send};

#[test]
fn each_case_is_seen_as_its_row_says() {
    let wrong: Vec<String> = requests()
        .iter()
        .map(|case| (case, send(&case.bytes, []).trace))
        .filter(|(case, trace)| case.trace != trace)
        .map(|(case, trace)| format!("{}: {trace:?}, not {:?}", case.name, case.trace))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn case_names_differ() {
    let cases = requests();
    let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() > 100);
}

#[test]
fn byte_by_byte_and_cut_in_two_anywhere_gives_the_same() {
    for case in requests() {
        let whole = send(&case.bytes, []);
        assert_eq!(send(&case.bytes, 0..case.bytes.len()), whole, "{} byte by byte", case.name);
        for cut in 0..case.bytes.len() {
            assert_eq!(send(&case.bytes, [cut]), whole, "{} cut at {cut}", case.name);
        }
    }
}

#[test]
fn nothing_of_a_bad_head_is_released() {
    for case in requests().iter().filter(|case| case.trace.starts_with('!')) {
        assert_eq!(send(&case.bytes, 0..case.bytes.len()).released, 0, "{}", case.name);
    }
}

#[test]
fn head_may_fill_its_limit_and_no_more() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let exact = Limits { head_bytes: head.len(), ..Limits::default() };
    assert_eq!(parse(head, &exact).map(|h| h.map(|h| h.length)), Ok(Some(head.len())));
    let less = Limits { head_bytes: head.len() - 1, ..Limits::default() };
    assert_eq!(parse(head, &less), Err(Fault::HeadTooLarge));
    assert_eq!(parse(&head[..head.len() - 1], &less), Err(Fault::HeadTooLarge));
    assert_eq!(parse(&head[..head.len() - 2], &less), Ok(None));
}

#[test]
fn line_without_an_end_is_refused_at_the_limit() {
    let limits = Limits::default();
    let endless = vec![b'A'; limits.head_bytes];
    assert_eq!(parse(&endless[1..], &limits), Ok(None));
    assert_eq!(parse(&endless, &limits), Err(Fault::HeadTooLarge));
    assert_eq!(Fault::HeadTooLarge.status(), 431);
}

#[test]
fn fields_and_target_have_limits() {
    let with = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(fields - 1));
    assert!(parse(with(100).as_bytes(), &Limits::default()).is_ok_and(|h| h.is_some()));
    assert_eq!(parse(with(101).as_bytes(), &Limits::default()), Err(Fault::TooManyFields));
    let to = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(bytes - 1));
    assert!(parse(to(16 * 1024).as_bytes(), &Limits::default()).is_ok_and(|h| h.is_some()));
    assert_eq!(parse(to(16 * 1024 + 1).as_bytes(), &Limits::default()), Err(Fault::TargetTooLong));
}

#[test]
fn host_has_a_limit() {
    let of = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(bytes));
    assert!(parse(of(255).as_bytes(), &Limits::default()).is_ok_and(|h| h.is_some()));
    assert_eq!(parse(of(256).as_bytes(), &Limits::default()), Err(Fault::HostInvalid));
}

#[test]
fn extensions_and_trailers_are_bounded_over_the_whole_message() {
    let trace = |body: String| send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes(), []).trace;
    let extensions = |chunks: usize| trace(format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "e".repeat(63)).repeat(chunks)));
    assert_eq!(extensions(64), "chunked");
    assert_eq!(extensions(65), "chunked !chunk-extension");
    let fields = |count: usize| trace(format!("0\r\n{}\r\n", "a: b\r\n".repeat(count)));
    assert_eq!(fields(32), "chunked");
    assert_eq!(fields(33), "chunked !trailers-too-large");
    let bytes = |count: usize| trace(format!("0\r\na:{}\r\n\r\n", "b".repeat(count)));
    assert_eq!(bytes(8192 - 4), "chunked");
    assert_eq!(bytes(8192 - 3), "chunked !trailers-too-large");
}

#[test]
fn fault_stays() {
    let mut gate = Requests::new(Limits::default());
    let refused = Step { release: 0, event: Event::Fault(Fault::RequestLine) };
    assert_eq!(gate.step(b"\r\n"), refused);
    assert_eq!(gate.step(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), refused);
    assert!(!gate.next_request());
    assert_eq!(gate.tunnel(b""), Err(Fault::RequestLine));
    assert_eq!(gate.end_of_input(b""), Err(Fault::RequestLine));
}

#[test]
fn next_request_waits_for_the_response() {
    let mut gate = Requests::new(Limits::default());
    let (first, next) = (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let bytes = [&first[..], next].concat();
    assert_eq!(gate.step(&bytes).release, first.len());
    for _ in 0..3 {
        assert_eq!(gate.step(next), Step { release: 0, event: Event::End });
    }
    assert!(gate.next_request());
    assert_eq!(gate.step(next).release, next.len());
}

#[test]
fn response_that_comes_early_leads_to_no_next_request() {
    let mut gate = Requests::new(Limits::default());
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(gate.step(head).release, head.len());
    assert!(!gate.next_request());
    assert_eq!(gate.step(b"x"), Step { release: 1, event: Event::More });
    assert!(!gate.next_request());
    assert_eq!(gate.end_of_input(b""), Err(Fault::Truncated));
    assert_eq!(gate.step(b"xGET"), Step { release: 1, event: Event::End });
    assert!(gate.next_request());
}

fn after(head: &[u8]) -> Requests {
    let mut gate = Requests::new(Limits::default());
    assert_eq!(gate.step(head).release, head.len());
    gate.step(b"");
    gate
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn tunnel_lets_everything_pass() {
    let mut gate = after(UPGRADE);
    assert_eq!(gate.tunnel(b""), Ok(()));
    assert_eq!(gate.step(b"\x00\n\xff"), Step { release: 3, event: Event::More });
    assert_eq!(gate.end_of_input(b""), Ok(()));
}

#[test]
fn bytes_before_the_upgrade_never_become_tunnel_bytes() {
    let mut gate = after(UPGRADE);
    assert_eq!(gate.tunnel(b"GET /admin"), Err(Fault::EarlyTunnel));
    assert_eq!(gate.step(b"GET /admin"), Step { release: 0, event: Event::Fault(Fault::EarlyTunnel) });
}

#[test]
fn tunnel_that_nobody_asked_for_is_refused() {
    let mut gate = after(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(gate.tunnel(b""), Err(Fault::EarlyTunnel));
}

#[test]
fn tunnel_before_the_request_has_ended_is_refused() {
    let mut gate = after(&[&UPGRADE[..UPGRADE.len() - 2], b"Content-Length: 1\r\n\r\n"].concat());
    assert_eq!(gate.tunnel(b""), Err(Fault::EarlyTunnel));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(long_or(20_000, 500_000)))]

    #[test]
    fn any_split_of_mutated_cases_gives_the_same(bytes in mutate::mutated(), mut ends in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut ends: Vec<usize> = ends.drain(..).map(|end| end.index(bytes.len() + 1)).collect();
        ends.sort_unstable();
        prop_assert_eq!(send(&bytes, ends), send(&bytes, []));
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let seen = send(&bytes, []);
        prop_assert!(seen.released <= bytes.len());
    }
}
