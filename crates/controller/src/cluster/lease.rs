//! Who leads: one Lease, taken and renewed as client-go does, but judged by nobody's wall clock.
//!
//! A replica leads until [`Times::renew_deadline`] after it *began* the last renewal that succeeded, by its own monotonic clock; another
//! one takes over when it has seen the same record for as long as the record says, by its own. The clocks of two replicas may be days
//! apart. That the rates of their monotonic clocks agree is trusted to within the ratio of the two durations, and only to save work: a
//! status write is guarded by its `resourceVersion`.

mod term;

use anyhow::Context;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use term::{Move, Term};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{Instrument, debug, info, info_span, warn};

/// Where the Lease is, who asks for it, and how often.
#[derive(Debug, Clone)]
pub struct Options {
    /// serin's own namespace.
    pub namespace: String,
    /// The Lease's name. It must exist: a role that names one Lease cannot create it, so who installs serin does.
    pub name: String,
    /// Another one for each process that ever runs: a restarted replica must not take its predecessor's record for its own.
    pub identity: String,
    /// How long is what.
    pub times: Times,
}

/// The durations of an election.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// How long a record holds without a renewal, for the others; whole seconds.
    pub lease: Duration,
    /// How long after the start of a renewal its sender leads.
    pub renew_deadline: Duration,
    /// How often it is renewed, and looked at.
    pub retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { lease: seconds(15), renew_deadline: seconds(10), retry: seconds(2) }
    }
}

impl Times {
    /// How long a call may take: two of them and a pause fit into the deadline.
    fn call(&self) -> Duration {
        self.renew_deadline.saturating_sub(self.retry) / 2
    }
}

/// Whether this replica leads.
#[derive(Debug, Clone)]
pub struct Leadership {
    identity: Arc<str>,
    until: watch::Receiver<Option<Instant>>,
    leads: watch::Receiver<bool>,
}

impl Leadership {
    /// The name in the Lease.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether it leads at this moment: the clock is read now, so a process that was frozen learns here that it no longer does.
    pub fn is_leader(&self) -> bool {
        self.remaining().is_some()
    }

    /// How long it leads if no renewal succeeds any more.
    pub fn remaining(&self) -> Option<Duration> {
        let until = *self.until.borrow();
        until?.checked_duration_since(Instant::now()).filter(|remaining| !remaining.is_zero())
    }

    /// Wakes whoever waits for a change. Before acting ask [`Leadership::is_leader`].
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    /// Leads as long as the sender says.
    #[cfg(test)]
    pub(super) fn told() -> (watch::Sender<Option<Instant>>, Self) {
        let (sender, until) = watch::channel(None);
        (sender, Self { identity: "told".into(), until, leads: watch::channel(false).1 })
    }
}

/// Takes part in the election until `stop`, and then gives the Lease back, so that another one leads within a retry. The task ends after that.
pub fn spawn(client: kube::Client, options: Options, stop: impl Future<Output = ()> + Send + 'static) -> (Leadership, JoinHandle<()>) {
    let (until, until_now) = watch::channel(None);
    let (leads, leads_now) = watch::channel(false);
    let leadership = Leadership { identity: options.identity.as_str().into(), until: until_now, leads: leads_now };
    let span = info_span!("lease", identity = options.identity);
    let candidate = Candidate {
        api: Api::namespaced(client, &options.namespace),
        namespace: options.namespace,
        name: options.name,
        term: Term::new(options.identity, options.times),
        times: options.times,
        held: None,
        trouble: None,
        until,
        leads,
    };
    (leadership, tokio::spawn(candidate.run(stop).instrument(span)))
}

struct Candidate {
    api: Api<Lease>,
    namespace: String,
    name: String,
    term: Term,
    times: Times,
    /// The Lease as the last renewal left it, which spares a read before the next.
    held: Option<Lease>,
    /// What was said last about a Lease that cannot be read or renewed: the same is not said every 2 s.
    trouble: Option<String>,
    until: watch::Sender<Option<Instant>>,
    leads: watch::Sender<bool>,
}

impl Candidate {
    async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let pause = match self.turn().await {
                Ok(pause) => {
                    self.trouble = None;
                    pause
                }
                Err(error) => {
                    self.complain(format!("{error:#}"));
                    self.times.retry
                }
            };
            let pause = self.remaining().map_or(pause, |remaining| pause.min(remaining));
            self.tell();
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pause) => {}
            }
            self.tell();
        }
        self.release().await;
    }

    /// One look at the Lease, and what follows from it; how long to wait before the next.
    async fn turn(&mut self) -> anyhow::Result<Duration> {
        let lease = match self.held.take() {
            Some(lease) => lease,
            None => self.read().await?,
        };
        let began = Instant::now();
        match self.term.decide(lease.spec.as_ref(), began) {
            Move::Wait(pause) => {
                // Whoever took the Lease from here, by whatever right, leads now.
                self.until.send_replace(None);
                Ok(pause.min(self.times.retry))
            }
            Move::Hold => {
                let next = self.term.holding(lease);
                self.held = Some(self.call(self.api.replace(&self.name, &PostParams::default(), &next)).await?);
                self.until.send_replace(Some(began + self.times.renew_deadline));
                Ok(self.times.retry)
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Lease> {
        let lease = self.call(self.api.get_opt(&self.name)).await?;
        lease.with_context(|| format!("there is no Lease {}/{}: create it, as the installation does", self.namespace, self.name))
    }

    fn complain(&mut self, error: String) {
        if self.trouble.as_ref() == Some(&error) {
            debug!(error, "the Lease still cannot be read or renewed");
        } else {
            warn!(error, "the Lease cannot be read or renewed");
            self.trouble = Some(error);
        }
    }

    /// Ends no later than the leadership does, so that its end is told in time.
    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
        let limit = self.remaining().map_or(self.times.call(), |remaining| remaining.min(self.times.call()));
        Ok(tokio::time::timeout(limit, call).await??)
    }

    fn remaining(&self) -> Option<Duration> {
        let until = *self.until.borrow();
        until.map(|until| until.saturating_duration_since(Instant::now())).filter(|remaining| !remaining.is_zero())
    }

    fn tell(&self) {
        let leads = self.remaining().is_some();
        let changed = self.leads.send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if changed {
            info!(leads, "leadership changed");
        }
    }

    /// Stops leading, and then says so: in this order nobody leads beside the next one.
    async fn release(mut self) {
        let led = self.remaining().is_some();
        self.until.send_replace(None);
        self.tell();
        if !led {
            return;
        }
        let released = async {
            let lease = match self.held.take() {
                Some(lease) => lease,
                None => self.read().await?,
            };
            if let Some(lease) = self.term.released(lease) {
                self.call(self.api.replace(&self.name, &PostParams::default(), &lease)).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = released.await {
            warn!(%error, "the Lease could not be given back; it runs out by itself");
        }
    }
}
