//! How soon certificates that were replaced are shown.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::authority::{Authority, Certificate};
use crate::{ask, eventually};

/// For one that never comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where so many exchanges take longer than the limit of [`Rotations::each_within`], the machine does other things, and they are the limit.
const EXCHANGES: u32 = 50;

/// One after the other.
#[derive(Default)]
pub struct Rotations(Vec<Rotation>);

struct Rotation {
    /// From the moment that it could be known to the first client that was shown it.
    shown: Duration,
    /// What an exchange with a handshake took in that time, on average.
    exchange: Duration,
}

impl Rotations {
    /// Asks for this host until the certificate is shown that was put in its place at `since`.
    ///
    /// # Errors
    /// When an exchange fails, and when it is not shown within a minute.
    pub fn until_shown(
        &mut self,
        authority: &Authority,
        host: &str,
        at: SocketAddr,
        certificate: &Certificate,
        since: Instant,
    ) -> Result<()> {
        let (mut spent, mut asked, mut failed) = (Duration::ZERO, 0, None);
        eventually("the new certificate is shown", PATIENCE, || {
            let began = Instant::now();
            let outcome = ask::get_tls(&authority.client(), host, at, "/", &[("Host", host)]);
            (spent, asked) = (spent + began.elapsed(), asked + 1);
            match outcome {
                Ok((shown, answer)) if answer.status == 200 => ensure!(shown == certificate.der, "the old one is"),
                Ok((_, answer)) => failed = Some(anyhow::anyhow!("{}", answer.head)),
                Err(error) => failed = Some(error),
            }
            Ok(())
        })?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        self.0.push(Rotation { shown: since.elapsed(), exchange: spent / asked });
        Ok(())
    }

    /// Each was shown within this time.
    ///
    /// # Errors
    /// With all that came later.
    pub fn each_within(&self, limit: Duration) -> Result<()> {
        let late: Vec<_> = self.0.iter().filter(|rotation| rotation.shown > limit.max(rotation.exchange * EXCHANGES)).collect();
        let late: Vec<_> = late.iter().map(|rotation| format!("{:?}, an exchange took {:?}", rotation.shown, rotation.exchange)).collect();
        ensure!(!self.0.is_empty() && late.is_empty(), "certificates that came later than {limit:?}: {late:?}");
        Ok(())
    }
}

impl fmt::Display for Rotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = |of: fn(&Rotation) -> Duration| {
            let mut all: Vec<_> = self.0.iter().map(of).collect();
            all.sort_unstable();
            (all.get(all.len() / 2).copied().unwrap_or_default(), all.last().copied().unwrap_or_default())
        };
        let ((median, longest), (exchange, slowest)) = (sorted(|rotation| rotation.shown), sorted(|rotation| rotation.exchange));
        write!(f, "{} rotations, shown after {median:?}, at the latest {longest:?}; ", self.0.len())?;
        write!(f, "an exchange took {exchange:?}, at most {slowest:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(shown: u64, exchange: u64) -> Rotations {
        Rotations(vec![Rotation { shown: Duration::from_millis(shown), exchange: Duration::from_millis(exchange) }])
    }

    #[test]
    fn a_limit_holds_and_gives_way_only_where_exchanges_are_slow_too() {
        let within = |shown, exchange| rotation(shown, exchange).each_within(Duration::from_secs(2)).is_ok();
        assert!(within(1999, 10) && !within(2001, 10) && !within(2001, 40));
        assert!(within(4999, 100) && !within(5001, 100));
        assert!(Rotations::default().each_within(Duration::from_secs(2)).is_err(), "nothing was rotated");
    }
}
