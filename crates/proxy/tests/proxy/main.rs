//! The proxy on loopback: real sockets, hostile clients, lying origins.

mod basics;
#[path = "../cases/requests.rs"]
mod cases;
mod framing;
mod support;
