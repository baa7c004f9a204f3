//! Standalone mode: manifests in a folder, and an in-process store that plays the API server's part.

pub mod manifests;
mod state_file;
pub mod store;
