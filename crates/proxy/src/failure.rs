//! Why a request was not served as it was meant to be: who is to blame, whether trying again is safe, what the client is told.

use crate::gate::Fault;
use crate::io::Refusal;
use http::StatusCode;
use serin_routing::path::PathFault;
use std::fmt;

/// Why a request was not served as it was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The client's bytes are bad.
    Request(Fault),
    /// The path has no canonical form.
    Path(PathFault),
    /// The client took too long over a head.
    RequestHeadTimeout,
    /// The client took too long over a body.
    RequestBodyTimeout,
    /// The client left before it had the whole answer.
    ClientLeft,
    /// The host is not one that the certificate of the connection is for.
    Misdirected,
    /// The route is asked for by TLS only.
    TlsAsked,
    /// No route takes host and path.
    NoRoute,
    /// The policy of the route, which would tell who asks, does not resolve.
    PolicyNotResolved,
    /// The route is for those who show who they are.
    Unauthenticated,
    /// What was shown is nobody's.
    WrongCredentials,
    /// The client gave too many wrong passwords lately.
    TooManyWrongPasswords,
    /// Too many passwords wait to be checked.
    PasswordsBusy,
    /// What the route points at does not resolve.
    NotResolved,
    /// The backend has no endpoint.
    NoEndpoint,
    /// The canary has no ready endpoint, and its release asks to fail then.
    CanaryUnavailable,
    /// Every endpoint that was tried has as many connections as it may have.
    EndpointBusy,
    /// No connection to an endpoint could be made.
    Connect,
    /// Making a connection took too long.
    ConnectTimeout,
    /// The origin and serin found no way to speak TLS.
    Handshake,
    /// The origin's certificate is not that of the host, or of nobody who is believed.
    Certificate,
    /// Agreeing on TLS took too long.
    HandshakeTimeout,
    /// The origin took too long to answer.
    FirstByteTimeout,
    /// The origin stopped within its answer, or took no more of the request.
    OriginIdle,
    /// The origin closed without an answer.
    OriginReset,
    /// The origin's bytes are bad.
    Response(Fault),
    /// The origin does not speak HTTP/2 as it should.
    Malformed,
    /// The origin said something that nobody asked for.
    Unasked,
    /// The whole took longer than the operator allows.
    RequestTimeout,
    /// Nothing came either way of a WebSocket for too long.
    WebSocketIdle,
    /// The release was aborted, and its streams to the canary are over.
    Drained,
}

/// Who failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The client.
    Client,
    /// The origin.
    Origin,
    /// serin, or how it is configured.
    Serin,
}

