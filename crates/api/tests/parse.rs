//! What the parser makes of an object, beyond its verdict.

use jiff::SignedDuration;
use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use serin_api::identity::release_id;
use serin_api::release::{
    Analysis, Canary, Check, Groups, NoTraffic, OnFail, Override, PathRewrite, Port, RouteScope, Schedule, Scope, Side, Source, Split,
    SplitBy, Step, Strategy, WhenUnavailable, Workload, WorkloadKind, Workloads,
};
use serin_api::{Condition, Parsed, Release, parse_value, reason};

fn object(patch: &Value) -> Value {
    let mut object = json!({
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u", "generation": 4, "creationTimestamp": "2026-12-01T09:00:00Z"},
        "spec": {"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}},
    });
    for (name, member) in patch.as_object().into_iter().flatten() {
        object["spec"][name] = member.clone();
    }
    object
}

fn parsed(patch: Value) -> Parsed {
    parse_value(&object(&patch))
}

fn release(patch: Value) -> Release {
    let parsed = parsed(patch);
    parsed.release.unwrap_or_else(|| panic!("{:#?}", parsed.findings))
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[test]
fn the_least_that_works_has_every_default() {
    let least = Release {
        namespace: "shop".into(),
        name: "checkout".into(),
        uid: "u".into(),
        created: "2026-12-01T09:00:00Z".parse().ok(),
        generation: 4,
        enabled: true,
        scope: Scope { service: Some("checkout".into()), ..Scope::default() },
        canary: Canary {
            service: Some("checkout-v2".into()),
            pods: None,
            host: None,
            port: None,
            path: None,
            when_unavailable: WhenUnavailable::Stable,
        },
        split: Split {
            by: SplitBy::Consumer,
            buckets: 1000,
            salt: "shop/checkout".into(),
            issue_cookie: false,
            names_buckets: false,
            names_salt: false,
        },
        overrides: Vec::new(),
        strategy: Strategy::Percentage(100_000),
        analysis: None,
        schedule: Schedule::default(),
        revision: None,
        progress_deadline: minutes(60),
        paused: false,
        drain_on_abort: SignedDuration::from_secs(30),
    };
    assert_eq!(release(json!({})), least);
}

#[test]
fn the_whole_example_is_read() {
    let whole = release(json!({
        "scope": {"service": "checkout", "route": {"kind": "Ingress", "name": "shop", "host": "shop.example", "path": "/checkout"}},
        "canary": {
            "port": "http", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}, "whenUnavailable": "Fail",
        },
        "split": {"by": "Header", "name": "X-Tenant", "buckets": 500, "salt": ""},
        "overrides": [
            {"header": {"name": "X-Canary"}},
            {"cookie": {"name": "Team", "exact": "payments"}, "to": "Canary"},
            {"header": {"name": "X-Team", "regex": "^pay"}, "to": "Stable"},
        ],
        "strategy": {"steps": [{"weight": 1, "for": "10m"}, {"weight": "12.5", "ramp": "15m", "for": "30m"}, {"pause": true}]},
        "analysis": {"onFail": "Pause", "checks": [{"name": "errors", "errorRate": {"max": "1%"}, "dryRun": true}]},
        "revision": "v2.3.1",
        "progressDeadline": "2h",
        "paused": true,
        "drain": {"onAbort": "5s"},
    }));
    let header = |name: &str| Source::Header(name.into());
    assert_eq!(
        whole.scope.route,
        Some(RouteScope { name: "shop".into(), host: Some("shop.example".into()), path: Some("/checkout".into()) })
    );
    assert_eq!(
        whole.canary,
        Canary {
            service: None,
            pods: None,
            host: None,
            port: Some(Port::Name("http".into())),
            path: Some(PathRewrite::Prefix("/v2".into())),
            when_unavailable: WhenUnavailable::Fail
        }
    );
    assert_eq!(
        whole.split,
        Split {
            by: SplitBy::Header("x-tenant".into()),
            buckets: 500,
            salt: String::new(),
            issue_cookie: false,
            names_buckets: true,
            names_salt: true
        }
    );
    assert_eq!(
        whole.overrides,
        [
            Override::AlwaysNever(header("x-canary")),
            Override::Exact(Source::Cookie("Team".into()), "payments".into(), Side::Canary),
            Override::Regex(header("x-team"), "^pay".into(), Side::Stable),
        ]
    );
    assert_eq!(
        whole.strategy,
        Strategy::Steps(vec![
            Step::Weight { share: 10_000, ramp: SignedDuration::ZERO, hold: minutes(10) },
            Step::Weight { share: 125_000, ramp: minutes(15), hold: minutes(30) },
            Step::Pause,
        ])
    );
    let analysis = whole.analysis.expect("it is judged");
    assert_eq!((analysis.on_fail, analysis.interval), (OnFail::Pause, SignedDuration::from_secs(30)));
    assert_eq!(analysis.checks, [Check { name: "errors".into(), dry_run: true, max: Some(10_000), max_increase: None }]);
    assert_eq!((whole.progress_deadline, whole.drain_on_abort), (minutes(120), SignedDuration::from_secs(5)));
    assert!(whole.paused);
}

#[test]
fn groups_are_sets_and_times_of_blue_green_and_windows_are_read() {
    let strategy = |raw: Value| release(json!({"strategy": raw})).strategy;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(strategy(json!({"groups": {"allow": ["b", "a", "b"]}})), Strategy::Groups(Groups::Allow(names(&["a", "b"]))));
    assert_eq!(strategy(json!({"groups": {"deny": ["a"]}})), Strategy::Groups(Groups::Deny(names(&["a"]))));
    assert_eq!(
        strategy(json!({"steps": [{"groups": ["b", "a"], "for": "10m"}]})),
        Strategy::Steps(vec![Step::Groups { groups: names(&["a", "b"]), hold: minutes(10) }])
    );
    assert_eq!(strategy(json!({"blueGreen": {}})), Strategy::BlueGreen { auto_switch_after: None, keep_old: minutes(60) });
    assert_eq!(
        strategy(json!({"blueGreen": {"autoSwitchAfter": "0s", "keepOld": "5m"}})),
        Strategy::BlueGreen { auto_switch_after: Some(SignedDuration::ZERO), keep_old: minutes(5) }
    );
    let overrides = release(json!({"overrides": [{"consumerGroups": ["staff"], "to": "Stable"}]})).overrides;
    assert_eq!(overrides, [Override::ConsumerGroups(names(&["staff"]), Side::Stable)]);

    let windows = json!([{"days": ["Mon"], "from": "22:00", "to": "04:30", "timeZone": "europe/berlin"}, {"from": "09:00", "to": "16:00"}]);
    let schedule = release(json!({"schedule": {"windows": windows}})).schedule;
    let [night, day] = schedule.windows.as_slice() else { panic!("{schedule:?}") };
    assert_eq!((night.days.as_slice(), night.zone.iana_name()), (&[Weekday::Monday][..], Some("Europe/Berlin")));
    assert_eq!((night.from, night.to), (time(22, 0, 0, 0), time(4, 30, 0, 0)));
    assert_eq!((day.days.as_slice(), &day.zone, schedule.frozen), (&[][..], &TimeZone::UTC, false));
}

#[test]
fn a_time_zone_that_is_none_is_told_with_what_may_have_been_meant() {
    for (zone, cure) in [("Europe/Berln", "Did you mean Europe/Berlin?"), ("nowhere", "Write its IANA name, such as Europe/Berlin.")] {
        let parsed = parsed(json!({"schedule": {"windows": [{"from": "09:00", "to": "16:00", "timeZone": zone}]}}));
        let said: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
        assert_eq!(said, [format!("spec.schedule.windows[0].timeZone: There is no time zone {zone}. {cure}")]);
    }
}

#[test]
fn an_empty_analysis_is_the_default_check() {
    let default = Analysis {
        interval: SignedDuration::from_secs(30),
        min_requests: 200,
        no_traffic: NoTraffic::Hold,
        on_fail: OnFail::Abort,
        consecutive: 1,
        total: 3,
        checks: vec![Check { name: "errors".into(), dry_run: false, max: None, max_increase: Some(10_000) }],
    };
    assert_eq!(release(json!({"analysis": {}})).analysis, Some(default.clone()));
    assert_eq!(release(json!({"analysis": {"failureLimit": {"total": null}, "checks": null}})).analysis, Some(default));
}

#[test]
fn s15_weights_have_as_many_buckets_as_their_sum_unless_told() {
    let weights = json!({"weights": {"stable": 100, "canary": 1}});
    assert_eq!(release(json!({"strategy": weights})).split.buckets, 101);
    assert_eq!(release(json!({"strategy": weights, "split": {"buckets": 1000}})).split.buckets, 1000);
}

#[test]
fn s3_a_share_below_one_bucket_names_the_buckets_needed() {
    for (strategy, buckets, needed) in [
        (json!({"percentage": "0.09"}), 1000, "1112 or more"),
        (json!({"percentage": "0.0001"}), 1000, "1000000 or more"),
        (json!({"weights": {"stable": 100, "canary": 1}}), 100, "101 or more"),
    ] {
        let parsed = parsed(json!({"strategy": strategy, "split": {"buckets": buckets}}));
        let [finding] = parsed.findings.as_slice() else { panic!("{:?}", parsed.findings) };
        assert_eq!((finding.reason, finding.condition), (reason::BELOW_ONE_BUCKET, Condition::Accepted));
        assert!(finding.message.contains(needed), "{finding}");
    }
}

#[test]
fn a_bad_edit_leaves_the_overrides_that_parse_and_the_identity() {
    let good = parsed(json!({"overrides": [{"header": {"name": "X-Canary"}}]}));
    let bad = parsed(json!({
        "overrides": [{"header": {"name": "X-Canary"}}, {"header": {"name": "X-Team", "regex": "("}, "to": "Canary"}],
        "strategy": {"steps": [{"weight": 20}, {"weight": 10}]},
    }));
    assert_eq!(bad.release, None);
    assert_eq!(bad.overrides, good.overrides);
    assert!(good.id(None).is_some());
    assert_eq!(bad.id(None), good.id(None));
    let fields: Vec<_> = bad.findings.iter().map(|finding| finding.field.as_str()).collect();
    assert_eq!(fields, ["spec.strategy.steps[1].weight", "spec.overrides[1].header.regex"]);
}

#[test]
fn without_a_scope_that_is_served_there_is_no_identity() {
    for patch in [
        json!({"scope": {"route": {"kind": "HTTPRoute", "name": "a"}}}),
        json!({"canary": {}}),
        json!({"revision": 2}),
        json!({"scope": {"service": "a", "al": true}}),
    ] {
        assert_eq!(parsed(patch.clone()).id(None), None, "{patch}");
    }
}

#[test]
fn enabled_false_is_seen_in_a_spec_that_is_not_accepted() {
    assert!(!parsed(json!({"enabled": false, "strategy": {}})).enabled);
    assert!(parsed(json!({"enabled": "no"})).enabled);
}

#[test]
fn a_whole_float_is_the_whole_number_that_kubectl_makes_of_it() {
    assert_eq!(release(json!({"strategy": {"percentage": 10.0}})).strategy, Strategy::Percentage(100_000));
}

#[test]
fn all_findings_come_at_once() {
    let parsed = parsed(json!({"scope": {"sevice": "a"}, "canary": {"port": 0}, "split": {"by": "Header"}, "progressDeadline": "1d"}));
    let said: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    spec.canary.port: port is 0; the least is 1.
    spec.progressDeadline: progressDeadline is "1d"; it must be a span of time such as 1h30m, 10m, 30s or 500ms.
    spec.scope.sevice: scope has no field sevice. Did you mean service?
    spec.split.name: name is missing. With by Header, Cookie, QueryParam and Claim it says which one.
    "#);
}

#[test]
fn ids_are_the_published_ones() {
    let ids = [
        json!({}),
        json!({"revision": "v2"}),
        json!({"scope": {"all": true}}),
        json!({"scope": {"route": {"kind": "Ingress", "name": "shop", "host": "shop.example", "path": "/"}}, "canary": {"port": 8080}}),
        json!({"canary": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/x"}}}),
        json!({"split": {"by": "Cookie", "name": "id", "buckets": 100, "salt": ""}}),
        json!({"canary": {"podSelector": {"matchLabels": {"version": "v2"}}}}),
    ]
    .map(|patch| format!("{} {patch}", release(patch.clone()).id(None)));
    insta::assert_snapshot!(ids.join("\n"), @r#"
    fd8780e4c0 {}
    059c3514f5 {"revision":"v2"}
    5bcb9aba3f {"scope":{"all":true}}
    356a249c2c {"canary":{"port":8080},"scope":{"route":{"host":"shop.example","kind":"Ingress","name":"shop","path":"/"}}}
    32244fe0bc {"canary":{"path":{"replaceFullPath":"/x","type":"ReplaceFullPath"}}}
    98078778b8 {"split":{"buckets":100,"by":"Cookie","name":"id","salt":""}}
    da51a38a0f {"canary":{"podSelector":{"matchLabels":{"version":"v2"}}}}
    "#);
    assert_eq!(release(json!({})).id(None), release_id(&[("scope.service", "checkout"), ("canary.service", "checkout-v2")]));
    let observed = [("scope.service", "checkout"), ("canary.service", "checkout-v2"), ("workloads.canary", "uid/7")];
    assert_eq!(release(json!({})).id(Some("uid/7")), release_id(&observed));
}

#[test]
fn an_observed_revision_is_in_the_salt_unless_the_author_named_one_or_a_revision() {
    let salt = |patch: Value, observed: Option<&str>, fixed: Option<&str>| {
        let parsed = parsed(patch).with_observed(observed, fixed);
        let salts = [parsed.split.map(|split| split.salt), parsed.release.map(|release| release.split.salt)];
        assert_eq!(salts[0], salts[1]);
        salts[0].clone().unwrap_or_default()
    };
    let named = json!({"split": {"salt": "shop/checkout"}});
    for (patch, observed, fixed, expected) in [
        (json!({}), None, None, "shop/checkout"),
        (json!({}), Some("0c3e/7"), None, "shop/checkout@7"),
        (json!({}), Some("0c3e/7"), Some("shop/checkout"), "shop/checkout"),
        (json!({"revision": "v2"}), Some("0c3e/7"), None, "shop/checkout@v2"),
        (named.clone(), Some("0c3e/7"), Some("other"), "shop/checkout"),
    ] {
        assert_eq!(salt(patch.clone(), observed, fixed), expected, "{patch} {observed:?} {fixed:?}");
    }
    let id = |patch: &Value, observed| release(patch.clone()).id(observed);
    assert_eq!(id(&named, None), id(&json!({}), None));
    assert_ne!(id(&named, Some("0c3e/7")), id(&json!({}), Some("0c3e/7")), "the salt in force is another one");
    assert_ne!(id(&json!({}), Some("0c3e/7")), id(&json!({}), Some("0c3e/8")));
    assert_ne!(id(&json!({}), Some("0c3e/7")), id(&json!({}), Some("9a41/7")), "a workload that was made anew is another one");
}

#[test]
fn workloads_are_parsed_and_what_cannot_be_read_is_not_taken_for_none() {
    let workloads = parsed(json!({"workloads": {"canary": {"kind": "StatefulSet", "name": "checkout-v2"}}})).workloads;
    let canary = Workload { kind: WorkloadKind::StatefulSet, name: "checkout-v2".into() };
    assert_eq!(workloads, Some(Workloads { canary: Some(canary), stable: None }));
    assert_eq!(parsed(json!({})).workloads, Some(Workloads::default()));
    assert_eq!(parsed(json!({"workloads": {"canary": {"kind": "DaemonSet", "name": "a"}}})).workloads, None);
}

#[test]
fn the_identity_is_of_what_the_design_names_and_of_nothing_else() {
    let id = |patch: Value| release(patch).id(None);
    let plain = id(json!({}));
    for same in [
        json!({"enabled": false, "paused": true, "progressDeadline": "2h", "drain": {"onAbort": "1s"}}),
        json!({"strategy": {"linear": {}}, "analysis": {}}),
        json!({"strategy": {"weights": {"stable": 9, "canary": 1}}}),
        json!({"overrides": [{"header": {"name": "X-Canary"}}]}),
        json!({"canary": {"service": "checkout-v2", "whenUnavailable": "Fail"}}),
        json!({"split": {"by": "Consumer", "buckets": 1000, "salt": "shop/checkout"}}),
        json!({"scope": {"service": "checkout", "all": false}}),
    ] {
        assert_eq!(id(same.clone()), plain, "{same}");
    }
    for other in [
        json!({"revision": "v2"}),
        json!({"scope": {"service": "cart"}}),
        json!({"canary": {"service": "checkout-v3"}}),
        json!({"canary": {"service": "checkout-v2", "port": 80}}),
        json!({"split": {"by": "Request"}}),
        json!({"split": {"buckets": 100}}),
        json!({"split": {"salt": ""}}),
    ] {
        assert_ne!(id(other.clone()), plain, "{other}");
    }
}

#[test]
fn s1_pods_are_one_canary_however_their_selector_is_written() {
    let id = |selector: Value| release(json!({"canary": {"podSelector": selector}})).id(None);
    let by_label = id(json!({"matchLabels": {"version": "v2"}}));
    assert_eq!(id(json!({"matchExpressions": [{"key": "version", "operator": "In", "values": ["v2"]}]})), by_label);
    assert_ne!(id(json!({"matchLabels": {"version": "v3"}})), by_label);
    assert_ne!(id(json!({"matchExpressions": [{"key": "version", "operator": "NotIn", "values": ["v2"]}]})), by_label);
}

#[test]
fn s4_no_edit_of_the_strategy_is_another_release() {
    for buckets in [Value::Null, json!(100), json!(1000)] {
        let strategies = [
            json!({"percentage": 10}),
            json!({"weights": {"stable": 90, "canary": 10}}),
            json!({"weights": {"stable": 1, "canary": 1}}),
            json!({"percentage": 10, "linear": {}}),
        ];
        let ids = strategies.map(|strategy| parsed(json!({"strategy": strategy, "split": {"buckets": buckets}})).id(None));
        assert!(ids.iter().all(|id| id.is_some() && *id == ids[0]), "{buckets}: {ids:?}");
    }
}
