//! The module `cluster` against a real API server, with the rights of `deploy/rbac.yaml` and no others.
#![cfg(target_os = "linux")]

mod events;
mod lease;
mod replica;
mod rights;
mod silence;
mod watch;
mod world;
mod writer;
