//! The Helm chart against a real API server, by Helm 3 and Helm 4. There is no node here: that pods of it become ready is the node tier's.

mod helm;
mod installed;
mod matrix;
mod people;
mod refused;
mod rendered;
mod schemas;
