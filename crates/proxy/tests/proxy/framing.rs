//! Every case of the gate's table through the whole proxy: bytes in, statuses out, and what the origin heard.

use crate::cases::{Case, requests};
use crate::gate::{long_or, send};
use crate::mutate::mutated;
use crate::support::{Client, Origin, everything_to, serve, settings};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::io::Write;
use std::net::Shutdown;

/// What the proxy owes for a case.
struct Owed {
    /// Statuses in order, and whether each answers HEAD.
    answers: Vec<(u16, bool)>,
    /// Whether it closes behind them by itself.
    closes: bool,
    /// Whether a body ends early when the client does, which is answered too.
    truncated: bool,
}

fn owed(case: &Case) -> Owed {
    let words: Vec<_> = case.trace.split_whitespace().collect();
    let mut owed = Owed { answers: Vec::new(), closes: false, truncated: false };
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1);
        match word.strip_prefix('!') {
            Some(label) => owed.answers.push((status(label), false)),
            // What is not whole gets no answer, and a fault within it is answered in its place.
            None if *word == "..." || *word == "held" => {}
            None if next == Some(&"...") && is_body(word) => owed.truncated = true,
            None if next.is_some_and(|next| of_a_body(next)) => {}
            None => owed.answers.push((200, word.contains("+head"))),
        }
        owed.closes = word.starts_with('!') || word.contains("+close") || *word == "held";
    }
    owed
}

fn is_body(word: &str) -> bool {
    word.starts_with("length") || word.starts_with("chunked")
}

fn of_a_body(word: &str) -> bool {
    word.starts_with("!chunk") || word.starts_with("!trailer")
}

fn status(label: &str) -> u16 {
    match label {
        "connect" => 405,
        "target-too-long" => 414,
        "head-too-large" | "too-many-fields" | "trailers-too-large" => 431,
        _ => 400,
    }
}

#[test]
fn each_case_gets_what_it_is_owed_and_the_origin_hears_only_what_is_good() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut wrong = Vec::new();
    for case in requests() {
        let (owed, before) = (owed(&case), origin.count());
        let mut client = Client::of(&proxy);
        client.send(&case.bytes);
        let mut got = Vec::new();
        for (_, to_head) in &owed.answers {
            match client.try_response(*to_head) {
                Some(response) => got.push((response.status(), *to_head)),
                None => break,
            }
        }
        if !owed.closes {
            client.half_close();
        }
        let mut truncated = false;
        if owed.truncated {
            truncated = client.try_response(false).is_some_and(|response| response.status() == 400);
        }
        let rest = client.try_rest();
        let good = owed.answers.iter().filter(|(status, _)| *status == 200).count();
        let heard = origin.count() - before;
        if got != owed.answers || truncated != owed.truncated || rest.as_deref() != Some(b"") || heard != good {
            wrong.push(format!("{}: {got:?} not {:?}, heard {heard}, rest {rest:?}", case.name, owed.answers));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_a_bad_one_behind_them_last() {
    let origin = Origin::answering(|request| {
        let path = request.line.split(' ').nth(1).unwrap_or_default().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).into_bytes()
    });
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut client = Client::of(&proxy);
    let requests: String = (0..50).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests + "GET / HTTP/1.1\r\nHost: a b\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    for n in 0..50 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    let refused = client.response();
    assert_eq!((refused.status(), refused.text()), (400, "Host is no host with an optional port\n"));
    assert_eq!(refused.field("connection"), Some("close"));
    assert_eq!(client.rest(), b"");
    assert_eq!(origin.count(), 50);
    assert_eq!(proxy.counters().totals().failures.get("host-invalid"), Some(&1));
}

/// What the gate alone says of the same bytes bounds what an origin may hear: no request more, in that order, each with its whole body.
#[test]
fn origin_never_hears_more_than_the_gate_saw() {
    let origin = Origin::saying("ok");
    let proxy = serve(settings(), everything_to(&[origin.address]));
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(long_or(2_000, 50_000)) });
    let outcome = runner.run(&mutated(), |bytes| {
        let (seen, before) = (send(&bytes, []), origin.count());
        let mut client = Client::of(&proxy);
        // The proxy may close before it has taken all.
        let _ = client.stream.write_all(&bytes);
        // Every whole request is answered, unless the connection is closed before.
        let answered = seen.requests.iter().map_while(|(_, head)| client.try_response(head.is_head)).count();
        let _ = client.stream.shutdown(Shutdown::Write);
        let rest = client.try_rest().unwrap_or_default();
        prop_assert!(rest.is_empty() || rest.starts_with(b"HTTP/1."), "{}", rest.escape_ascii());
        let heard = origin.heard().split_off(before);
        prop_assert!(heard.len() <= answered, "{} heard and {answered} answered of {}", heard.len(), seen.trace);
        for (request, (range, _)) in heard.iter().zip(&seen.requests) {
            let method = request.line.split(' ').next().unwrap_or_default();
            prop_assert!(bytes[range.clone()].starts_with(method.as_bytes()), "{request:?} of {}", bytes[range.clone()].escape_ascii());
        }
        Ok(())
    });
    outcome.expect("the gate and the origin agree");
    assert!(origin.count() > 50, "only {} requests were compared", origin.count());
    assert_eq!(Client::of(&proxy).get("/").status(), 200);
}
