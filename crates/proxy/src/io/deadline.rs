//! A timer that is moved often and fires rarely.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// When a wait is over. Moving it costs a store: the timer behind it is left as it is, and set anew when it fires early.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    due: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// The wait begins now, also if one was under way.
    pub(crate) fn start(&mut self, after: Duration) {
        self.start_at(Instant::now(), after);
    }

    /// The wait began then.
    pub(crate) fn start_at(&mut self, begin: Instant, after: Duration) {
        self.due = begin.checked_add(after);
    }

    /// The wait begins now, unless one is under way.
    pub(crate) fn keep(&mut self, after: Duration) {
        if self.due.is_none() {
            self.start(after);
        }
    }

    /// The wait began then, unless one is under way.
    pub(crate) fn keep_at(&mut self, begin: Instant, after: Duration) {
        if self.due.is_none() {
            self.start_at(begin, after);
        }
    }

    /// Nothing is waited for.
    pub(crate) fn stop(&mut self) {
        self.due = None;
    }

    /// Whether a wait is under way.
    pub(crate) fn is_begun(&self) -> bool {
        self.due.is_some()
    }

    /// Ready when the wait is over; never ready while there is none.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    async fn is_over(deadline: &mut Deadline) -> bool {
        poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn moved_deadline_fires_when_it_is_due_and_not_before() {
        let (mut deadline, start) = (Deadline::default(), Instant::now());
        deadline.start(MS(10));
        assert!(!is_over(&mut deadline).await);
        deadline.start(MS(30));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert!(start.elapsed() >= MS(30));
        deadline.start(Duration::from_secs(3600));
        assert!(!is_over(&mut deadline).await);
        deadline.start(MS(5));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert!(start.elapsed() >= MS(35));
    }

    #[tokio::test]
    async fn wait_that_is_kept_goes_on_and_one_that_is_stopped_never_ends() {
        let mut deadline = Deadline::default();
        deadline.start_at(Instant::now() - MS(100), MS(50));
        deadline.keep(Duration::from_secs(3600));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert!(is_over(&mut deadline).await);
        deadline.stop();
        assert!(!is_over(&mut deadline).await);
    }
}
