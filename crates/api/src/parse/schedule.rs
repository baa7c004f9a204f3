//! `spec.schedule`.

use super::report::{Report, meant};
use crate::release::{Schedule, Window};
use crate::spec::{self, Day, ScheduleSpec};
use jiff::civil::{Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The schedule, of the windows that are valid.
pub(super) fn parse(raw: &ScheduleSpec, report: &mut Report) -> Schedule {
    let windows = raw.windows.iter().flatten().enumerate();
    let windows = windows.filter_map(|(index, raw)| window(&format!("spec.schedule.windows[{index}]"), raw, report)).collect();
    Schedule { windows, frozen: raw.frozen == Some(true) }
}

fn window(field: &str, raw: &spec::Window, report: &mut Report) -> Option<Window> {
    if raw.from == raw.to {
        report.invalid(field, format!("The window begins and ends at {}. Make from and to differ.", raw.from));
    }
    let zone = zone(field, raw.time_zone.as_deref().unwrap_or("UTC"), report);
    let days = raw.days.iter().flatten().map(|day| weekday(*day)).collect();
    Some(Window { days, from: time(&raw.from)?, to: time(&raw.to)?, zone: zone? })
}

/// `HH:MM`, which the schema has let through.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// Of the database that comes with the binary: the files of one machine decide nothing, so every replica has the same windows.
fn zone(field: &str, name: &str, report: &mut Report) -> Option<TimeZone> {
    let zones = TimeZoneDatabase::bundled();
    if let Ok(zone) = zones.get(name) {
        return Some(zone);
    }
    let known: Vec<_> = zones.available().map(|known| known.to_string()).collect();
    let cure = match meant(name, known.iter().map(String::as_str)) {
        Some(like) => format!("Did you mean {like}?"),
        None => "Write its IANA name, such as Europe/Berlin.".to_owned(),
    };
    report.invalid(&format!("{field}.timeZone"), format!("There is no time zone {name}. {cure}"));
    None
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}
