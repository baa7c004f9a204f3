//! Passwords are checked here: by a few threads of their own with a short queue, since each check takes a core for as long as a thousand
//! requests do. Workers ask, and wait for the answer without holding up anybody.
//!
//! What is kept outlives the tables: which guesses were right lately, and how often each client was wrong.

mod clients;
mod queue;
mod right;

#[cfg(test)]
mod tests;

use crate::auth::Refused;
use crate::failure::Failure;
use crate::settings::PasswordLimits;
use clients::{Client, Clients};
use queue::{Job, Queue};
use right::Right;
use serin_auth::{Fingerprint, FingerprintKey, Guess};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Instant;
use tokio::sync::oneshot;

/// By how much the threads step back behind those that serve.
const NICENESS: i32 = 15;
/// Of each thread, in bytes. The memory of Argon2 is on the heap.
const STACK: usize = 1024 * 1024;

/// The threads that check passwords, as workers see them. They begin with the first password and end with this.
#[derive(Debug)]
pub(crate) struct Passwords(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    key: FingerprintKey,
    limits: PasswordLimits,
    stack: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    /// Each guess that is in the queue or under way: the same one is checked once.
    pending: HashMap<Fingerprint, Pending>,
    right: Right,
    clients: Clients,
    threads: usize,
    is_over: bool,
}

#[derive(Debug)]
struct Pending {
    waiters: Vec<oneshot::Sender<bool>>,
    /// Who made it first, unless it was right lately: nobody is to blame for asking again.
    by: Option<Client>,
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
        Self::on_stacks(limits, STACK)
    }

    fn on_stacks(limits: PasswordLimits, stack: usize) -> io::Result<Self> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        let (key, state, work) = (FingerprintKey::new(&random), Mutex::default(), Condvar::new());
        Ok(Self(Arc::new(Shared { key, limits, stack, state, work })))
    }

    /// By what a guess is known again.
    pub(crate) fn fingerprint(&self, guess: &Guess) -> Fingerprint {
        guess.fingerprint(&self.0.key)
    }

    /// Has a guess checked that this client makes on routes of this policy. One that is pending already costs the client nothing, and one
    /// that was right lately passes whatever others behind the same address did.
    ///
    /// # Errors
    /// When the client was wrong too often lately, and when too many guesses wait.
    pub(crate) fn ask(&self, policy: &str, client: IpAddr, guess: Guess, print: Fingerprint, now: Instant) -> Result<Known, Refused> {
        let limits = self.0.limits;
        let mut state = self.0.state();
        let state = &mut *state;
        if state.right.is_fresh(print, now) {
            return Ok(Known::Right);
        }
        let (answer, soon) = oneshot::channel();
        if let Some(pending) = state.pending.get_mut(&print) {
            pending.waiters.push(answer);
            return Ok(Known::Soon(soon));
        }
        let busy = || Refused::until(Failure::PasswordsBusy, 1);
        let client = Client::new(policy, client, guess.username());
        let was_right = state.right.was(print, now);
        if !was_right {
            let allowed = state.clients.allow(&client, limits.failures, now);
            allowed.map_err(|wait| Refused::until(Failure::TooManyWrongPasswords, wait.as_secs() + 1))?;
            if state.queue.waiting_of(&client.network) >= limits.waiting {
                return Err(busy());
            }
        }
        if state.queue.len() >= limits.queue {
            let loser = state.queue.make_room(policy).ok_or_else(busy)?;
            state.settle(loser.print, None, now);
        }
        if state.threads < limits.threads.max(1) {
            if self.0.start() {
                state.threads += 1;
            } else if state.threads == 0 {
                return Err(busy());
            }
        }
        let network = client.network;
        let by = (!was_right).then_some(client);
        if let Some(client) = &by {
            state.clients.begin(client, now);
        }
        state.pending.insert(print, Pending { waiters: vec![answer], by });
        state.queue.push(policy, Job { print, guess, network });
        self.0.work.notify_one();
        Ok(Known::Soon(soon))
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        state.queue = Queue::default();
        state.pending.clear();
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
        let started = Builder::new().name("serin-passwords".into()).stack_size(self.stack).spawn(move || shared.run());
        started.map_err(|error| tracing::error!(%error, "no thread to check passwords")).is_ok()
    }

    fn run(&self) {
        // Those who are served already go first. Linux does it for the thread alone; should it refuse, all are equal.
        let _ = rustix::process::nice(NICENESS);
        while let Some(Job { print, guess, .. }) = self.next() {
            let checked = catch_unwind(AssertUnwindSafe(|| guess.check()));
            self.state().settle(print, checked.ok(), Instant::now());
        }
    }

    /// The next guess that anybody waits for; `None` at the end.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.is_over {
                return None;
            }
            match state.queue.pop() {
                Some(job) if state.is_awaited(job.print) => return Some(job),
                Some(job) => state.settle(job.print, None, Instant::now()),
                None => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl State {
    fn is_awaited(&self, print: Fingerprint) -> bool {
        self.pending.get(&print).is_some_and(|pending| pending.waiters.iter().any(|waiter| !waiter.is_closed()))
    }

    /// `None`: nobody knows, and nobody is to blame.
    fn settle(&mut self, print: Fingerprint, right: Option<bool>, now: Instant) {
        if right == Some(true) {
            self.right.remember(print, now);
        }
        let Some(Pending { waiters, by }) = self.pending.remove(&print) else { return };
        if let Some(client) = by {
            self.clients.end(&client, right != Some(false), now);
        }
        for waiter in waiters {
            if let Some(right) = right {
                // A client that has left waits for nothing.
                let _ = waiter.send(right);
            }
        }
    }
}
