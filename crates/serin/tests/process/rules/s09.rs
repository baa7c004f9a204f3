use super::decided;
use crate::site::{PATIENCE, Site};
use anyhow::{Result, ensure};
use jiff::Timestamp;
use serin_testkit::eventually;

const BUCKETS: f64 = 20.0;
const DURATION: f64 = 60.0;

/// The threshold of a request, and the moments before and after it.
fn served(site: &Site) -> Result<(u32, Timestamp, Timestamp)> {
    let before = Timestamp::now();
    let k = decided(&site.ask(&site.host(), "/", &[])?, "k")?.parse()?;
    Ok((k, before, Timestamp::now()))
}

/// `floor(buckets x f)`, the line having begun at `start`.
fn formula(start: Timestamp, now: Timestamp) -> u32 {
    let f = now.duration_since(start).as_secs_f64() / DURATION;
    (BUCKETS * f.clamp(0.0, 1.0)).floor() as u32
}

/// When the line began, later by what was held since.
fn line(site: &Site) -> Result<Timestamp> {
    Ok(site.status("/traffic/startsAt")?.parse()?)
}

/// Follows the line up to `k`, and compares each request's threshold with the formula.
fn follows(site: &Site, k: u32) -> Result<()> {
    let mut compared = 0;
    eventually(&format!("it serves {k} of 20"), PATIENCE, || {
        let (start, (k_now, before, after)) = (line(site)?, served(site)?);
        let asked = formula(start, before)..=formula(start, after);
        if !asked.contains(&k_now) {
            // Whoever asks must know the floor too: two seconds ahead where the line was stopped.
            let floor = site.release()?["status"]["traffic"]["floor"].as_u64().unwrap_or_default();
            assert_eq!(u64::from(k_now), floor, "it serves {k_now}, the formula gives {asked:?}");
        }
        compared += 1;
        ensure!(k_now >= k, "k is {k_now}");
        Ok(())
    })?;
    ensure!(compared > 3, "only {compared} instants were compared");
    Ok(())
}

#[test]
fn s9_the_share_is_the_formula_at_every_instant_through_a_pause_and_a_restart() -> Result<()> {
    let mut site = Site::shown("s09-linear", &[])?;
    site.reaches("Progressing", "0")?;
    follows(&site, 2)?;

    ensure!(site.command(&["pause"])?.status.success());
    site.reaches("Paused", &site.status("/weight")?)?;
    let (k, paused, _) = served(&site)?;
    eventually("longer than a bucket takes", PATIENCE, || {
        let (still, _, now) = served(&site)?;
        assert_eq!(still, k, "it rose while it was paused");
        ensure!(now.duration_since(paused).as_secs_f64() > DURATION / BUCKETS + 1.0, "{now}");
        Ok(())
    })?;
    ensure!(site.command(&["resume"])?.status.success());
    let (resumed, _, _) = served(&site)?;
    ensure!(resumed <= k + 1, "it jumped from {k} to {resumed}");
    follows(&site, k + 2)?;

    let (killed, start) = (served(&site)?.0, line(&site)?);
    site.running.process.sigkill()?;
    site.restart()?;
    let (risen, before, _) = served(&site)?;
    ensure!(risen >= killed && risen <= formula(start, before) + 1, "killed at {killed}, back at {risen}");
    follows(&site, risen + 1)
}
