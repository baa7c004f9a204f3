//! Argo CD: what its scripts of `deploy/argocd` say of each object in their testdata, by its own command line; and a whole Argo CD that
//! syncs releases from Git while serin moves them. Beside it, what Flux says of the same objects.
#![cfg(target_os = "linux")]

mod argo;
mod flux;
mod scripts;
mod site;
mod story;
