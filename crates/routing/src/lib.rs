//! The compiled table: hosts, paths, releases and backends; one lookup a request.

pub mod config;

pub use config::Config;
