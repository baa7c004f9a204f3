//! Requests in, identities and refusals out.

mod headers;
mod hidden;
mod hostile;
mod keys;
mod passwords;
mod scale;
mod signing;
mod support;
mod tokens;
