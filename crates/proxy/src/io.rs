//! What stands between sockets and hyper: the gate of each side, and its waits.

mod client;
mod deadline;
mod origin;

pub(crate) use client::{ClientIo, Connection, Refusal};
pub(crate) use origin::{Exchange, OriginFault, OriginIo, Upload};
