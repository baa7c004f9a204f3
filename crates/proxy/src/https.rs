//! What is said of TLS to clients that speak HTTP: where to find the same by TLS, and that they should look nowhere else.

use crate::service::Client;
use crate::worker::Worker;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

/// Where those look who give out certificates by HTTP (RFC 8555, section 8.3): before there is one, nobody could be sent to it.
const ACME: &str = "/.well-known/acme-challenge/";
/// The port that an https URL need not name.
const USUAL: u16 = 443;

/// Where the same is by TLS. `None` where a client that came by it, or looks for a certificate to be, is to be served here; and of
/// requests without a host.
pub(crate) fn location(worker: &Worker, client: &Client, host: &str, parts: &Parts) -> Option<HeaderValue> {
    if host.is_empty() || client.came_by_tls(parts) || parts.uri.path().starts_with(ACME) {
        return None;
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    url(host, worker.https_port(), target)
}

fn url(host: &str, port: u16, target: &str) -> Option<HeaderValue> {
    let port = if port == USUAL { String::new() } else { format!(":{port}") };
    let target = if target.starts_with('/') { target } else { "/" };
    HeaderValue::try_from(["https://", host, &port, target].concat()).ok()
}

/// Adds that, for so many seconds, the host is to be asked by TLS only (RFC 6797), unless the origin says something of its own.
pub(crate) fn insist(headers: &mut HeaderMap, seconds: u32) {
    headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert_with(|| {
        // Digits are a value.
        HeaderValue::try_from(format!("max-age={seconds}")).unwrap_or(HeaderValue::from_static("max-age=0"))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_by_tls_is_the_same_host_and_target() {
        let cases = [
            ("shop.example", 443, "/a/../b?c=%20", "https://shop.example/a/../b?c=%20"),
            ("shop.example", 8443, "/", "https://shop.example:8443/"),
            ("[::1]", 443, "*", "https://[::1]/"),
            ("shop.example", 443, "//evil.example", "https://shop.example//evil.example"),
        ];
        for (host, port, target, expected) in cases {
            assert_eq!(url(host, port, target).expect("a URL"), expected);
        }
    }

    #[test]
    fn what_the_origin_says_of_tls_stays() {
        let mut headers = HeaderMap::new();
        insist(&mut headers, 60);
        assert_eq!(headers[header::STRICT_TRANSPORT_SECURITY], "max-age=60");
        insist(&mut headers, 90);
        assert_eq!(headers[header::STRICT_TRANSPORT_SECURITY], "max-age=60");
    }
}
