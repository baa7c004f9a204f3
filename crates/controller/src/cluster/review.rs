//! Whose token it is that a question to the admin port carries: a TokenReview tells, of tokens that are for this audience alone.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview, TokenReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// For whom the tokens of replicas are.
pub const AUDIENCE: &str = "serin.dev/peers";
/// How long an answer holds.
const GOOD: Duration = Duration::from_secs(60);
const BAD: Duration = Duration::from_secs(10);
/// How many answers are kept.
const KEPT: usize = 64;
/// Questions to the API server at once: whoever sends many tokens must not send them on.
const AT_ONCE: usize = 2;
/// How long one may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest token that is looked at.
const LONGEST: usize = 8 * 1024;

/// Asks the API server, and remembers for a while.
pub struct Reviewer {
    client: Client,
    /// Users beside serin's own account.
    allowed: Vec<String>,
    own: OnceCell<String>,
    known: Mutex<HashMap<String, (Instant, bool)>>,
    questions: Semaphore,
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// It is of somebody who may ask.
    Allowed,
    /// It is of nobody, or of somebody else.
    Refused,
    /// The API server did not say.
    Unknown,
}

impl Reviewer {
    /// serin's own account may ask, and these users.
    pub fn new(client: Client, allowed: Vec<String>) -> Self {
        Self { client, allowed, own: OnceCell::new(), known: Mutex::default(), questions: Semaphore::new(AT_ONCE) }
    }

    /// Whose this is.
    pub async fn review(&self, token: &str) -> Review {
        if token.is_empty() || token.len() > LONGEST {
            return Review::Refused;
        }
        if let Some(is_allowed) = self.remembered(token, Instant::now()) {
            return if is_allowed { Review::Allowed } else { Review::Refused };
        }
        let Ok(_permit) = self.questions.try_acquire() else { return Review::Unknown };
        let asked = tokio::time::timeout(CALL_TIMEOUT, self.ask(token)).await;
        let Ok(Ok(is_allowed)) = asked else {
            tracing::warn!("a token could not be reviewed: serin needs the right to create tokenreviews, and the API server");
            return Review::Unknown;
        };
        self.remember(token, is_allowed, Instant::now());
        if is_allowed { Review::Allowed } else { Review::Refused }
    }

    fn remembered(&self, token: &str, now: Instant) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get(token).filter(|(until, _)| now < *until).map(|(_, is_allowed)| *is_allowed)
    }

    fn remember(&self, token: &str, is_allowed: bool, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|_, (until, _)| now < *until);
        // Those that are refused make no room: the ones that may ask are few.
        if known.len() >= KEPT && !is_allowed {
            return;
        }
        known.insert(token.to_owned(), (now + if is_allowed { GOOD } else { BAD }, is_allowed));
    }

    async fn ask(&self, token: &str) -> kube::Result<bool> {
        let own = self.own.get_or_try_init(|| self.whoami()).await?;
        let audiences = vec![AUDIENCE.to_owned()];
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: Some(audiences) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let Some(status) = answer.status else { return Ok(false) };
        // An API server that knows no audiences answers without them, and its word is for another one.
        let is_for_us = status.audiences.is_some_and(|audiences| audiences.iter().any(|audience| audience == AUDIENCE));
        let user = status.user.and_then(|user| user.username).unwrap_or_default();
        Ok(status.authenticated == Some(true) && is_for_us && (user == *own || self.allowed.contains(&user)) && !user.is_empty())
    }

    async fn whoami(&self) -> kube::Result<String> {
        let review =
            Api::<SelfSubjectReview>::all(self.client.clone()).create(&PostParams::default(), &SelfSubjectReview::default()).await?;
        Ok(review.status.and_then(|status| status.user_info).and_then(|user| user.username).unwrap_or_default())
    }
}

impl std::fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reviewer").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}
