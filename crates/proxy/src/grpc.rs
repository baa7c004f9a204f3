//! What gRPC says beside HTTP: a status of its own, in the trailers, or in the head of an answer that has nothing else
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use crate::failure::Failure;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A status, 0 to 16; what is none is `UNKNOWN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(u8);

impl Status {
    const UNKNOWN: Self = Self(2);
    /// How many there are.
    pub(crate) const COUNT: usize = 17;

    /// What an answer says, if it says so in these fields.
    pub(crate) fn of(fields: &HeaderMap) -> Option<Self> {
        let text = fields.get(&GRPC_STATUS)?.to_str().ok();
        let code = text.and_then(|text| text.parse().ok()).filter(|code| *code <= 16);
        Some(code.map_or(Self::UNKNOWN, Self))
    }

    /// Its number.
    pub(crate) fn code(self) -> u8 {
        self.0
    }

    /// Whether the server failed, as a 5xx says of HTTP: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS. The same
    /// six are errors of a server in OpenTelemetry's conventions; the others say what the client asked for, as a 4xx does.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self.0, 2 | 4 | 12 | 13 | 14 | 15)
    }

    /// What clients take an answer of HTTP for that says no status
    /// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
    fn of_http(status: StatusCode) -> Self {
        Self(match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => return Self::UNKNOWN,
        })
    }
}

/// Whether a request is one of gRPC. gRPC-Web is not: its trailers stand in the body.
pub(crate) fn is_request(fields: &HeaderMap) -> bool {
    let rest = fields.get(header::CONTENT_TYPE).and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// Makes an answer without a body tell a client of gRPC of a failure, by this status.
pub(crate) fn tell(failure: Failure, fields: &mut HeaderMap) -> Status {
    let (status, mut code) = (Status::of_http(failure.status()), itoa::Buffer::new());
    let code = HeaderValue::from_str(code.format(status.0)).expect("digits are a value");
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(&GRPC_STATUS, code);
    // Nothing that serin says of a failure has to be escaped.
    if let Ok(message) = HeaderValue::from_str(&failure.to_string()) {
        fields.insert(&GRPC_MESSAGE, message);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_is_grpc() {
        for (text, is_grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;a=b", true),
            ("application/grpc-web", false),
            ("text/plain", false),
        ] {
            let fields = [(header::CONTENT_TYPE, HeaderValue::from_static(text))].into_iter().collect();
            assert_eq!(is_request(&fields), is_grpc, "{text}");
        }
        assert!(!is_request(&HeaderMap::new()));
    }

    #[test]
    fn status_that_is_none_is_unknown_and_a_failure() {
        for (text, code, is_failure) in
            [("0", 0, false), ("14", 14, true), ("8", 8, false), ("17", 2, true), ("ok", 2, true), ("", 2, true)]
        {
            let fields = [(GRPC_STATUS.clone(), HeaderValue::from_static(text))].into_iter().collect();
            let status = Status::of(&fields).expect("a status");
            assert_eq!((status, status.is_failure()), (Status(code), is_failure), "{text}");
        }
        assert_eq!(Status::of(&HeaderMap::new()), None);
    }

    #[test]
    fn failures_are_told_as_clients_would_take_their_status_for() {
        for (failure, code) in
            [(Failure::Connect, "14"), (Failure::NoRoute, "12"), (Failure::Unauthenticated, "16"), (Failure::NoEndpoint, "14")]
        {
            let mut fields = HeaderMap::new();
            tell(failure, &mut fields);
            assert_eq!(
                (&fields["grpc-status"], &fields["content-type"]),
                (&HeaderValue::from_static(code), &HeaderValue::from_static("application/grpc"))
            );
        }
    }
}
