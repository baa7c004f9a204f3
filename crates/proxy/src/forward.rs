//! The head that goes on: hop-by-hop fields end here, and no field of a client's can pass for one that serin sets.

use crate::client_ip::X_FORWARDED_FOR;
use http::request::Parts;
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};

/// Tells the origin which release decided; a client's own field of that name is dropped both ways.
pub static SERIN_DECISION: HeaderName = HeaderName::from_static("serin-decision");
pub(crate) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// What serin knows of the connection that a request came by.
#[derive(Debug, Clone)]
pub(crate) struct Arrival<'a> {
    /// The address at the other end of the connection, as text.
    pub(crate) peer: &'a HeaderValue,
    /// Whether that peer is a trusted proxy, so that what it says is kept and added to.
    pub(crate) trusted: bool,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// The port that the client connected to.
    pub(crate) port: &'a HeaderValue,
    /// What goes as `Host` in place of the client's, which `X-Forwarded-Host` says.
    pub(crate) host: Option<&'a HeaderValue>,
}

/// Takes from a client's head what must not go on: only a trusted peer's may say by whom and how the request came, by `own` too, the field
/// that the operator named for it. An upgrade is put back by the caller that forwards one.
pub(crate) fn request_headers(headers: &mut HeaderMap, trusted: bool, own: Option<&HeaderName>) {
    let speaks = |name: &str| speaks_for_others(name) || own.is_some_and(|own| own == name);
    let takes_trailers = takes_trailers(headers);
    drop_where(headers, |name| is_serins(name) || (!trusted && speaks(name)));
    if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether a request asks for a WebSocket (RFC 6455, section 4.1), before [`request_headers`] and behind [`upgrade`].
pub(crate) fn asks_for_websocket(parts: &Parts) -> bool {
    parts.method == Method::GET && parts.version == Version::HTTP_11 && is_upgrade(&parts.headers)
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes);
    let is_option = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"upgrade");
    let has_body =
        headers.contains_key(header::TRANSFER_ENCODING) || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    names_websocket(headers) && !has_body && lines.flat_map(|line| line.split(|b| *b == b',')).any(is_option)
}

/// Whether WebSocket is what `Upgrade` names, and nothing beside.
pub(crate) fn names_websocket(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(header::UPGRADE).iter();
    named.next().is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket")) && named.next().is_none()
}

/// Says in a head, whose fields of a connection are gone, that it is about a WebSocket.
pub(crate) fn upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether the client takes trailers, which gRPC asks of all on the way (RFC 9110, section 10.1.4).
fn takes_trailers(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::TE).iter().map(HeaderValue::as_bytes);
    lines.flat_map(|line| line.split(|b| *b == b',')).any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The head of a request to an origin that speaks HTTP/2 (RFC 9113, section 8.3.1), with what serin says as in [`write_request_headers`].
/// `None` when its Host is no authority there.
pub(crate) fn http2_request(parts: &Parts, arrival: &Arrival<'_>, tls: bool) -> Option<Request<()>> {
    let mut headers = parts.headers.clone();
    for gone in [header::HOST, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE] {
        headers.remove(gone);
    }
    let before = headers.get_all(&X_FORWARDED_FOR).iter().filter(|value| arrival.trusted && !value.is_empty());
    let addresses: Vec<&[u8]> = before.chain([arrival.peer]).map(HeaderValue::as_bytes).collect();
    let addresses = HeaderValue::from_bytes(&addresses.join(&b", "[..])).ok()?;
    headers.insert(&X_FORWARDED_FOR, addresses);
    let host = parts.headers.get(header::HOST);
    let scheme = HeaderValue::from_static(arrival.scheme);
    for (name, value) in [(&X_FORWARDED_PROTO, Some(&scheme)), (&X_FORWARDED_HOST, host), (&X_FORWARDED_PORT, Some(arrival.port))] {
        if let Some(value) = value
            && !(arrival.trusted && headers.contains_key(name))
        {
            headers.insert(name, value.clone());
        }
    }
    let mut target = uri::Parts::default();
    target.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    target.authority = Some(Authority::try_from(arrival.host.or(host)?.as_bytes()).ok()?);
    target.path_and_query = match parts.uri.path_and_query() {
        None => Some(PathAndQuery::from_static("/")),
        Some(target) if target.as_str().starts_with(['/', '*']) => Some(target.clone()),
        // That of an absolute target may begin with its query.
        Some(target) => Some(PathAndQuery::try_from(["/", target.as_str()].concat()).ok()?),
    };
    let mut request = Request::new(());
    (*request.method_mut(), *request.uri_mut()) = (parts.method.clone(), Uri::from_parts(target).ok()?);
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    Some(request)
}

/// Writes the fields of a request that goes on, and behind them what serin says of how it came: so `Connection: x-forwarded-for` removed
/// nothing of serin's (RFC 9110, 7.6.1). `Transfer-Encoding` is left to whoever frames the body, and `TE` is not for HTTP/1.1: it would have to
/// be named in `Connection`.
pub(crate) fn write_request_headers(head: &mut Vec<u8>, headers: &HeaderMap, arrival: &Arrival<'_>) {
    let goes = |name: &HeaderName| *name != header::TRANSFER_ENCODING && *name != header::TE && *name != X_FORWARDED_FOR;
    for (name, value) in headers.iter().filter(|(name, _)| goes(name)) {
        let value = arrival.host.filter(|_| *name == header::HOST).unwrap_or(value);
        write_field(head, name, value.as_bytes());
    }
    head.extend_from_slice(X_FORWARDED_FOR.as_str().as_bytes());
    head.extend_from_slice(b": ");
    if arrival.trusted {
        for before in headers.get_all(&X_FORWARDED_FOR).iter().filter(|value| !value.is_empty()) {
            head.extend_from_slice(before.as_bytes());
            head.extend_from_slice(b", ");
        }
    }
    head.extend_from_slice(arrival.peer.as_bytes());
    head.extend_from_slice(b"\r\n");
    let host = headers.get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    let said = [(&X_FORWARDED_PROTO, arrival.scheme.as_bytes()), (&X_FORWARDED_HOST, host), (&X_FORWARDED_PORT, arrival.port.as_bytes())];
    for (name, value) in said {
        // Only a trusted peer's are still there.
        if !(arrival.trusted && headers.contains_key(name)) {
            write_field(head, name, value);
        }
    }
}

