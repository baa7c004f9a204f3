//! The cluster: what is watched, who leads, and what the leader writes.
//!
//! Two rules hold whatever the network and the clocks do. A status is only ever put onto the object that it was decided from: its
//! `resourceVersion` goes with each write, so two leaders cannot raise a weight twice. And nothing is sent once the own monotonic clock
//! says that leadership is over, so a replica that was frozen does not wake up writing.

mod clock;
pub mod events;
pub mod lease;
pub mod peers;
pub mod publish;
mod replica;
pub mod review;
pub mod watch;
mod world;
pub mod writer;

use std::time::Duration;

pub use clock::ServerClock;
pub use replica::{Replica, Settings, start};
pub use world::Reach;

/// The field manager of all that serin applies, and the name under which its Events come.
pub const FIELD_MANAGER: &str = "serin";

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be silent: longer than a watch lasts ([`watch`]), and short enough to notice a dead one within a minute.
const READ_TIMEOUT: Duration = Duration::from_secs(55);

/// A client whose calls end when the other side falls silent, and that sends what it was given once.
///
/// kube's own repetition of refused calls is off: it would send a status again, up to minutes later, whoever leads by then.
///
/// # Errors
/// When the configuration has no usable certificates or credentials.
pub fn client(mut config: kube::Config) -> kube::Result<kube::Client> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.default_retry = false;
    kube::Client::try_from(config)
}
