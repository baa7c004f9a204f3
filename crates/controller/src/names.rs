//! Names outside the cluster: looked up off the workers, and again when their time to live is over.

mod ask;

use crate::update::Update;
pub use ask::{Answer, Lookup, Resolver};
use serin_compiler::Resolution;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tracing::{Instrument, info_span, warn};

/// However short an answer says to live, it is asked for again no sooner.
const SHORTEST: Duration = Duration::from_secs(1);
/// However long it says to live, a change is seen by then.
const LONGEST: Duration = Duration::from_secs(300);
/// How soon a name without an answer is asked for again; each time in a row twice as late, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// One task for each name that is wanted.
#[derive(Debug)]
pub struct Names<L> {
    lookup: L,
    wanted: BTreeMap<String, AbortHandle>,
    /// They end with it.
    tasks: JoinSet<()>,
    told: mpsc::Receiver<Update>,
    tell: mpsc::Sender<Update>,
}

impl<L: Lookup> Names<L> {
    /// Nothing is asked for yet.
    pub fn new(lookup: L) -> Self {
        let (tell, told) = mpsc::channel(64);
        Self { lookup, wanted: BTreeMap::new(), tasks: JoinSet::new(), told, tell }
    }

    /// Asks for these names from now on, and for no others.
    pub fn are(&mut self, names: &BTreeSet<String>) {
        self.wanted.retain(|name, task| {
            let stays = names.contains(name);
            if !stays {
                task.abort();
            }
            stays
        });
        // Those that were ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
        for name in names {
            if !self.wanted.contains_key(name) {
                let task = follow(self.lookup.clone(), name.clone(), self.tell.clone()).instrument(info_span!("name", name));
                self.wanted.insert(name.clone(), self.tasks.spawn(task));
            }
        }
    }

    /// What a name stands for from now on. Waits for ever while none is asked for. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Update {
        match self.told.recv().await {
            Some(update) => update,
            // It holds a sender of its own.
            None => std::future::pending().await,
        }
    }
}

/// Asks for one name for ever.
async fn follow(lookup: impl Lookup, name: String, tell: mpsc::Sender<Update>) {
    let mut known = Known::default();
    loop {
        let (resolution, pause) = known.hear(lookup.addresses(&name).await);
        if let Some(failure) = &resolution.failure {
            warn!(kept = resolution.addresses.len(), "{failure}");
        }
        if tell.send(Update::Host(name.clone(), resolution)).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}

/// What is known of a name: the last answer stays while there is no other.
#[derive(Debug, Default)]
struct Known {
    addresses: BTreeSet<IpAddr>,
    unanswered: u32,
}

impl Known {
    /// What the name stands for now, and when it is asked for again.
    fn hear(&mut self, said: Result<Answer, String>) -> (Resolution, Duration) {
        let (failure, pause) = match said {
            Ok(Answer { addresses, lives }) => {
                (self.addresses, self.unanswered) = (addresses, 0);
                let gone = self.addresses.is_empty();
                (gone.then(|| "the name does not exist, or has no address".to_owned()), lives.clamp(SHORTEST, LONGEST))
            }
            Err(failure) => {
                let pause = FIRST_WAIT.saturating_mul(1 << self.unanswered).min(LONGEST_WAIT);
                self.unanswered = (self.unanswered + 1).min(8);
                (Some(failure), pause)
            }
        };
        (Resolution { addresses: self.addresses.clone(), failure }, pause)
    }
}

#[cfg(test)]
mod tests;
