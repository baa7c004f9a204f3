//! How far the own wall clock is from the API server's, by the `Date` header of its answers (RFC 9110 section 6.6.1).

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{Instrument, debug, info_span};

/// How often it is asked. Between two answers the monotonic clock goes on, so a wall clock that jumps shows at once.
const EVERY: Duration = Duration::from_secs(10);
/// An answer that took longer says too little.
const LONGEST_CALL: Duration = Duration::from_secs(2);
/// A header names a second and may be from any moment of it.
const HALF_A_SECOND: SignedDuration = SignedDuration::from_millis(500);

/// The API server's clock, as far as it is known.
#[derive(Debug, Clone)]
pub struct ServerClock {
    reading: watch::Receiver<Option<Reading>>,
}

/// What the API server's clock showed at a moment of the own monotonic one.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    showed: Timestamp,
}

impl ServerClock {
    /// Asks every 10 s until nobody holds the value any more.
    pub fn spawn(client: Client) -> Self {
        let (readings, reading) = watch::channel(None);
        tokio::spawn(follow(client, readings).instrument(info_span!("server-clock")));
        Self { reading }
    }

    /// The own wall clock minus the API server's, good to about a second; none until the first answer.
    ///
    /// A leader that is over 10 s off raises nothing (design section 6).
    pub fn skew(&self) -> Option<SignedDuration> {
        let reading = *self.reading.borrow();
        reading.map(|reading| skew(reading, Instant::now(), Timestamp::now()))
    }
}

fn skew(reading: Reading, now: Instant, wall: Timestamp) -> SignedDuration {
    let since = now.saturating_duration_since(reading.at);
    let past = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
    wall.duration_since(reading.showed).saturating_sub(past)
}

async fn follow(client: Client, readings: watch::Sender<Option<Reading>>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = readings.closed() => return,
        }
        match tokio::time::timeout(LONGEST_CALL, ask(&client)).await {
            Ok(Some(reading)) => drop(readings.send_replace(Some(reading))),
            Ok(None) | Err(_) => debug!("the API server did not tell the time"),
        }
    }
}

/// `/version` is the cheapest answer, and one that every user may have.
async fn ask(client: &Client) -> Option<Reading> {
    let request = http::Request::get("/version").body(Body::empty()).ok()?;
    let began = Instant::now();
    let answer = client.send(request).await.ok()?;
    let at = began + began.elapsed() / 2;
    let showed = date(answer.headers().get(http::header::DATE)?.to_str().ok()?)?;
    Some(Reading { at, showed })
}

/// The middle of the second that the header names.
fn date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()?.checked_add(HALF_A_SECOND).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read() {
        assert_eq!(date("Mon, 23 Nov 2026 18:02:24 GMT"), Some("2026-11-23T18:02:24.5Z".parse().unwrap()));
        assert_eq!(date("yesterday"), None);
    }

    #[test]
    fn a_wall_clock_that_jumps_shows_before_the_next_answer() {
        let (at, showed) = (Instant::now(), "2026-11-23T18:00:00Z".parse::<Timestamp>().unwrap());
        let skew = |later: u64, wall: i64| {
            super::skew(Reading { at, showed }, at + Duration::from_secs(later), showed + SignedDuration::from_secs(wall)).as_secs()
        };
        assert_eq!(skew(0, 0), 0);
        assert_eq!(skew(9, 9), 0);
        assert_eq!(skew(9, 86_409), 86_400);
        assert_eq!(skew(9, -86_391), -86_400);
    }
}
