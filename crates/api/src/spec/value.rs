//! Values that are a number or a text: one schema with `x-kubernetes-int-or-string`, and its bounds beside it.
//!
//! The API server refuses a float here (`12.5` without quotes); shares stay exact decimals on their whole way.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A span of time: one to four numbers with their units.
pub(crate) const DURATION: &str = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// A span of time, or `leave`.
pub(crate) const DURATION_OR_LEAVE: &str = r"^(leave|([0-9]{1,5}(h|m|s|ms)){1,4})$";
/// The name of a Service: an RFC 1035 label.
pub(crate) const SERVICE: &str = r"^[a-z]([-a-z0-9]*[a-z0-9])?$";
/// The name of most objects: an RFC 1123 subdomain.
pub(crate) const OBJECT: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// The name of a check: an RFC 1123 label.
pub(crate) const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A DNS name or an IP address.
pub(crate) const HOST: &str =
    r"^([0-9A-Za-z]([-0-9A-Za-z]*[0-9A-Za-z])?(\.[0-9A-Za-z]([-0-9A-Za-z]*[0-9A-Za-z])?)*\.?|[0-9A-Fa-f:.]{2,45})$";
/// A path begins with a slash.
pub(crate) const PATH: &str = "^/";
/// A path that is sent: visible ASCII, and neither query nor fragment.
pub(crate) const SENT_PATH: &str = r#"^/[!"$->@-~]*$"#;
/// An address that serin itself calls.
pub(crate) const URL: &str = r"^https?://[^\s]+$";
/// A moment, RFC 3339 with an offset.
pub(crate) const MOMENT: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
/// A time of day.
pub(crate) const TIME_OF_DAY: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9]$";
/// The name of a header or cookie: a token of RFC 9110.
pub(crate) const TOKEN: &str = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
/// A key of a Secret.
pub(crate) const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A text without control characters.
pub(crate) const PLAIN: &str = r"^[^\x00-\x1f\x7f]+$";
/// What may stand in a quoted string of a header as it is.
pub(crate) const REALM: &str = r"^[ !#-\[\]-~]+$";
/// The name of a claim.
pub(crate) const CLAIM: &str = r"^[!-~]+$";
/// A network, address and length.
pub(crate) const CIDR: &str = r"^[0-9a-fA-F:.]{2,39}/[0-9]{1,3}$";

/// A share in percent.
const PERCENT: &str = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%?$";
/// The name of a port: a service name of RFC 6335.
const PORT: &str = "^[-a-z0-9]*[a-z][-a-z0-9]*$";
/// A confidence in percent.
const CONFIDENCE: &str = r"^[5-9][0-9](\.[0-9]{1,4})?$";
/// A percentile.
const PERCENTILE: &str = r"^[1-9][0-9]?(\.[0-9]{1,4})?$";
/// A ratio.
const RATIO: &str = r"^[0-9]{1,4}(\.[0-9]{1,4})?$";
/// A bound.
const LIMIT: &str = r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$";

macro_rules! number_or_text {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub IntOrString);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

number_or_text! {
    /// A share in percent, with up to four decimals.
    Percent = {
        "x-kubernetes-int-or-string": true, "minimum": 0, "maximum": 100, "maxLength": 9,
        "pattern": PERCENT
    };
    /// The number or the name of a port.
    PortRef = {
        "x-kubernetes-int-or-string": true, "minimum": 1, "maximum": 65535, "maxLength": 15,
        "pattern": PORT
    };
    /// The confidence of a verdict, in percent.
    Confidence = {
        "x-kubernetes-int-or-string": true, "minimum": 50, "maximum": 99, "maxLength": 7,
        "pattern": CONFIDENCE
    };
    /// A percentile of latencies.
    Percentile = {
        "x-kubernetes-int-or-string": true, "minimum": 1, "maximum": 99, "maxLength": 7,
        "pattern": PERCENTILE
    };
    /// The ratio of the canary's latency to stable's.
    Ratio = {
        "x-kubernetes-int-or-string": true, "minimum": 0, "maximum": 9999, "maxLength": 9,
        "pattern": RATIO
    };
    /// A bound of a query's result.
    Limit = {
        "x-kubernetes-int-or-string": true, "minimum": -2_147_483_648_i64, "maximum": 2_147_483_647_i64, "maxLength": 24,
        "pattern": LIMIT
    };
}

/// What a pattern asks for, as it stands in a message after "it must be".
pub(crate) fn words(pattern: &str) -> String {
    let words = match pattern {
        DURATION => "a span of time such as 1h30m, 10m, 30s or 500ms",
        DURATION_OR_LEAVE => "leave, or a span of time such as 30s",
        SERVICE => "the name of a Service: small letters, digits and -, beginning with a letter",
        OBJECT => "the name of an object: small letters, digits, - and .",
        LABEL => "small letters, digits and -",
        HOST => "a DNS name or an IP address, without scheme and port",
        PATH => "a path, which begins with /",
        SENT_PATH => "a path, which begins with / and has no blank, ? or #",
        URL => "an address that begins with http:// or https://",
        MOMENT => "a moment such as 2026-12-01T09:00:00Z",
        TIME_OF_DAY => "a time of day such as 09:00, in quotes",
        TOKEN => "a name of letters, digits and !#$%&'*+.^_`|~-",
        SECRET_KEY => "a key of a Secret: letters, digits, -, _ and .",
        PLAIN => "a text without control characters",
        REALM => "ASCII without quotes and backslashes",
        CLAIM => "the name of a claim, without blanks",
        CIDR => "a network such as 10.0.0.0/8",
        PERCENT => "0 to 100 with at most four decimals, such as 10 or \"12.5\"",
        PORT => "the number or the name of a port; a number has no quotes",
        CONFIDENCE => "50 to 99 with at most four decimals",
        PERCENTILE => "1 to 99 with at most four decimals",
        RATIO => "0 to 9999 with at most four decimals",
        LIMIT => "a number with at most six decimals",
        other => return format!("a text that matches {other}"),
    };
    words.to_owned()
}
