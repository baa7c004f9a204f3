//! A live request as the facts that a split asks for.

use http::request::Parts;
use percent_encoding::percent_decode;
use serin_auth::Identity;
use serin_split::Facts;
use std::borrow::Cow;
use std::net::IpAddr;

/// The facts of a request whose head passed the gate.
#[derive(Debug)]
pub struct RequestFacts<'r> {
    /// The head.
    pub parts: &'r Parts,
    /// The originating address, as [`crate::ClientIp`] found it.
    pub client_ip: Option<IpAddr>,
    /// Who sends it, if that is known: without, there is no consumer, group or claim.
    pub identity: Option<&'r Identity>,
}

impl Facts for RequestFacts<'_> {
    fn header(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.parts.headers.get_all(name).iter().map(|v| v.as_bytes().trim_ascii())
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let lines = self.parts.headers.get_all(http::header::COOKIE).iter();
        lines.flat_map(|line| line.as_bytes().split(|&b| b == b';')).find_map(|pair| {
            let (key, value) = split_once(pair.trim_ascii(), b'=')?;
            (key == name.as_bytes()).then_some(value)
        })
    }

    fn query(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let pairs = self.parts.uri.query()?.split('&');
        pairs
            .map(|pair| split_once(pair.as_bytes(), b'=').unwrap_or((pair.as_bytes(), b"")))
            .find_map(|(key, value)| (*decode(key) == *name.as_bytes()).then(|| decode(value)))
    }

    fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    fn consumer(&self) -> Option<&str> {
        self.identity?.consumer().map(|username| &**username)
    }

    fn in_group(&self, group: &str) -> bool {
        self.identity.is_some_and(|identity| identity.in_group(group))
    }

    fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        self.identity?.claim(name)
    }
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&b| b == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Percent-decoded, `+` as blank; borrowed when there is nothing to decode.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    let blanks: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&blanks).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        headers.iter().fold(Request::get(uri), |r, (n, v)| r.header(*n, *v)).body(()).expect("a request").into_parts().0
    }

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        let parts = parts("/?b=0&a+b=x%20y+z%2B&a+b=second&empty", &[]);
        let facts = RequestFacts { parts: &parts, client_ip: None, identity: None };
        assert_eq!(facts.query("a b").as_deref(), Some(&b"x y z+"[..]));
        assert_eq!(facts.query("empty").as_deref(), Some(&b""[..]));
        assert_eq!(facts.query("absent"), None);
    }

    #[test]
    fn cookies_are_raw_and_the_first_counts_over_all_lines() {
        let parts = parts("/", &[("cookie", "xid=0; id=a%20=b;c=d"), ("cookie", "id=second; late=1")]);
        let facts = RequestFacts { parts: &parts, client_ip: None, identity: None };
        assert_eq!(facts.cookie("id"), Some(&b"a%20=b"[..]));
        assert_eq!(facts.cookie("late"), Some(&b"1"[..]));
        assert_eq!(facts.cookie("i"), None);
    }

    #[test]
    fn header_fields_lose_their_surrounding_blanks() {
        let parts = parts("/", &[("x-tenant", "\t a b \t"), ("x-tenant", "second")]);
        let facts = RequestFacts { parts: &parts, client_ip: None, identity: None };
        assert_eq!(facts.header("x-tenant").collect::<Vec<_>>(), [&b"a b"[..], b"second"]);
    }
}
