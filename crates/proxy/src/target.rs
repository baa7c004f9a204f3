//! Host and path of a request as routes are looked up by them, and the target that goes on.

use crate::failure::Failure;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri, header, request::Parts};
use serin_auth::redacted;
use serin_routing::path;
use std::borrow::Cow;

/// The host as tables write it: lower case, without port and trailing dot; empty when an HTTP/1.0 request names none.
pub fn host(parts: &Parts) -> Cow<'_, str> {
    let authority = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = authority.or_else(|| parts.uri.authority().map(|a| a.as_str())).unwrap_or_default();
    let host = match authority.rfind(':') {
        // A colon within brackets is part of an IPv6 address.
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }
}

/// The canonical path. `OPTIONS *` is of the whole server, so it is matched as its root.
pub(crate) fn path(uri: &Uri) -> Result<Cow<'_, str>, Failure> {
    match uri.path() {
        "*" => Ok(Cow::Borrowed("/")),
        path if is_plain(path) => Ok(Cow::Borrowed(path)),
        path => path::canonical(path.as_bytes()).map_err(Failure::Path),
    }
}

/// Whether a path is canonical for anyone to see, as most are: nothing but letters, digits, `-`, `_` and `~` between single slashes, and
/// dots that do not begin a segment.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    for byte in path.bytes() {
        let fits = match byte {
            b'/' | b'.' => before != b'/',
            b'-' | b'_' | b'~' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !fits {
            return false;
        }
        before = byte;
    }
    path.starts_with('/')
}

/// The target that the origin gets, in origin form (RFC 9112, section 3.2.1); the query is kept as it came, but for `query`, which takes its
/// place; an empty one is none.
pub(crate) fn forwarded(uri: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    if query.is_none() && (uri.path() == path || uri.path() == "*") {
        return match (uri.authority(), uri.path_and_query()) {
            (Some(_), Some(same)) => Some(Uri::from(same.clone())),
            (Some(_), None) => Some(Uri::from_static("/")),
            (None, _) => None,
        };
    }
    let text = match query.map_or(uri.query(), |query| Some(query).filter(|query| !query.is_empty())) {
        Some(query) => [path, "?", query].concat(),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(Bytes::from(text)).ok().map(Uri::from)
}

/// Path and query as logs have them: as the client wrote them, but for the values of these parameters.
pub(crate) fn logged(uri: &Uri, key_parameters: &[String]) -> String {
    let written = uri.path_and_query().map_or("", |written| written.as_str());
    let shown = if key_parameters.is_empty() { None } else { uri.query().and_then(|query| redacted(query, key_parameters)) };
    match shown {
        Some(query) => [uri.path(), "?", &query].concat(),
        None => written.to_owned(),
    }
}

/// The value of the Host field that the origin gets: the client's own, else the authority of its target.
pub(crate) fn host_field(parts: &Parts) -> Option<HeaderValue> {
    let own = parts.headers.get(header::HOST).cloned();
    own.or_else(|| HeaderValue::from_str(parts.uri.authority()?.as_str()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(uri: &str, host: Option<&str>) -> Parts {
        let request = Request::get(uri);
        let request = if let Some(host) = host { request.header("host", host) } else { request };
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn hosts_are_written_as_tables_write_them() {
        let cases = [
            ("shop.example", "shop.example"),
            ("Shop.Example:8080", "shop.example"),
            ("shop.example.:80", "shop.example"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("192.0.2.1:80", "192.0.2.1"),
        ];
        for (field, expected) in cases {
            assert_eq!(host(&parts("/", Some(field))), expected);
        }
        assert_eq!(host(&parts("http://Shop.example:80/", None)), "shop.example");
        assert_eq!(host(&parts("/", None)), "");
    }

    #[test]
    fn plain_paths_are_what_the_canonical_form_leaves_as_it_is() {
        for path in ["/", "/a", "/a/b.c/", "/a-b_c~d", "//", "/a//b", "/.", "/a/..", "/.well-known", "/a b", "/%61", "/a;b", "a", ""] {
            let canonical = path::canonical(path.as_bytes());
            assert!(!is_plain(path) || canonical == Ok(Cow::Borrowed(path)), "{path}");
        }
        assert!(is_plain("/a/b.c/d-e_f~g"));
    }

    #[test]
    fn target_that_goes_on_has_the_path_and_the_same_query() {
        let cases = [
            ("/a?b=%20", "/a", None, None),
            ("/a/../c?b", "/c", None, Some("/c?b")),
            ("/a", "/v2/a", None, Some("/v2/a")),
            ("http://a/b?c", "/b", None, Some("/b?c")),
            ("http://a", "/", None, Some("/")),
            ("*", "/", None, None),
            ("/a?b&c", "/a", Some("c"), Some("/a?c")),
            ("/a?b", "/a", Some(""), Some("/a")),
        ];
        for (uri, path, query, expected) in cases {
            let forwarded = forwarded(&uri.parse().expect("a URI"), path, query).map(|uri| uri.to_string());
            assert_eq!(forwarded.as_deref(), expected, "{uri}");
        }
    }
}
