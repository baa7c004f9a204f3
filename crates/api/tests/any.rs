//! Whatever an object holds, the parser answers.

use proptest::prelude::*;
use serde_json::{Value, json};
use serin_api::{parse_auth_policy, parse_backend_policy, parse_consumer, parse_value};

/// Any JSON, now and then with the names of fields.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9%.:/ ]{0,12}".prop_map(Value::from),
        prop_oneof![Just("Header"), Just("Ingress"), Just("10%"), Just("1h"), Just("Canary"), Just("errors")].prop_map(Value::from),
    ];
    let name = prop_oneof![
        9 => prop::sample::select(NAMES),
        1 => Just("other"),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect())),
        ]
    })
}

const NAMES: &[&str] = &[
    "scope",
    "canary",
    "strategy",
    "split",
    "overrides",
    "analysis",
    "hooks",
    "schedule",
    "revision",
    "workloads",
    "drain",
    "service",
    "route",
    "kind",
    "name",
    "all",
    "port",
    "path",
    "type",
    "by",
    "buckets",
    "salt",
    "header",
    "cookie",
    "regex",
    "exact",
    "to",
    "percentage",
    "weights",
    "stable",
    "linear",
    "start",
    "duration",
    "steps",
    "weight",
    "for",
    "ramp",
    "pause",
    "groups",
    "checks",
    "errorRate",
    "max",
    "versusStable",
    "maxIncrease",
    "interval",
    "podSelector",
    "matchLabels",
    "matchExpressions",
    "values",
    "operator",
    "windows",
    "from",
    "at",
    "url",
    "username",
    "customId",
    "credentials",
    "methods",
    "anonymous",
    "hideCredentials",
    "keyAuth",
    "basicAuth",
    "jwt",
    "trustedHeaders",
    "secretRef",
    "key",
    "issuer",
    "jwks",
    "consumer",
    "headers",
    "realm",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn no_object_makes_the_parser_panic(object in anything(), spec in anything(), name in prop::sample::select(NAMES), member in anything()) {
        prop_assert!(parse_value(&object).release.is_none());
        let _ = parse_value(&json!({"metadata": object, "spec": spec}));
        prop_assert!(parse_backend_policy(&object).policy.is_none());
        let _ = parse_backend_policy(&json!({"metadata": object, "spec": spec}));
        let whole = json!({"metadata": object, "spec": spec});
        let (policy, consumer) = (parse_auth_policy(&whole), parse_consumer(&whole));
        prop_assert_eq!(policy.policy.is_some(), policy.findings.is_empty());
        prop_assert_eq!(consumer.profile.is_some(), consumer.findings.is_empty());
        let mut of_policy = json!({"scope": {"service": "checkout"}, "methods": [{"keyAuth": {"headers": ["apikey"]}}]});
        of_policy[name] = member.clone();
        let policy = parse_auth_policy(&json!({"metadata": {"name": "checkout", "namespace": "shop"}, "spec": of_policy}));
        prop_assert_eq!(policy.policy.is_some(), policy.findings.is_empty());
        prop_assert!(policy.scope.is_some() || !policy.findings.is_empty(), "one without a scope is told of");
        let mut near = json!({
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}},
        });
        near["spec"][name] = member;
        let parsed = parse_value(&near);
        prop_assert_eq!(parsed.release.is_some(), parsed.findings.is_empty());
        prop_assert_eq!(parsed.release.as_ref().map(|release| release.id(None)), parsed.id(None).filter(|_| parsed.release.is_some()));
    }
}
