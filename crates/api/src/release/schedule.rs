//! When a release may advance.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// When a release may start, advance and be promoted; never anything else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Times at which it may; none: always.
    pub windows: Vec<Window>,
    /// It may not.
    pub frozen: bool,
}

/// A part of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Days on which it begins; none: every day.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends, never `from`; before it: on the next day.
    pub to: Time,
    /// Whose clock tells.
    pub zone: TimeZone,
}
