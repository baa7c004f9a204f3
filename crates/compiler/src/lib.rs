//! Cluster objects in, table and findings out.
