//! Key sets by URL: fetched off the workers, again each minute, and sooner when a token names a key that nobody knows.

mod fetch;

use crate::update::Update;
pub use fetch::Rule;
use fetch::fetch;
use serin_compiler::KeySetNeeds;
use serin_proxy::OriginTls;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, info_span, warn};

/// How soon a new key counts at the latest. Issuers publish keys before they sign by them.
const PERIOD: Duration = Duration::from_secs(60);
/// However many tokens name unknown keys, nobody is asked more often.
const SHORTEST: Duration = Duration::from_secs(10);
/// How soon somebody who did not answer well is asked again; each time in a row twice as late, up to [`PERIOD`].
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// One task for each URL that is wanted.
#[derive(Debug)]
pub struct KeySets {
    standalone: bool,
    tls: OriginTls,
    needs: KeySetNeeds,
    wanted: BTreeMap<String, Wanted>,
    /// They end with it.
    tasks: JoinSet<()>,
    told: mpsc::Receiver<Update>,
    tell: mpsc::Sender<Update>,
}

#[derive(Debug)]
struct Wanted {
    task: AbortHandle,
    hurry: Arc<Notify>,
}

impl KeySets {
    /// Nothing is fetched yet.
    pub fn new(standalone: bool, tls: OriginTls) -> Self {
        let (tell, told) = mpsc::channel(64);
        Self { standalone, tls, needs: KeySetNeeds::default(), wanted: BTreeMap::new(), tasks: JoinSet::new(), told, tell }
    }

    /// Fetches these from now on, and no others.
    pub fn are(&mut self, needs: &KeySetNeeds) {
        // Where nobody may go is asked anew of each.
        let same_rule = needs.api_server == self.needs.api_server;
        self.wanted.retain(|url, wanted| {
            let stays = same_rule && needs.urls.contains(url);
            if !stays {
                wanted.task.abort();
            }
            stays
        });
        // Those that were ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
        for url in &needs.urls {
            if !self.wanted.contains_key(url) {
                let rule = Rule { standalone: self.standalone, api_server: needs.api_server.clone() };
                let hurry = Arc::new(Notify::new());
                let task = follow(url.clone(), rule, self.tls.clone(), Arc::clone(&hurry), self.tell.clone());
                let task = self.tasks.spawn(task.instrument(info_span!("keys", url)));
                self.wanted.insert(url.clone(), Wanted { task, hurry });
            }
        }
        self.needs = needs.clone();
    }

    /// Somebody named a key that is not in this set.
    pub fn hurry(&self, url: &str) {
        if let Some(wanted) = self.wanted.get(url) {
            wanted.hurry.notify_one();
        }
    }

    /// What was fetched. Waits for ever while nothing is wanted. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Update {
        match self.told.recv().await {
            Some(update) => update,
            // It holds a sender of its own.
            None => std::future::pending().await,
        }
    }
}

/// Fetches one set for ever.
async fn follow(url: String, rule: Rule, tls: OriginTls, hurry: Arc<Notify>, tell: mpsc::Sender<Update>) {
    let mut failures = 0;
    loop {
        let answer = fetch(&url, &rule, &tls).await;
        let fetched = Instant::now();
        let pause = match &answer {
            Ok(_) => {
                failures = 0;
                PERIOD
            }
            Err(failure) => {
                warn!("keys are not fetched: {failure}");
                failures = (failures + 1).min(8);
                FIRST_WAIT.saturating_mul(1 << (failures - 1)).min(PERIOD)
            }
        };
        if tell.send(Update::KeySet(url.clone(), answer)).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep_until(fetched + pause) => {}
            () = hurry.notified() => sleep_until(fetched + pause.min(SHORTEST)).await,
        }
    }
}
