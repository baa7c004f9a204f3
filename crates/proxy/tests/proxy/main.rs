//! The proxy on loopback: real sockets, hostile clients, lying origins.

mod basics;
#[path = "../cases/requests.rs"]
mod cases;
mod continuity;
mod framing;
mod limits;
mod origins;
mod split;
mod streams;
mod support;
mod told;
