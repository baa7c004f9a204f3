use super::*;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

fn time(text: &str) -> Time {
    text.parse().expect("a time of day")
}

fn window(days: &[Weekday], from: &str, to: &str, zone: &str) -> Window {
    let zone = TimeZoneDatabase::bundled().get(zone).expect("a zone of the database");
    Window { days: days.to_vec(), from: time(from), to: time(to), zone }
}

fn of(windows: Vec<Window>) -> Schedule {
    Schedule { windows, frozen: false }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// When it opens next from a moment on, and when it closes then; as they are told.
fn next(schedule: &Schedule, from: &str) -> String {
    match opens(schedule, at(from)) {
        None => "never".to_owned(),
        Some(open) => format!("{open} {}", open_until(schedule, open, later(open, SignedDuration::from_hours(100))).expect("it opened")),
    }
}

#[test]
fn a_window_opens_on_its_days_by_the_clock_of_its_zone() {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    let office = of(vec![window(&[Monday, Tuesday, Wednesday, Thursday], "09:00", "16:00", "Europe/Berlin")]);
    for (from, expected) in [
        ("2026-12-01T07:59:59Z", "2026-12-01T08:00:00Z 2026-12-01T15:00:00Z"),
        ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00Z 2026-12-01T15:00:00Z"),
        ("2026-12-01T15:00:00Z", "2026-12-02T08:00:00Z 2026-12-02T15:00:00Z"),
        ("2026-12-03T15:00:00Z", "2026-12-07T08:00:00Z 2026-12-07T15:00:00Z"),
        ("2027-03-25T15:00:00Z", "2027-03-29T07:00:00Z 2027-03-29T14:00:00Z"),
    ] {
        assert_eq!(next(&office, from), expected, "from {from}");
    }
    let night = of(vec![window(&[Friday], "22:00", "04:00", "UTC")]);
    for (from, expected) in [
        ("2026-12-04T21:00:00Z", "2026-12-04T22:00:00Z 2026-12-05T04:00:00Z"),
        ("2026-12-05T03:00:00Z", "2026-12-05T03:00:00Z 2026-12-05T04:00:00Z"),
        ("2026-12-05T04:00:00Z", "2026-12-11T22:00:00Z 2026-12-12T04:00:00Z"),
    ] {
        assert_eq!(next(&night, from), expected, "from {from}");
    }
}

#[test]
fn windows_that_meet_are_one() {
    let windows = vec![window(&[], "09:00", "12:00", "UTC"), window(&[], "12:00", "13:00", "UTC"), window(&[], "11:00", "11:30", "UTC")];
    assert_eq!(next(&of(windows), "2026-12-01T00:00:00Z"), "2026-12-01T09:00:00Z 2026-12-01T13:00:00Z");
    let always = of(vec![window(&[], "00:00", "12:00", "UTC"), window(&[], "12:00", "00:00", "UTC")]);
    assert_eq!(next(&always, "2026-12-01T05:00:00Z"), "2026-12-01T05:00:00Z 2026-12-05T09:00:00Z", "as long as was asked");
}

/// In Berlin the clock jumps from 02:00 to 03:00 on 2027-03-28 at 01:00 UTC, and back from 03:00 to 02:00 on 2027-10-31 at 01:00 UTC.
#[test]
fn a_time_that_the_clock_skips_is_reached_as_it_jumps_and_of_one_that_it_shows_twice_the_first_counts() {
    for (from, to, day, expected) in [
        ("02:30", "04:00", "2027-03-28", "2027-03-28T01:00:00Z 2027-03-28T02:00:00Z"),
        ("01:00", "02:30", "2027-03-28", "2027-03-28T00:00:00Z 2027-03-28T01:00:00Z"),
        ("02:00", "03:00", "2027-03-28", "2027-03-29T00:00:00Z 2027-03-29T01:00:00Z"),
        ("02:10", "02:50", "2027-03-28", "2027-03-29T00:10:00Z 2027-03-29T00:50:00Z"),
        ("22:00", "02:30", "2027-03-28", "2027-03-28T00:00:00Z 2027-03-28T01:00:00Z"),
        ("02:30", "04:00", "2027-10-31", "2027-10-31T00:30:00Z 2027-10-31T03:00:00Z"),
        ("01:00", "02:30", "2027-10-31", "2027-10-30T23:00:00Z 2027-10-31T00:30:00Z"),
        ("02:00", "03:00", "2027-10-31", "2027-10-31T00:00:00Z 2027-10-31T02:00:00Z"),
        ("22:00", "02:30", "2027-10-31", "2027-10-30T23:00:00Z 2027-10-31T00:30:00Z"),
    ] {
        let midnight = if day == "2027-03-28" { "2027-03-28T00:00:00Z" } else { "2027-10-30T23:00:00Z" };
        assert_eq!(next(&of(vec![window(&[], from, to, "Europe/Berlin")]), midnight), expected, "{from}-{to} on {day}");
    }
}

#[test]
fn a_day_that_a_zone_left_out_has_no_window() {
    // Samoa had no 30 December 2011.
    let noon = of(vec![window(&[], "12:00", "13:00", "Pacific/Apia")]);
    assert_eq!(next(&noon, "2011-12-29T23:00:00Z"), "2011-12-30T22:00:00Z 2011-12-30T23:00:00Z");
}

#[test]
fn frozen_is_never_open_and_no_window_is_always_open() {
    let frozen = Schedule { windows: Vec::new(), frozen: true };
    assert_eq!(next(&frozen, "2026-12-01T00:00:00Z"), "never");
    assert_eq!(next(&of(Vec::new()), "2026-12-01T00:00:00Z"), "2026-12-01T00:00:00Z 2026-12-05T04:00:00Z");
    assert_eq!(end_of(&frozen, at("2026-12-01T00:00:00Z"), SignedDuration::from_secs(1)), None);
}

#[test]
fn a_span_is_over_when_the_windows_gave_it_the_time() {
    let office = of(vec![window(&[], "09:00", "16:00", "UTC")]);
    let end = |hours| end_of(&office, at("2026-12-01T14:00:00Z"), SignedDuration::from_hours(hours)).map(|end| end.to_string());
    assert_eq!(end(0).as_deref(), Some("2026-12-01T14:00:00Z"));
    assert_eq!(end(2).as_deref(), Some("2026-12-01T16:00:00Z"));
    assert_eq!(end(3).as_deref(), Some("2026-12-02T10:00:00Z"));
    assert_eq!(end(10).as_deref(), Some("2026-12-03T10:00:00Z"));
    assert_eq!(end(100_000), None, "nobody waits for that");
}

/// Minutes of the day, in UTC.
fn windows() -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0i64..1440, 1i64..1440).prop_map(|(from, length)| (from, (from + length) % 1440)), 1..4)
}

