//! The embedded proxy. What stands: who a request comes from, what a split may ask of it, the head that goes on, the gate before HTTP/1,
//! and the connections to origins.

pub mod gate;

mod client_ip;
mod facts;
mod forward;
mod pool;

pub use client_ip::{ClientIp, ClientIpFrom, X_FORWARDED_FOR};
pub use facts::RequestFacts;
pub use forward::{Arrival, SERIN_DECISION, request_headers, response_headers};
pub use pool::{Pool, PoolLimits, RequestBody, UpstreamError};
