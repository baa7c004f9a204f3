//! `appProtocol` of a Service's port: how its pods are spoken to.

use k8s_openapi::api::core::v1::ServicePort;
use serin_routing::config::Protocol;

/// How a port is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spoken {
    pub(crate) protocol: Protocol,
    pub(crate) tls: bool,
}

/// What a port says; `None`: nothing.
///
/// The names with `kubernetes.io/` are those of KEP-3726; `http2`, `grpc` and `https` are what Istio, Contour and others take, `h2` is HTTP/2 by
/// TLS as in ALPN. All else, known or not, is HTTP/1.1 without TLS: the API server takes any word, and most are of no concern here.
pub(crate) fn spoken(port: &ServicePort) -> Option<Spoken> {
    let said = port.app_protocol.as_deref()?.to_ascii_lowercase();
    let (protocol, tls) = match said.as_str() {
        "kubernetes.io/h2c" | "h2c" | "http2" | "grpc" | "kubernetes.io/grpc" => (Protocol::Http2, false),
        "https" | "kubernetes.io/https" => (Protocol::Negotiated, true),
        "kubernetes.io/wss" | "wss" => (Protocol::Http1, true),
        "h2" | "grpcs" | "kubernetes.io/grpcs" => (Protocol::Http2, true),
        _ => (Protocol::Http1, false),
    };
    Some(Spoken { protocol, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_controllers_mean_the_same_here() {
        let words = [
            ("http", Protocol::Http1, false),
            ("kubernetes.io/ws", Protocol::Http1, false),
            ("mysql", Protocol::Http1, false),
            ("", Protocol::Http1, false),
            ("kubernetes.io/h2c", Protocol::Http2, false),
            ("GRPC", Protocol::Http2, false),
            ("kubernetes.io/wss", Protocol::Http1, true),
            ("HTTPS", Protocol::Negotiated, true),
            ("https", Protocol::Negotiated, true),
            ("grpcs", Protocol::Http2, true),
        ];
        for (word, protocol, tls) in words {
            let port = ServicePort { app_protocol: Some(word.into()), ..ServicePort::default() };
            assert_eq!(spoken(&port), Some(Spoken { protocol, tls }), "{word}");
        }
        assert_eq!(spoken(&ServicePort::default()), None);
    }
}
