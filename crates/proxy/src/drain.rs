//! Streams to a canary whose release was aborted: they end after `drain.onAbort` (S20).

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// When the streams of a release to its canary end; `None` while they go on.
pub(crate) type End = watch::Sender<Option<Instant>>;

/// The wait of one answer. It costs nothing before the answer is a stream: before its origin was waited for.
#[derive(Default)]
pub(crate) struct Drain {
    end: Option<End>,
    wait: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Drain {
    pub(crate) fn new(end: End) -> Self {
        Self { end: Some(end), wait: None }
    }

    /// Ready when the stream is to end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(end) = self.end.take() {
            let mut told = end.subscribe();
            self.wait = Some(Box::pin(async move {
                let at = told.wait_for(Option::is_some).await.ok().and_then(|at| *at);
                match at {
                    Some(at) => sleep_until(at).await,
                    // The release is gone without an abort: what streams goes on.
                    None => pending().await,
                }
            }));
        }
        self.wait.as_mut().map_or(Poll::Pending, |wait| wait.as_mut().poll(cx))
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}
