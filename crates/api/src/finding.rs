//! What serin has to say about an object: it becomes a condition of that object.

use std::fmt;

/// One thing that is not as it should be, told to the author of the object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which condition it makes False.
    pub condition: Condition,
    /// A constant of [`crate::reason`].
    pub reason: &'static str,
    /// The field, such as `spec.strategy.steps[2].weight`; empty when none is to blame.
    pub field: String,
    /// A sentence that says what is so, and what to do.
    pub message: String,
}

/// The condition that a finding makes False.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The spec is one that serin can serve.
    Accepted,
    /// What the spec names exists.
    ResolvedRefs,
    /// It is served.
    Programmed,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}
