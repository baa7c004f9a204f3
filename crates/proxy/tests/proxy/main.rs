//! The proxy on loopback: real sockets, hostile clients, lying origins.

mod basics;
mod support;
