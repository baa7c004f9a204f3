//! Watches, leader, status writer, file source: what connects the pure crates to the world.

pub mod admin;
pub mod client;
pub mod cluster;
pub mod engine;
mod events;
pub mod explain;
pub mod key_sets;
pub mod kind;
pub mod names;
pub mod outside;
pub mod run;
pub mod standalone;
pub mod update;
mod window;