proptest! {
    #[test]
    fn any_windows_are_open_when_the_time_of_day_is_within_one(windows in windows(), now in 0i64..3 * DAY, ahead in 1i64..2 * DAY) {
        let clock = |minutes: i64| Time::midnight() + SignedDuration::from_mins(minutes);
        let of_one = |&(from, to): &(i64, i64)| Window { days: Vec::new(), from: clock(from), to: clock(to), zone: TimeZone::UTC };
        let schedule = of(windows.iter().map(of_one).collect());
        let naive = |second: i64| {
            let minute = second.rem_euclid(DAY) / MINUTE;
            windows.iter().any(|&(from, to)| if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to })
        };
        let of_second = |second: i64| at("2026-12-01T00:00:00Z") + SignedDuration::from_secs(second);
        // Windows begin and end with a minute.
        let minutes = |from: i64| std::iter::once(from).chain((from / MINUTE + 1..).map(|minute| minute * MINUTE));

        prop_assert_eq!(is_open(&schedule, of_second(now)), naive(now));
        prop_assert_eq!(opens(&schedule, of_second(now)), minutes(now).find(|second| naive(*second)).map(of_second));
        let closes = minutes(now).find(|second| !naive(*second) || *second >= now + ahead).unwrap_or(now).min(now + ahead);
        let expected = naive(now).then(|| of_second(closes));
        prop_assert_eq!(open_until(&schedule, of_second(now), of_second(now + ahead)), expected);
        let span = SignedDuration::from_secs(ahead);
        if let Some(end) = end_of(&schedule, of_second(now), span) {
            let last = end.duration_since(of_second(0)).as_secs();
            let given = (now..last).filter(|second| naive(*second)).count();
            prop_assert_eq!(i64::try_from(given).expect("a few days"), ahead);
        }
    }
}
