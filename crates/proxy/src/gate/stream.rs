//! The requests of one connection, one after the other.

use super::chunked::Chunked;
use super::head::{HeadReader, RequestHead};
use super::{Fault, Framing, Limits};

/// Follows the framing of a client's bytes. The caller keeps what was not released and gives it again with what came since.
///
/// Nothing of a request is released before its head is valid, and nothing of the next one before [`Requests::next_request`].
#[derive(Debug, Clone)]
pub struct Requests {
    limits: Limits,
    state: State,
    head: Option<RequestHead>,
}

#[derive(Debug, Clone)]
enum State {
    Head(HeadReader),
    Length(u64),
    Chunked(Chunked),
    Ended,
    Tunnel,
    Faulty(Fault),
}

/// What to do with the bytes that were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// So many of them may go on to hyper.
    pub release: usize,
    /// What was found behind them.
    pub event: Event,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// More bytes are needed.
    More,
    /// The released bytes are this head. Ask again: the same bytes may hold the body.
    Head(RequestHead),
    /// The released bytes, if any, end the request. What follows them is held back.
    End,
    /// The bytes after the released ones are refused, for good.
    Fault(Fault),
}

impl Requests {
    /// A connection on which nothing came yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head(HeadReader::default()), head: None }
    }

    /// Looks at the bytes that are not released yet.
    pub fn step(&mut self, held: &[u8]) -> Step {
        let step = match &mut self.state {
            State::Head(reader) => match reader.read(held, &self.limits) {
                Ok(None) => Step { release: 0, event: Event::More },
                Ok(Some(head)) => Step { release: head.length, event: Event::Head(head) },
                Err(fault) => Step { release: 0, event: Event::Fault(fault) },
            },
            State::Length(left) => {
                let release = usize::try_from(*left).map_or(held.len(), |left| left.min(held.len()));
                *left = left.saturating_sub(release as u64);
                Step { release, event: if *left == 0 { Event::End } else { Event::More } }
            }
            State::Chunked(chunked) => {
                let progress = chunked.read(held);
                let event = match progress.outcome {
                    Ok(true) => Event::End,
                    Ok(false) => Event::More,
                    Err(fault) => Event::Fault(fault),
                };
                Step { release: progress.good, event }
            }
            State::Ended => Step { release: 0, event: Event::End },
            State::Tunnel => Step { release: held.len(), event: Event::More },
            State::Faulty(fault) => Step { release: 0, event: Event::Fault(*fault) },
        };
        self.follow(step.event);
        step
    }

    fn follow(&mut self, event: Event) {
        match event {
            Event::More => {}
            Event::Head(head) => {
                self.head = Some(head);
                self.state = match head.framing {
                    Framing::None => State::Ended,
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::Chunked(Chunked::default()),
                };
            }
            Event::End => self.state = State::Ended,
            Event::Fault(fault) => self.state = State::Faulty(fault),
        }
    }

    /// Goes on to the next request, once the response to this one is done. `false`, and nothing changes, unless this one has ended and
    /// leaves the connection open.
    pub fn next_request(&mut self) -> bool {
        let goes_on = matches!(self.state, State::Ended) && self.head.is_some_and(|head| head.keep_alive);
        if goes_on {
            self.state = State::Head(HeadReader::default());
            self.head = None;
        }
        goes_on
    }

    /// Lets everything pass from here on, once a 101 has been sent. Refused when the request asked for no upgrade or has not ended, or when
    /// the client sent bytes before it could know the answer: they were meant for whoever answers otherwise.
    pub fn tunnel(&mut self, held: &[u8]) -> Result<(), Fault> {
        if let State::Faulty(fault) = self.state {
            return Err(fault);
        }
        let granted = matches!(self.state, State::Ended) && self.head.is_some_and(|head| head.upgrade);
        self.state = if granted && held.is_empty() { State::Tunnel } else { State::Faulty(Fault::EarlyTunnel) };
        if let State::Faulty(fault) = self.state { Err(fault) } else { Ok(()) }
    }

    /// What it means that the client will send no more: between requests and in a tunnel, nothing.
    pub fn end_of_input(&self, held: &[u8]) -> Result<(), Fault> {
        match &self.state {
            State::Head(_) if held.is_empty() => Ok(()),
            State::Ended | State::Tunnel => Ok(()),
            State::Faulty(fault) => Err(*fault),
            State::Head(_) | State::Length(_) | State::Chunked(_) => Err(Fault::Truncated),
        }
    }
}
