//! What the tests of the gate share: a client whose bytes come in pieces.

use serin_proxy::gate::head::RequestHead;
use serin_proxy::gate::stream::{Event, Requests};
use serin_proxy::gate::{Framing, Limits, Version};
use std::ops::Range;

/// How many cases a property is tried on: the long form is chosen by `cargo xtask test --long`.
pub(crate) fn long_or(short: u32, long: u32) -> u32 {
    if std::env::var_os("SERIN_LONG").is_some() { long } else { short }
}

/// What the gate saw of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// As the tables write it.
    pub(crate) trace: String,
    /// The requests that are complete.
    pub(crate) requests: Vec<(Range<usize>, RequestHead)>,
    /// How many bytes went on, over all.
    pub(crate) released: usize,
}

/// Sends the bytes in pieces that end at these places, and answers each request at once.
pub(crate) fn send(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Seen {
    let (mut gate, mut seen, mut words, mut open) = (Requests::new(Limits::default()), Seen::default(), Vec::new(), None);
    let mut start = 0;
    for end in ends.into_iter().chain([bytes.len()]) {
        loop {
            let held = &bytes[seen.released..end];
            let step = gate.step(held);
            assert!(step.release <= held.len(), "released more than there is");
            seen.released += step.release;
            match step.event {
                Event::More => break,
                Event::Head(head) => {
                    words.push(word(&head));
                    open = Some(head);
                }
                Event::End => {
                    seen.requests.extend(open.take().map(|head| (start..seen.released, head)));
                    start = seen.released;
                    if !gate.next_request() {
                        break;
                    }
                }
                Event::Fault(fault) => {
                    words.push(format!("!{}", fault.label()));
                    seen.trace = words.join(" ");
                    return seen;
                }
            }
        }
    }
    let rest = &bytes[seen.released..];
    match gate.end_of_input(rest) {
        Err(_) => words.push("...".into()),
        Ok(()) if !rest.is_empty() => words.push("held".into()),
        Ok(()) => {}
    }
    seen.trace = words.join(" ");
    seen
}

fn word(head: &RequestHead) -> String {
    let framing = match head.framing {
        Framing::None => "none".into(),
        Framing::Length(length) => format!("length:{length}"),
        Framing::Chunked => "chunked".into(),
    };
    let flags =
        [(head.version == Version::Http10, "+1.0"), (!head.keep_alive, "+close"), (head.is_head, "+head"), (head.upgrade, "+upgrade")];
    flags.iter().filter(|(set, _)| *set).fold(framing, |word, (_, flag)| word + flag)
}
