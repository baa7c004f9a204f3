//! Passwords are checked here: by a few threads of their own with a short queue, since each check takes a core for as long as a thousand
//! requests do. Workers ask, and wait for the answer without holding up anybody.
//!
//! What is kept outlives the tables: which guesses were right a short while ago, and how often each client was wrong.

mod clients;

use crate::auth::Refused;
use crate::failure::Failure;
use crate::settings::PasswordLimits;
use clients::{Client, Clients};
use serin_auth::{Fingerprint, FingerprintKey, Guess};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For how long a guess that was right is not checked again. A hash that was replaced makes it another guess at once.
const FRESH: Duration = Duration::from_secs(60);
/// So many right guesses are remembered.
const REMEMBERED: usize = 16 * 1024;
/// By how much the threads step back behind those that serve.
const NICENESS: i32 = 15;

/// The threads that check passwords, as workers see them. They begin with the first password and end with this.
#[derive(Debug)]
pub(crate) struct Passwords(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    key: FingerprintKey,
    limits: PasswordLimits,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Fingerprint, Guess)>,
    /// Who waits for each guess that is in the queue or under way: the same guess is checked once.
    waiting: HashMap<Fingerprint, Vec<Waiter>>,
    right: HashMap<Fingerprint, Instant>,
    clients: Clients,
    threads: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Waiter {
    answer: oneshot::Sender<bool>,
    client: Client,
}

/// What is known of a guess.
#[derive(Debug)]
pub(crate) enum Known {
    /// It is right.
    Right,
    /// It is being checked.
    Soon(oneshot::Receiver<bool>),
}

impl Passwords {
    /// None is checked yet.
    pub(crate) fn new(limits: PasswordLimits) -> io::Result<Self> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let (key, state, work) = (FingerprintKey::new(&random), Mutex::default(), Condvar::new());
        Ok(Self(Arc::new(Shared { key, limits, state, work })))
    }

    /// By what a guess is known again.
    pub(crate) fn fingerprint(&self, guess: &Guess) -> Fingerprint {
        guess.fingerprint(&self.0.key)
    }

    /// Has a guess checked that this client makes on routes of this policy.
    ///
    /// # Errors
    /// When the client was wrong too often lately, and when too many guesses wait.
    pub(crate) fn ask(&self, policy: &str, client: IpAddr, guess: Guess, print: Fingerprint, now: Instant) -> Result<Known, Refused> {
        let Shared { limits, .. } = &*self.0;
        let mut state = self.0.state();
        if state.right.get(&print).is_some_and(|until| now < *until) {
            return Ok(Known::Right);
        }
        let client = Client::new(policy, client);
        if let Err(wait) = state.clients.begin(&client, limits.failures, now) {
            return Err(Refused::until(Failure::TooManyWrongPasswords, wait.as_secs() + 1));
        }
        let (answer, soon) = oneshot::channel();
        let is_new = !state.waiting.contains_key(&print);
        if is_new && state.queue.len() >= limits.queue {
            state.clients.end(&client, true, now);
            return Err(Refused::until(Failure::PasswordsBusy, 1));
        }
        state.waiting.entry(print).or_default().push(Waiter { answer, client });
        if is_new {
            state.queue.push_back((print, guess));
            if state.threads < limits.threads.max(1) && self.0.start() {
                state.threads += 1;
            }
            self.0.work.notify_one();
        }
        Ok(Known::Soon(soon))
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        state.queue.clear();
        state.waiting.clear();
        self.0.work.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another thread; whether there is one.
    fn start(self: &Arc<Self>) -> bool {
        let shared = Arc::clone(self);
        let started = Builder::new().name("serin-passwords".into()).spawn(move || shared.run());
        started.map_err(|error| tracing::error!(%error, "no thread to check passwords")).is_ok()
    }

    fn run(&self) {
        // Those who are served already go first. Linux does it for the thread alone; should it refuse, all are equal.
        let _ = rustix::process::nice(NICENESS);
        while let Some((print, guess)) = self.next() {
            let checked = catch_unwind(AssertUnwindSafe(|| guess.check()));
            self.state().settle(print, checked.ok(), Instant::now());
        }
    }

    /// The next guess that anybody waits for; `None` at the end.
    fn next(&self) -> Option<(Fingerprint, Guess)> {
        let mut state = self.state();
        loop {
            if state.is_over {
                return None;
            }
            match state.queue.pop_front() {
                Some((print, guess)) if state.is_awaited(print) => return Some((print, guess)),
                Some((print, _)) => state.settle(print, None, Instant::now()),
                None => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl State {
    fn is_awaited(&self, print: Fingerprint) -> bool {
        self.waiting.get(&print).is_some_and(|waiters| waiters.iter().any(|waiter| !waiter.answer.is_closed()))
    }

    /// `None`: nobody knows, and nobody is to blame.
    fn settle(&mut self, print: Fingerprint, right: Option<bool>, now: Instant) {
        if right == Some(true) {
            if self.right.len() >= REMEMBERED {
                self.right.retain(|_, until| now < *until);
            }
            if self.right.len() < REMEMBERED {
                self.right.insert(print, now + FRESH);
            }
        }
        for Waiter { answer, client } in self.waiting.remove(&print).unwrap_or_default() {
            self.clients.end(&client, right != Some(false), now);
            if let Some(right) = right {
                // A client that has left waits for nothing.
                let _ = answer.send(right);
            }
        }
    }
}
