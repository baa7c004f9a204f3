//! The embedded proxy. What stands: who a request comes from, what a split may ask of it, and the head that goes on.

mod client_ip;
mod facts;
mod forward;

pub use client_ip::{ClientIp, ClientIpFrom, X_FORWARDED_FOR};
pub use facts::RequestFacts;
pub use forward::{Arrival, SERIN_DECISION, request_headers, response_headers};
