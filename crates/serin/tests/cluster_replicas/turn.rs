//! How many tests run at once, however many threads there are.

use std::sync::{Condvar, Mutex, PoisonError};

/// Each starts two or three replicas and measures seconds; two cores hold no more.
const AT_ONCE: u32 = 2;

static UNDER_WAY: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A test's turn; it ends when the value is dropped.
pub(crate) struct Turn;

impl Turn {
    /// Waits until it is this test's turn.
    pub(crate) fn take() -> Self {
        let under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        let mut under_way = ENDED.wait_while(under_way, |under_way| *under_way == AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        *under_way += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
