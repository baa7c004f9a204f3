//! serin from its image in pods of a real node: what an author applies with kubectl, and what clients get over the load balancer.
#![cfg(target_os = "linux")]

mod site;
mod split;
