//! The gate before hyper: it decides on bytes alone where each HTTP/1 message begins and ends, and lets nothing doubtful through.
//!
//! Everything here is pure: bytes in, verdict out. Whoever reads the socket keeps the bytes and releases as many as it is told. What the
//! gate accepts is a subset of what hyper accepts, so that the two never see different messages (RFC 9112, section 11).

pub mod chunked;
pub mod head;
pub mod response;
pub mod stream;

mod bytes;
mod fault;
mod fields;
mod host;
mod lines;

pub use fault::Fault;
pub(crate) use host::valid as valid_authority;

/// What a message may take up before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, its last line end included.
    pub head_bytes: usize,
    /// Fields of a head.
    pub fields: usize,
    /// Bytes of a request target; hyper takes at most 65,534.
    pub target_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 32 * 1024, fields: 100, target_bytes: 16 * 1024 }
    }
}

/// How the end of a message is found (RFC 9112, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The head is all there is.
    None,
    /// So many bytes follow.
    Length(u64),
    /// Chunks follow.
    Chunked,
}

/// The versions of HTTP/1 that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}
