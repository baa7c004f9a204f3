//! The life of a release, decided. What stands: the line of weight that a replica may serve without asking anyone, and the identity
//! of a release.
//!
//! Not here: a clock, a random source, I/O, or anything of Kubernetes. The caller reads and writes; this crate only decides.

pub mod identity;
pub mod segment;

pub use identity::release_id;
pub use segment::Segment;
