//! Windows and freezes.

use crate::site::{Site, spec};
use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn percentage(percent: u32, schedule: &Value) -> Value {
    spec(&json!({"strategy": {"percentage": percent}, "schedule": schedule}))
}

/// The time of day in UTC, so many hours from now.
fn clock(hours: i64) -> String {
    (Timestamp::now() + SignedDuration::from_hours(hours)).strftime("%H:%M").to_string()
}

#[test]
fn a_release_starts_in_its_window_rises_in_it_alone_and_falls_at_any_time() -> Result<()> {
    let open = json!({"windows": [{"from": clock(-2), "to": clock(2), "timeZone": "UTC"}]});
    let closed = json!({"windows": [{"from": clock(2), "to": clock(4), "timeZone": "Etc/UTC"}]});
    let site = Site::start(&percentage(10, &closed))?;
    site.tells("Scheduled")?;
    assert_eq!([site.status("/phase")?, site.status("/weight")?], ["Scheduled", "0"]);
    ensure!(site.status("/message")?.starts_with("It starts at 20"), "{}", site.status("/message")?);

    site.edit(&percentage(10, &open))?;
    site.reaches("Steady", "10")?;
    site.edit(&percentage(50, &closed))?;
    site.reaches("Progressing", "10")?;
    ensure!(site.status("/message")?.starts_with("Held at 10 %: outside its windows. It goes on at 20"), "{}", site.status("/message")?);
    site.edit(&percentage(5, &closed))?;
    site.reaches("Steady", "5")?;
    site.edit(&percentage(50, &json!({"frozen": true})))?;
    site.reaches("Progressing", "5")?;
    site.edit(&percentage(50, &json!({"frozen": false})))?;
    site.reaches("Steady", "50")
}
