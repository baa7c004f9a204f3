//! serin from its image in pods of a real node: what an author applies with kubectl, and what clients get over the load balancer.
#![cfg(target_os = "linux")]

#[path = "../cluster_story/columns.rs"]
mod columns;
mod draining;
mod ingress;
mod life;
mod rights;
mod rolling;
mod scenario;
mod site;
mod split;
mod tls;
