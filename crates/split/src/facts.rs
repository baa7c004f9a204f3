//! What a decision may ask of a request. The proxy implements it over a live request; `explain` and the tests over plain values.

use std::borrow::Cow;
use std::net::IpAddr;

/// The facts of one request. Values are as published beside the bucket function: header fields without surrounding blanks, cookies
/// raw, parameters percent-decoded with `+` as blank.
pub trait Facts {
    /// Every value of a header, in order; `name` is lower case.
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]>;
    /// The first cookie of that name.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
    /// The first query parameter of that name.
    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>>;
    /// The originating address (S5); `None` when a trusted peer gave no usable one.
    fn client_ip(&self) -> Option<IpAddr>;
    /// The authenticated consumer's username.
    fn consumer(&self) -> Option<&str>;
    /// Whether the authenticated consumer is in that group.
    fn in_group(&self, group: &str) -> bool;
    /// A claim of the verified token: a string, or the JSON text of a number or boolean.
    fn claim(&self, name: &str) -> Option<Cow<'_, str>>;
}
