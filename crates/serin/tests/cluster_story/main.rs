//! The built binary with its shipped rights and CRD, on a real API server: what an author applies, sees and is told, from the first
//! `kubectl apply` to the last edit.
#![cfg(target_os = "linux")]

mod analysis;
mod authentication;
mod churn;
mod columns;
mod continuity;
mod discipline;
mod examples;
mod grants;
mod guard;
mod hosts;
mod imported;
mod ingresses;
mod life;
mod malformed;
mod manual;
mod memory;
mod namespaces;
mod policies;
mod protocols;
mod refused;
mod revisions;
mod rules;
mod site;
mod tls;
