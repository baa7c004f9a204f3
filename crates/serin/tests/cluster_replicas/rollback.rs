//! Rollback with sticky users and testers: how long after the abort was written anybody still gets the canary, with a leader and without.

use crate::replica::{Replica, Seen};
use crate::site::{HOST, SOON, Site, shared};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_testkit::ask::get;
use serin_testkit::eventually;
use serin_testkit::origin::LABEL;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// From the write of the abort to the last answer of the canary, on every replica.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Users of whom half are kept on the canary.
const USERS: usize = 40;

/// Whether the canary answers this user, or a tester.
fn canary(seen: &Seen, user: &str, tester: bool) -> Result<bool> {
    let headers = [("Host", HOST), ("X-User", user), ("X-Canary", if tester { "always" } else { "other" })];
    let answer = get(seen.http(), "/", &headers)?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.header(LABEL).context("no origin answered")? == "v2")
}

/// The users who are kept on the canary, the same on every replica, and testers always are.
fn sticky(replicas: &[Replica]) -> Result<Vec<String>> {
    let users = (0..USERS).map(|n| format!("user-{n}"));
    let mut sticky = Vec::new();
    for user in users {
        let sides: Vec<bool> = replicas.iter().map(|replica| canary(&replica.seen, &user, false)).collect::<Result<_>>()?;
        ensure!(sides.iter().all(|side| *side == sides[0]), "{user} is on both sides: {sides:?}");
        ensure!(replicas.iter().all(|replica| canary(&replica.seen, "tester", true).is_ok_and(|canary| canary)), "a tester is on stable");
        sticky.extend(Some(user).filter(|_| sides[0]));
    }
    ensure!((USERS / 5..USERS * 4 / 5).contains(&sticky.len()), "{} of {USERS} at 50 %", sticky.len());
    Ok(sticky)
}

/// What a replica answers while it is asked.
#[derive(Debug, Default)]
struct Answers {
    /// The canary answered.
    met: AtomicBool,
    /// So many answers were stable's since then.
    stable: AtomicUsize,
}

/// When the canary answered last, of these users and of a tester, asked without a pause until all is on stable for long enough.
fn last_canary(seen: &Seen, users: &[String], answers: &Answers, ended: &AtomicBool) -> Result<Option<Instant>> {
    let mut last = None;
    for (nth, user) in users.iter().cycle().enumerate() {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        if canary(seen, user, nth % 3 == 0)? {
            last = Some(Instant::now());
            answers.met.store(true, Ordering::Relaxed);
            answers.stable.store(0, Ordering::Relaxed);
        } else {
            answers.stable.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(last)
}

/// Writes the abort while everyone asks; gives how long after that the last canary answer came, of each replica.
fn rolls_back(site: &Site<'_>, replicas: &[Replica], token: &str) -> Result<Vec<Duration>> {
    let users = sticky(replicas)?;
    let ended = AtomicBool::new(false);
    let answers: Vec<_> = replicas.iter().map(|_| Answers::default()).collect();
    let (written, lasts) = scope(|scope| {
        let ask = |(replica, answers): (&Replica, _)| {
            let (seen, users, ended) = (replica.seen.clone(), users.clone(), &ended);
            scope.spawn(move || last_canary(&seen, &users, answers, ended))
        };
        let asking: Vec<_> = replicas.iter().zip(&answers).map(ask).collect();
        let all_met = eventually("the canary answers on each replica", SOON, || {
            ensure!(answers.iter().all(|answers| answers.met.load(Ordering::Relaxed)), "{answers:?}");
            Ok(())
        });
        let wrote = all_met.and_then(|()| site.kubectl("annotate", &[&format!("serin.dev/abort={token}"), "--overwrite"]));
        // The API server has stored it by now, a moment ago.
        let written = Instant::now();
        // Past the limit each user is asked three times more, so that also as a tester, on each replica.
        let mut since = None;
        let stays = eventually("all stay on stable", SOON, || {
            ensure!(written.elapsed() > AT_ONCE, "the limit is not over");
            if since.is_none() {
                answers.iter().for_each(|answers| answers.stable.store(0, Ordering::Relaxed));
                since = Some(Instant::now());
            }
            ensure!(answers.iter().all(|answers| answers.stable.load(Ordering::Relaxed) > users.len() * 3), "{answers:?}");
            Ok(())
        });
        ended.store(true, Ordering::Relaxed);
        let lasts = asking.into_iter().map(|asked| asked.join().map_err(|_| anyhow::anyhow!("asking panicked"))?);
        let lasts: Result<Vec<_>> = lasts.collect();
        wrote.and(stays).and(lasts).map(|lasts| (written, lasts))
    })?;
    let took = lasts.into_iter().map(|last| Ok(last.context("the canary never answered")?.saturating_duration_since(written)));
    took.collect()
}

#[test]
fn s14_from_the_write_of_abort_to_the_last_canary_answer_is_at_most_a_second_on_every_replica_with_and_without_a_leader() -> Result<()> {
    let site = Site::new(shared()?, "rollback")?;
    let mut replicas = (40..43).map(|host| site.replica(host)).collect::<Result<Vec<_>>>()?;
    site.release(&json!({"overrides": [{"header": {"name": "X-Canary"}}], "strategy": {"percentage": 50}}))?;
    eventually("all serve 50 %", SOON, || replicas.iter().try_for_each(|replica| replica.seen.serves(5_000)))?;
    let took = rolls_back(&site, &replicas, "once")?;
    println!("with a leader: the last canary answer {took:?} after the abort was written");
    assert!(took.iter().all(|took| *took <= AT_ONCE), "{took:?}");

    site.until("it is recorded", |release| release["status"]["phase"] == "Aborted")?;
    site.kubectl("annotate", &["serin.dev/command=retry"])?;
    replicas.push(site.replica(43)?);
    eventually("all serve 50 % again", SOON, || replicas.iter().try_for_each(|replica| replica.seen.serves(5_000)))?;
    let holder = site.holder()?;
    site.take_leader(&mut replicas)?.process.sigkill()?;
    let took = rolls_back(&site, &replicas, "twice")?;
    ensure!(site.holder()? == holder, "somebody leads already: this shows nothing");
    println!("without a leader: {took:?}");
    assert_eq!(took.len(), 3);
    assert!(took.iter().all(|took| *took <= AT_ONCE), "{took:?}");
    Ok(())
}