impl Failure {
    /// The one label in metrics and logs: of a fixed set.
    pub fn label(self) -> &'static str {
        match self {
            Self::Request(fault) => fault.label(),
            Self::Path(fault) => fault.label(),
            Self::Response(_) => "bad-response",
            _ => self.row().0,
        }
    }

    /// Who failed.
    pub fn blame(self) -> Blame {
        self.row().1
    }

    /// Whether the request can be sent again, whatever its method: the origin saw nothing of it.
    pub fn retry_is_safe(self) -> bool {
        let unreached =
            matches!(self, Self::NoEndpoint | Self::CanaryUnavailable | Self::EndpointBusy | Self::Connect | Self::ConnectTimeout);
        unreached || matches!(self, Self::Handshake | Self::Certificate | Self::HandshakeTimeout)
    }

    /// What the client is answered.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Request(fault) => StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST),
            _ => self.row().2,
        }
    }

    fn row(self) -> (&'static str, Blame, StatusCode, &'static str) {
        use Blame::{Client, Origin, Serin};
        match self {
            Self::Request(_) => ("bad-request", Client, StatusCode::BAD_REQUEST, "the request is malformed"),
            Self::Path(_) => ("bad-path", Client, StatusCode::BAD_REQUEST, "the path is malformed"),
            Self::RequestHeadTimeout => ("head-timeout", Client, StatusCode::REQUEST_TIMEOUT, "the head of the request took too long"),
            Self::RequestBodyTimeout => ("body-timeout", Client, StatusCode::REQUEST_TIMEOUT, "the body of the request took too long"),
            Self::ClientLeft => ("client-left", Client, StatusCode::BAD_REQUEST, "the client left"),
            Self::Misdirected => (
                "misdirected",
                Client,
                StatusCode::MISDIRECTED_REQUEST,
                "the certificate of this connection is not for this host: make a new one",
            ),
            Self::TlsAsked => ("tls-asked", Client, StatusCode::PERMANENT_REDIRECT, "ask for this by TLS"),
            Self::NoRoute => ("no-route", Serin, StatusCode::NOT_FOUND, "no route takes this host and path"),
            Self::PolicyNotResolved => {
                ("policy-not-resolved", Serin, StatusCode::SERVICE_UNAVAILABLE, "the AuthPolicy of this route does not resolve")
            }
            Self::Unauthenticated => ("unauthenticated", Client, StatusCode::UNAUTHORIZED, "the request has no credentials"),
            Self::WrongCredentials => ("wrong-credentials", Client, StatusCode::UNAUTHORIZED, "the credentials are wrong"),
            Self::TooManyWrongPasswords => {
                ("wrong-passwords", Client, StatusCode::TOO_MANY_REQUESTS, "too many wrong passwords came from this client")
            }
            Self::PasswordsBusy => ("passwords-busy", Serin, StatusCode::SERVICE_UNAVAILABLE, "too many passwords wait to be checked"),
            Self::NotResolved => ("not-resolved", Serin, StatusCode::SERVICE_UNAVAILABLE, "the backend of this route does not resolve"),
            Self::NoEndpoint => ("no-endpoint", Origin, StatusCode::SERVICE_UNAVAILABLE, "the backend has no endpoint"),
            Self::CanaryUnavailable => ("canary-unavailable", Origin, StatusCode::SERVICE_UNAVAILABLE, "the canary has no ready endpoint"),
            Self::EndpointBusy => {
                ("endpoint-busy", Serin, StatusCode::SERVICE_UNAVAILABLE, "the backend has all the connections it may have")
            }
            Self::Connect => ("connect", Origin, StatusCode::BAD_GATEWAY, "no connection to the backend"),
            Self::ConnectTimeout => ("connect-timeout", Origin, StatusCode::GATEWAY_TIMEOUT, "connecting to the backend took too long"),
            Self::Handshake => ("tls", Origin, StatusCode::BAD_GATEWAY, "the backend does not speak TLS as it should"),
            Self::Certificate => ("certificate", Origin, StatusCode::BAD_GATEWAY, "the certificate of the backend is not to be trusted"),
            Self::HandshakeTimeout => {
                ("tls-timeout", Origin, StatusCode::GATEWAY_TIMEOUT, "the TLS handshake with the backend took too long")
            }
            Self::FirstByteTimeout => ("first-byte-timeout", Origin, StatusCode::GATEWAY_TIMEOUT, "the backend took too long to answer"),
            Self::OriginIdle => ("origin-idle", Origin, StatusCode::GATEWAY_TIMEOUT, "the backend stopped within the exchange"),
            Self::OriginReset => ("reset", Origin, StatusCode::BAD_GATEWAY, "the backend closed without an answer"),
            Self::Response(_) => ("bad-response", Origin, StatusCode::BAD_GATEWAY, "the answer of the backend is malformed"),
            Self::Malformed => ("bad-response", Origin, StatusCode::BAD_GATEWAY, "the answer of the backend is malformed"),
            Self::Unasked => ("unasked", Origin, StatusCode::BAD_GATEWAY, "the backend sent what was not asked for"),
            Self::WebSocketIdle => ("websocket-idle", Client, StatusCode::REQUEST_TIMEOUT, "nothing came either way for too long"),
            Self::Drained => ("drained", Serin, StatusCode::SERVICE_UNAVAILABLE, "the release of this stream was aborted"),
            Self::RequestTimeout => ("request-timeout", Serin, StatusCode::GATEWAY_TIMEOUT, "the request took longer than it may"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(fault) => fault.fmt(f),
            Self::Path(fault) => fault.fmt(f),
            _ => f.write_str(self.row().3),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Fault(fault) => Self::Request(fault),
            Refusal::HeadTimeout => Self::RequestHeadTimeout,
            Refusal::BodyTimeout => Self::RequestBodyTimeout,
        }
    }
}
