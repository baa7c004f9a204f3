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
/// A path begins with a slash.
pub(crate) const PATH: &str = "^/";
/// An address that serin itself calls.
pub(crate) const URL: &str = r"^https?://[^\s]+$";
/// A moment, RFC 3339 with an offset.
pub(crate) const MOMENT: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
/// A time of day.
pub(crate) const TIME_OF_DAY: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9]$";
/// The name of a header or cookie: a token of RFC 9110.
pub(crate) const TOKEN: &str = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

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
        "pattern": r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%?$"
    };
    /// The number or the name of a port.
    PortRef = {
        "x-kubernetes-int-or-string": true, "minimum": 1, "maximum": 65535, "maxLength": 15,
        "pattern": "^[-a-z0-9]*[a-z][-a-z0-9]*$"
    };
    /// The confidence of a verdict, in percent.
    Confidence = {
        "x-kubernetes-int-or-string": true, "minimum": 50, "maximum": 99, "maxLength": 7,
        "pattern": r"^[5-9][0-9](\.[0-9]{1,4})?$"
    };
    /// A percentile of latencies.
    Percentile = {
        "x-kubernetes-int-or-string": true, "minimum": 1, "maximum": 99, "maxLength": 7,
        "pattern": r"^[1-9][0-9]?(\.[0-9]{1,4})?$"
    };
    /// The ratio of the canary's latency to stable's.
    Ratio = {
        "x-kubernetes-int-or-string": true, "minimum": 0, "maximum": 9999, "maxLength": 9,
        "pattern": r"^[0-9]{1,4}(\.[0-9]{1,4})?$"
    };
    /// A bound of a query's result.
    Limit = {
        "x-kubernetes-int-or-string": true, "maxLength": 24,
        "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"
    };
}
