//! What a log comes to, for a person.

use super::{Asked, Counts, Trial};
use comfy_table::{Table, presets};
use jiff::Timestamp;
use serin_api::reason::condition::SKEWED;
use serin_rollout::phase::Phase;
use serin_rollout::share::{measured, weight};
use serin_rollout::status::{Decided, Facts, Identities, Measured};
use serin_rollout::{Segment, State, report};
use serin_split::Users;
use std::fmt::Write;

/// The shares at each threshold, and what would be said of them.
pub(super) fn text(asked: &Asked, counts: &Counts, trials: &[Trial]) -> String {
    let release = &asked.release;
    let buckets = release.split.buckets;
    let mut text = format!("{}/{}: {} buckets, salt {:?}\n", release.namespace, release.name, buckets, release.split.salt);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["WEIGHT", "BUCKETS", "USERS", "REQUESTS"]);
    for trial in trials {
        let (tally, users) = (&trial.tally, trial.tally.users());
        let share = |part: u64, whole: u64| format!("{} % ({part} of {whole})", measured(part, whole));
        table.add_row([
            format!("{} %", weight(trial.k, buckets)),
            trial.k.to_string(),
            share(users.canary, users.seen),
            share(tally.canary, tally.requests),
        ]);
    }
    // Writing to a String cannot fail.
    let _ = table.lines().try_for_each(|line| writeln!(text, "{}", line.trim()));
    let Some(last) = trials.last() else { return text };
    let (tally, users) = (&last.tally, last.tally.users());
    let _ = writeln!(text, "{} requests by buckets, {} by overrides, {} of others", tally.requests, tally.chosen, counts.others);
    if users.seen > 0 {
        let name = users.busiest.and_then(|hash| counts.names.get(&hash)).map(|name| format!(" ({name:?})")).unwrap_or_default();
        let _ = writeln!(text, "the busiest{name} makes {} % of them", measured(users.largest, tally.requests));
    }
    for (to, requests) in &tally.fallbacks {
        let _ = writeln!(text, "{requests} requests had no such identity and were split by {to}");
    }
    if let Some(trial) = trials.iter().find(|trial| trial.k > 0)
        && let Some(said) = skewed(asked, counts, trial, &users)
    {
        let _ = writeln!(text, "Skewed: {said}");
    }
    if !asked.routed {
        text.push_str("The files have no Ingress, so every request of the log took part.\n");
    }
    text
}

/// What the condition Skewed would say, by the code that writes it.
fn skewed(asked: &Asked, counts: &Counts, trial: &Trial, users: &Users) -> Option<String> {
    let (now, tally) = (Timestamp::UNIX_EPOCH, &trial.tally);
    let segment = Segment::flat(&asked.plan.release, asked.release.split.buckets, trial.k, 1, now);
    let state = State { phase: Phase::Steady, segment, ..State::empty() };
    let busiest = users.busiest.and_then(|hash| counts.names.get(&hash)).cloned();
    let facts = Facts {
        decided: Decided { requests: tally.requests, identities: users.seen, kind: users.kind, busiest },
        measured: Some(Measured {
            canary_requests: tally.canary,
            stable_requests: tally.requests - tally.canary,
            identities: Identities { seen: users.seen, largest: users.largest },
            since: now,
            fallbacks: Default::default(),
        }),
        ..Facts::default()
    };
    let status = report(&Default::default(), Some((&asked.release, &asked.plan)), &state, &facts, now);
    let condition = status.conditions.into_iter().find(|condition| condition.type_ == SKEWED)?;
    (condition.status == "True").then_some(condition.message)
}
