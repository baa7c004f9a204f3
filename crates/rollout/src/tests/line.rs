//! S9's formula against a model of its own: at any instant the share is `floor(buckets * f) / buckets`, whatever happened before.
//! Each of 512 random plans is looked at in up to 480 random instants.

use super::*;
use crate::status::{read, report};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use serin_api::CanaryReleaseStatus;
use serin_api::release::{Strategy, Window};

const DAY: i64 = 86_400;
/// The time of day at which a [`World`] begins.
const EIGHT: i64 = 8 * 3600;
/// How far ahead the line may run without a new decision, and when that is moved on.
const LEASE: i64 = 60;
const RENEW: i64 = 30;
/// How late replicas may hear of a pause.
const SETTLE: i64 = 2;

/// The line as S9 and the segment's rules say, in seconds.
#[derive(Debug)]
struct Model {
    buckets: i64,
    duration: i64,
    start: i64,
    held: i64,
    until: i64,
    floor: i64,
    over: bool,
}

impl Model {
    fn k(&self, t: i64) -> i64 {
        let past = (t.min(self.until) - self.start - self.held).clamp(0, self.duration);
        if self.over { self.buckets } else { (self.buckets * past / self.duration).max(self.floor) }
    }

    /// The weight may not rise: the line stops where replicas are by the time that they hear of it.
    fn stop(&mut self, now: i64) {
        if self.until > now {
            self.floor = self.k(now + SETTLE);
            self.until = now;
        }
    }

    /// The weight may rise until `closes`: all time past `until` was held.
    fn go_on(&mut self, now: i64, closes: i64) {
        self.over |= now.min(self.until) >= self.start + self.held + self.duration;
        let held = now - self.until.max(self.start + self.held);
        if held > 0 {
            self.floor = self.k(now);
            self.held += held;
            self.until = now;
        }
        if self.until < now + RENEW {
            self.until = self.until.max(closes.min(now + LEASE));
        }
    }
}

/// A window of each day, in seconds.
#[derive(Clone, Copy, Debug)]
struct Daily {
    from: i64,
    length: i64,
}

impl Daily {
    /// How long it is open yet; 0 when it is not.
    fn left(self, now: i64) -> i64 {
        (self.length - (EIGHT + now - self.from).rem_euclid(DAY)).max(0)
    }

    fn schedule(self) -> Schedule {
        let clock = |second: i64| Time::midnight() + secs(second.rem_euclid(DAY));
        let window = Window { days: Vec::new(), from: clock(self.from), to: clock(self.from + self.length), zone: TimeZone::UTC };
        Schedule { windows: vec![window], frozen: false }
    }
}

#[derive(Clone, Debug)]
enum Happens {
    Nothing,
    Pause,
    Resume,
    Freeze(bool),
    /// The clock is set, or nobody decides for a while.
    Jump(i64),
    /// Whoever decides begins anew from what status says, by a clock that may differ: a restart, and a change of the leader.
    Begins(i64),
}

fn story() -> impl proptest::strategy::Strategy<Value = Vec<(i64, Happens, i64)>> {
    let happens = prop_oneof![
        6 => Just(Happens::Nothing),
        1 => Just(Happens::Pause),
        2 => Just(Happens::Resume),
        1 => any::<bool>().prop_map(Happens::Freeze),
        1 => (-600i64..600).prop_map(Happens::Jump),
        1 => (0i64..100_000).prop_map(Happens::Jump),
        1 => (-10i64..10).prop_map(Happens::Begins),
    ];
    prop::collection::vec((1i64..50, happens, 0i64..200_000), 1..120)
}

/// The status after a decision.
fn told(before: &CanaryReleaseStatus, w: &World) -> CanaryReleaseStatus {
    report(before, Some((&release_of(&w.plan), &w.plan)), &w.state, &facts(&w.evidence), at(w.now))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn s9_at_every_instant_the_share_is_the_formula_with_pauses_windows_restarts_and_a_clock_that_jumps(
        buckets in 1u32..3000,
        duration in 60i64..50_000,
        late in 0i64..600,
        ago in prop::option::of(0i64..20_000),
        (from, length) in (0..DAY / 60, 1..DAY / 60),
        windowed in any::<bool>(),
        story in story(),
    ) {
        let start = ago.map(|ago| at(-ago));
        let strategy = Strategy::Linear { start, duration: secs(duration) };
        let mut w = World::new(Plan { buckets, progress_deadline: secs(1_000_000_000), ..plan(strategy) });
        w.decide();
        w.now += late;
        w.evidence.programmed = Some(0);
        w.decide();
        w.decide();
        // A start in the past counts in full; what passed since the release began, until replicas followed, is held.
        let (start, held) = ago.map_or((late, 0), |ago| (-ago, late));
        let mut model = Model { buckets: buckets.into(), duration, start, held, until: late, floor: 0, over: false };
        model.go_on(late, i64::MAX);

        let mut status = told(&CanaryReleaseStatus::default(), &w);

        let daily = Daily { from: from * 60, length: length * 60 };
        if windowed {
            w.plan.schedule = daily.schedule();
        }
        for (n, (seconds, happens, far)) in story.into_iter().enumerate() {
            for t in [w.now, w.now + seconds / 2, w.now + seconds, w.now + far] {
                prop_assert_eq!(i64::from(w.state.segment.k(at(t))), model.k(t), "at {} of {:?}", t, model);
            }
            w.now += seconds;
            w.evidence.command = None;
            match happens {
                Happens::Nothing => {}
                Happens::Pause => w.evidence.command = Some(format!("pause@{n}").into()),
                Happens::Resume => w.evidence.command = Some(format!("resume@{n}").into()),
                Happens::Freeze(yes) => w.plan.schedule.frozen = yes,
                Happens::Jump(by) => w.now += by,
                Happens::Begins(ahead) => {
                    w.state = read(&status, "u-1");
                    w.now += ahead;
                }
            }
            w.decide();
            status = told(&status, &w);
            let left = if windowed { daily.left(w.now) } else { i64::MAX / 2 };
            match w.state.pauses.command || w.plan.schedule.frozen || left == 0 {
                true => model.stop(w.now),
                false => model.go_on(w.now, w.now + left),
            }
        }
    }
}
