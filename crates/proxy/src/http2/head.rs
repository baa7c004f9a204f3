//! The head of a request by HTTP/2, made one that the rest of serin knows from HTTP/1: with a Host, one Cookie and a plain target.

use crate::gate::{Fault, valid_authority};
use crate::settings::Limits;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use hyper::body::{Body, Incoming};

/// Judges a head, beyond what the library refuses (RFC 9113, section 8.2), and gives it a Host.
///
/// # Errors
/// What is wrong with it. It is then not served.
pub(super) fn check(request: &mut Request<Incoming>, limits: &Limits) -> Result<(), Fault> {
    let ends = request.body().is_end_stream();
    check_head(request, ends, limits)
}

fn check_head<B>(request: &mut Request<B>, ends: bool, limits: &Limits) -> Result<(), Fault> {
    if request.headers().len() > limits.head.fields {
        return Err(Fault::TooManyFields);
    }
    if *request.method() == Method::CONNECT {
        return Err(Fault::Connect);
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    if target.len() > limits.head.target_bytes {
        return Err(Fault::TargetTooLong);
    }
    let is_of_server = target == "*" && *request.method() == Method::OPTIONS;
    if !target.starts_with('/') && !is_of_server {
        return Err(Fault::Target);
    }
    let length = length(request.headers())?;
    // Else the origin would wait for a body, and take the next request for it.
    if ends && length.is_some_and(|length| length > 0) {
        return Err(Fault::Truncated);
    }
    let host = host(request)?;
    request.headers_mut().insert(header::HOST, host);
    join_cookies(request.headers_mut());
    Ok(())
}

/// The one length that is given, by the rules of HTTP/1.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() {
        return Err(Fault::ContentLengthRepeated);
    }
    let digits = length.as_bytes();
    let is_number = (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number = length.to_str().ok().filter(|_| is_number).and_then(|text| text.parse().ok());
    number.map(Some).ok_or(Fault::ContentLength)
}

/// What `:authority` and Host say, which must be the same (RFC 9113, section 8.3.1).
fn host<B>(request: &Request<B>) -> Result<HeaderValue, Fault> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (field, again) = (hosts.next(), hosts.next());
    if again.is_some() {
        return Err(Fault::HostRepeated);
    }
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = match (authority, field) {
        (Some(authority), Some(field)) if !authority.as_bytes().eq_ignore_ascii_case(field.as_bytes()) => {
            return Err(Fault::AuthorityMismatch);
        }
        (Some(authority), _) => HeaderValue::from_str(authority).map_err(|_| Fault::HostInvalid)?,
        (None, Some(field)) => field.clone(),
        (None, None) => return Err(Fault::HostMissing),
    };
    if valid_authority(host.as_bytes()) { Ok(host) } else { Err(Fault::HostInvalid) }
}

/// A client may cut its cookies into several fields, for HTTP/1 they are one (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, uri: &str, fields: &[(&str, &str)], ends: bool) -> Result<Vec<(String, String)>, Fault> {
        let request = Request::builder().method(method).uri(uri);
        let mut request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).expect("a request");
        check_head(&mut request, ends, &Limits::default())?;
        let text = |(name, value): (&header::HeaderName, &HeaderValue)| (name.to_string(), value.to_str().expect("text").to_owned());
        Ok(request.headers().iter().map(text).collect())
    }

    #[test]
    fn head_gets_the_host_of_its_authority_and_one_cookie() {
        let got = checked("GET", "https://shop.example/a?b", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], true);
        let expected = [("cookie", "a=1; b=2"), ("x", "y"), ("host", "shop.example")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(got.as_deref(), Ok(&expected[..]));
        let got = checked("POST", "/", &[("host", "shop.example"), ("content-length", "3")], false);
        assert_eq!(got.map(|fields| fields.len()), Ok(2));
        assert!(checked("GET", "https://Shop.example/", &[("host", "shop.example")], true).is_ok());
    }

    #[test]
    fn what_http_1_would_not_take_is_refused_here_too() {
        let shop = "https://shop.example/";
        let many: Vec<_> = (0..101).map(|_| ("x", "y")).collect();
        for (method, uri, fields, ends, fault) in [
            ("GET", "/", &[][..], true, Fault::HostMissing),
            ("GET", "/", &[("host", "a"), ("host", "a")], true, Fault::HostRepeated),
            ("GET", shop, &[("host", "other.example")], true, Fault::AuthorityMismatch),
            ("GET", "https://user@shop.example/", &[], true, Fault::HostInvalid),
            ("GET", "/", &[("host", "a/b")], true, Fault::HostInvalid),
            ("CONNECT", "shop.example:443", &[], true, Fault::Connect),
            ("GET", "*", &[("host", "a")], true, Fault::Target),
            ("POST", shop, &[("content-length", "3")], true, Fault::Truncated),
            ("POST", shop, &[("content-length", "3"), ("content-length", "3")], false, Fault::ContentLengthRepeated),
            ("POST", shop, &[("content-length", "+3")], false, Fault::ContentLength),
            ("GET", shop, &many, true, Fault::TooManyFields),
        ] {
            assert_eq!(checked(method, uri, fields, ends), Err(fault), "{method} {uri} {fields:?}");
        }
    }
}
