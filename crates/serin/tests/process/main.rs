//! The built binary as its users meet it: `serin standalone` on loopback with real requests, the commands, the demo and the checks.
#![cfg(unix)]

mod arrival;
mod authentication;
mod blue_green;
mod chart;
mod client;
mod commands;
mod cookies;
mod demo;
mod docs;
mod explain;
mod explained;
mod fallbacks;
mod fields;
mod heavy;
mod hostile;
mod hosts;
mod identities;
mod key_sets;
mod kong;
mod metrics;
mod offline;
mod pods;
mod policies;
mod protocols;
mod restart;
mod rules;
mod running;
mod schedule;
mod shown;
mod shutdown;
mod sides;
mod simulate;
mod site;
mod start;
mod workloads;
