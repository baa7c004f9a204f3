//! Why a message is refused.

use std::fmt;

/// Why a message is refused. Each has one label, for metrics and logs, and one status to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The head is over its limit of bytes.
    HeadTooLarge,
    /// The head has too many fields.
    TooManyFields,
    /// A line feed without the carriage return before it.
    BareLf,
    /// A carriage return without the line feed after it.
    BareCr,
    /// Not three parts with one blank between each two; HTTP/0.9 is one of these.
    RequestLine,
    /// The method is no token.
    Method,
    /// CONNECT: serin is no forward proxy.
    Connect,
    /// The target is in no form that the method allows, or has a byte that none may have.
    Target,
    /// The target is over its limit of bytes.
    TargetTooLong,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
    /// A field that goes on in the next line.
    ObsFold,
    /// A field without colon, or a name that is no token, which a blank before the colon makes it.
    FieldName,
    /// A control byte in a field value.
    FieldValue,
    /// HTTP/1.1 without Host.
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// Host is no host with an optional port.
    HostInvalid,
    /// The authority of an absolute target is not what Host says.
    AuthorityMismatch,
    /// A byte over 0x7f in Connection.
    Connection,
    /// Content-Length is not 1 to 19 digits.
    ContentLength,
    /// More than one Content-Length, even if they agree.
    ContentLengthRepeated,
    /// Transfer-Encoding is not exactly `chunked`.
    TransferEncoding,
    /// More than one Transfer-Encoding.
    TransferEncodingRepeated,
    /// Transfer-Encoding on HTTP/1.0, which has none.
    TransferEncodingOnHttp10,
    /// Content-Length and Transfer-Encoding together.
    LengthWithEncoding,
    /// A chunk size that is not 1 to 16 hexadecimal digits.
    ChunkSize,
    /// A chunk extension without a name, with a byte that none may have, or over the limit.
    ChunkExtension,
    /// A chunk line, chunk or trailer that does not end in CRLF.
    ChunkEnd,
    /// A malformed trailer field.
    Trailer,
    /// The trailer section is over its limit of bytes or fields.
    TrailersTooLarge,
    /// The peer left within a message.
    Truncated,
    /// A response that does not begin with a version and a status of three digits, from 100 to 599.
    StatusLine,
    /// A body announced by a response that cannot have one.
    BodyNotAllowed,
    /// Bytes that came before an upgrade was granted, or an upgrade that nobody asked for.
    EarlyTunnel,
    /// No PROXY header, where a connection of a trusted balancer must begin with one.
    ProxyHeaderMissing,
    /// A PROXY header that is malformed, too long, or not of TCP.
    ProxyHeader,
}

impl Fault {
    /// The one label in metrics and logs.
    pub fn label(self) -> &'static str {
        self.row().0
    }

    /// The status to answer a faulty request with, before its connection is closed. Any fault of an origin's is a 502.
    pub fn status(self) -> u16 {
        self.row().1
    }

    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::HeadTooLarge => ("head-too-large", 431, "the head is too large"),
            Self::TooManyFields => ("too-many-fields", 431, "the head has too many fields"),
            Self::BareLf => ("bare-lf", 400, "a line ends in LF alone"),
            Self::BareCr => ("bare-cr", 400, "a line has CR within"),
            Self::RequestLine => ("request-line", 400, "the request line is not method, target and version with single blanks"),
            Self::Method => ("method", 400, "the method is no token"),
            Self::Connect => ("connect", 405, "CONNECT is not served"),
            Self::Target => ("target", 400, "the request target is malformed"),
            Self::TargetTooLong => ("target-too-long", 414, "the request target is too long"),
            Self::Version => ("version", 400, "the version is neither HTTP/1.1 nor HTTP/1.0"),
            Self::ObsFold => ("obs-fold", 400, "a field is folded over lines"),
            Self::FieldName => ("field-name", 400, "a field has no colon or its name is no token"),
            Self::FieldValue => ("field-value", 400, "a field value has a control byte"),
            Self::HostMissing => ("host-missing", 400, "HTTP/1.1 without Host"),
            Self::HostRepeated => ("host-repeated", 400, "more than one Host"),
            Self::HostInvalid => ("host-invalid", 400, "Host is no host with an optional port"),
            Self::AuthorityMismatch => ("authority-mismatch", 400, "the target names another host than Host"),
            Self::Connection => ("connection", 400, "Connection has a byte over 0x7f"),
            Self::ContentLength => ("content-length", 400, "Content-Length is not 1 to 19 digits"),
            Self::ContentLengthRepeated => ("content-length-repeated", 400, "more than one Content-Length"),
            Self::TransferEncoding => ("transfer-encoding", 400, "Transfer-Encoding is not exactly chunked"),
            Self::TransferEncodingRepeated => ("transfer-encoding-repeated", 400, "more than one Transfer-Encoding"),
            Self::TransferEncodingOnHttp10 => ("transfer-encoding-on-1.0", 400, "Transfer-Encoding on HTTP/1.0"),
            Self::LengthWithEncoding => ("length-with-encoding", 400, "Content-Length together with Transfer-Encoding"),
            Self::ChunkSize => ("chunk-size", 400, "a chunk size is not 1 to 16 hexadecimal digits"),
            Self::ChunkExtension => ("chunk-extension", 400, "a chunk extension is malformed or too long"),
            Self::ChunkEnd => ("chunk-end", 400, "a chunk does not end in CRLF"),
            Self::Trailer => ("trailer", 400, "a trailer field is malformed"),
            Self::TrailersTooLarge => ("trailers-too-large", 431, "the trailer section is too large"),
            Self::Truncated => ("truncated", 400, "the peer left within a message"),
            Self::StatusLine => ("status-line", 502, "the status line is malformed"),
            Self::BodyNotAllowed => ("body-not-allowed", 502, "a body is announced where none can be"),
            Self::EarlyTunnel => ("early-tunnel", 400, "bytes before the upgrade was granted"),
            Self::ProxyHeaderMissing => ("proxy-header-missing", 400, "the connection does not begin with a PROXY header"),
            Self::ProxyHeader => ("proxy-header", 400, "the PROXY header is malformed"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().2)
    }
}

impl std::error::Error for Fault {}
