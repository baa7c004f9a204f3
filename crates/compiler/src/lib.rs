//! Cluster objects to the table's config, and what is to be said to the author of each object.
//!
//! [`Objects`] is the cache, [`compile()`] a pure function of it: equal objects give an equal result, whatever the order in which they
//! came. One bad object harms only itself: it becomes a [`serin_api::Finding`], and every other route goes on. Not here: a watch, a
//! clock, a write.

mod app_protocol;
mod auth;
mod backends;
mod canary;
mod certificates;
mod class;
mod compile;
mod declared;
mod edit;
mod endpoints;
mod grants;
mod hints;
mod ingress;
mod judge;
mod kept;
mod key;
mod need;
mod objects;
mod outcome;
mod outside;
mod pods;
mod policies;
mod scope;
mod shared;
mod standing;
mod tls;
mod unresolved;
mod workloads;

pub use auth::{AnyAuthPolicy, AnyConsumer, AuthPolicyOutcome, ConsumerOutcome, KeySetNeeds, SecretData, SecretNeeds};
pub use class::CONTROLLER;
pub use compile::{Compiler, compile};
pub use grants::AnyReferenceGrant;
pub use key::Key;
pub use need::{Need, Needed};
pub use objects::{AnyBackendPolicy, AnyRelease, Cached, Objects};
pub use outcome::{Compiled, Edit, Options, ReleaseOutcome, RouteUse};
pub use outside::{AllowedHosts, Resolution, special};
