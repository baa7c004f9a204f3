//! The compiled table: hosts, paths, releases and backends; one lookup a request.
//!
//! [`Config`] is plain data that says what is served; [`Table`] is the same, immutable and ready to be asked by all workers at once.
//! Not here: a Kubernetes object, a clock, an HTTP type. What must outlive a table is in [`Policies`].

pub mod config;
pub mod path;
pub mod upstream;

mod certificate;
mod deciders;
mod paths;
mod policies;
mod release;
mod rewrite;
mod table;

pub use certificate::{Certificate, CertificateFault};
pub use config::Config;
pub use policies::Policies;
pub use release::Release;
pub use table::{Auth, Backend, Route, RouteRelease, Table};