/// Writes a field as a line of a head or of trailers.
pub(crate) fn write_field(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    for piece in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(piece);
    }
}

/// Makes the head of an origin's response the one that the client gets.
pub(crate) fn response_headers(headers: &mut HeaderMap) {
    drop_where(headers, |name| name == SERIN_DECISION);
}

/// Makes the trailers of a request or a response ones that may go on: none that a head may not have either, and none that frames,
/// routes or authenticates a message, since some recipients take them for fields of its head (RFC 9110, section 6.5.1).
pub(crate) fn trailers(trailers: &mut HeaderMap) {
    drop_where(trailers, |name| {
        let is_of_a_head = matches!(name, "host" | "content-length" | "transfer-encoding" | "authorization" | "cookie" | "set-cookie");
        is_of_a_head || is_serins(name) || speaks_for_others(name)
    });
}

/// Takes away the fields that speak of one connection only, those that `Connection` names (RFC 9110, 7.6.1), and unwanted ones. In one
/// pass over the names that are there: usually none of them has to go.
///
/// `Host` and the framing fields stay whatever `Connection` says: hyper and the gate answer for those.
fn drop_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let goes = |name: &&HeaderName| is_of_a_connection(name.as_str()) || unwanted(name.as_str());
    let mut gone: Vec<HeaderName> = headers.keys().filter(goes).cloned().collect();
    if gone.contains(&header::CONNECTION) {
        let lines = headers.get_all(header::CONNECTION).iter().map(HeaderValue::as_bytes);
        let naming = lines.filter(|line| !matches!(*line, b"keep-alive" | b"close"));
        let options = naming.flat_map(|line| line.split(|&b| b == b','));
        let named = options.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        gone.extend(named.filter(|name| ![header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name)));
    }
    for name in &gone {
        headers.remove(name);
    }
}

fn is_of_a_connection(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "proxy-connection" | "te" | "upgrade" | "proxy-authorization")
}

/// Whether a field is serin's to set, or could pass for one: many frameworks read `x_forwarded_for` and `x-forwarded-for` as one name, so
/// names with `_` do not go on.
fn is_serins(name: &str) -> bool {
    name == SERIN_DECISION || name.contains('_')
}

/// Whether a field says by whom and how a request came, which only a trusted proxy may.
fn speaks_for_others(name: &str) -> bool {
    matches!(name, "forwarded" | "x-real-ip") || name.starts_with("x-forwarded-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(trusted: bool, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers: HeaderMap = lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        headers.entry(header::HOST).or_insert(HeaderValue::from_static("shop.example"));
        request_headers(&mut headers, trusted, Some(&HeaderName::from_static("cf-connecting-ip")));
        let (peer, port) = (HeaderValue::from_static("192.0.2.7"), HeaderValue::from(80));
        let mut head = Vec::new();
        write_request_headers(&mut head, &headers, &Arrival { peer: &peer, trusted, scheme: "http", port: &port, host: None });
        let mut lines: Vec<_> = String::from_utf8(head).expect("text").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    const OWN: [&str; 5] = [
        "host: shop.example",
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-host: shop.example",
        "x-forwarded-port: 80",
        "x-forwarded-proto: http",
    ];

    #[test]
    fn what_an_untrusted_peer_says_of_others_is_replaced() {
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "/evil"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("cf-connecting-ip", "6.6.6.6"),
            ("serin-decision", "side=canary"),
        ];
        assert_eq!(sent(false, &lines), OWN);
    }

    #[test]
    fn what_a_trusted_peer_says_is_kept_and_added_to() {
        let lines = [
            ("x-forwarded-for", "203.0.113.1"),
            ("x-forwarded-for", "10.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("cf-connecting-ip", "203.0.113.1"),
        ];
        let got = sent(true, &lines);
        assert!(got.contains(&"x-forwarded-for: 203.0.113.1, 10.1.1.1, 192.0.2.7".to_owned()), "{got:?}");
        for kept in ["x-forwarded-proto: https", "cf-connecting-ip: 203.0.113.1"] {
            assert!(got.contains(&kept.to_owned()), "{got:?}");
        }
    }

    #[test]
    fn connection_takes_away_what_it_names_and_nothing_of_serins() {
        let lines = [
            ("connection", "close, x-hop, x-forwarded-for, host, content-length"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("proxy-connection", "keep-alive"),
            ("host", "shop.example"),
            ("content-length", "3"),
        ];
        let mut expected = vec!["content-length: 3".to_owned()];
        expected.extend(OWN.map(str::to_owned));
        assert_eq!(sent(false, &lines), expected);
    }

    #[test]
    fn an_origins_decision_header_and_hop_by_hop_fields_do_not_reach_the_client() {
        let mut headers = HeaderMap::new();
        headers.insert(&SERIN_DECISION, HeaderValue::from_static("side=canary"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("x-internal"));
        headers.insert("x-internal", HeaderValue::from_static("1"));
        headers.insert("etag", HeaderValue::from_static("\"a\""));
        response_headers(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
    }
}
