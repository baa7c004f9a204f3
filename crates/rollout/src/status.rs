//! The status that users read, and in which a release's state lives.

mod conditions;
mod facts;
mod message;
mod read;
mod report;
#[cfg(test)]
mod tests;
mod view;

pub use facts::{Decided, Facts, Identities, Measured};
pub use message::fit;
pub use read::{read, segment};
pub use report::report;
