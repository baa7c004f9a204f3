//! The proxy on loopback: real sockets, hostile clients, lying origins.

mod answers;
mod arrival;
mod auth;
mod basics;
#[path = "../cases/requests.rs"]
mod cases;
mod continuity;
mod cookies;
mod duplex;
mod framing;
#[path = "../gate/support.rs"]
mod gate;
mod grpc;
mod http2;
mod http2_origin;
mod http2_origins;
mod https;
mod limits;
#[path = "../gate/mutate.rs"]
mod mutate;
mod origins;
mod policies;
mod retries;
mod split;
mod streams;
mod support;
mod tls;
mod told;
mod uploads;
mod values;
mod websocket;
