//! The embedded proxy: HTTP/1 behind a strict gate, one single-threaded runtime a worker, and counters that the control side reads.
//!
//! [`Proxy`] serves what a [`serin_routing::Table`] says. Not here: Kubernetes, and whatever decides what is served.

pub mod gate;

mod access_log;
mod auth;
mod balance;
mod body;
mod client_ip;
mod connection;
mod counters;
mod drain;
mod explain;
mod facts;
mod failure;
mod forward;
mod grpc;
mod health;
mod http2;
mod https;
mod io;
mod issue;
mod listener;
mod metrics;
mod origin;
mod origin_tls;
mod passwords;
mod pool;
mod proxy;
mod proxy_protocol;
mod record;
mod service;
mod settings;
mod target;
mod tls;
mod tunnel;
mod view;
mod worker;

pub use balance::PolicyCounts;
pub use client_ip::{ClientIp, ClientIpFrom, X_FORWARDED_FOR};
pub use counters::{Counters, Counts, Fallbacks, FirstSeen, Histogram, Identities, ReleaseCounts, Totals};
pub use explain::{AuthorExplained, Case, Explanation, ReleaseExplained, RouteExplained, explain};
pub use facts::RequestFacts;
pub use failure::{Blame, Failure};
pub use forward::SERIN_DECISION;
pub use origin_tls::OriginTls;
pub use proxy::Proxy;
pub use settings::{AccessLog, Http2Limits, Limits, PasswordLimits, Settings, Timeouts};
pub use target::host;
