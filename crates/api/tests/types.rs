//! The types as they go over the wire.

use serde_json::{Value, json};
use serin_api::{CanaryRelease, CanaryReleaseStatus};

fn whole() -> Value {
    json!({
        "apiVersion": "serin.dev/v1alpha1",
        "kind": "CanaryRelease",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {
            "enabled": true,
            "scope": {"service": "checkout", "route": {"kind": "Ingress", "name": "shop", "host": "shop.example", "path": "/checkout"}},
            "canary": {
                "service": "checkout-v2", "port": 8080, "whenUnavailable": "Fail",
                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"},
            },
            "split": {"by": "Cookie", "name": "id", "issueCookie": true, "buckets": 1000, "salt": ""},
            "overrides": [
                {"header": {"name": "X-Canary"}},
                {"cookie": {"name": "team", "regex": "pay.*"}, "to": "Stable"},
                {"consumerGroups": ["testers"], "to": "Canary"},
            ],
            "strategy": {"steps": [{"groups": ["testers"]}, {"weight": "12.5%", "ramp": "15m", "for": "30m"}, {"weight": 25}, {"pause": true}]},
            "analysis": {
                "interval": "30s", "minRequests": 200, "noTraffic": "Hold", "onFail": "Abort",
                "failureLimit": {"consecutive": 1, "total": 3}, "confidence": 99,
                "checks": [
                    {"name": "errors", "errorRate": {"max": "1%", "versusStable": {"maxIncrease": "0.5%"}}},
                    {"name": "latency", "latency": {"percentile": 99, "max": "800ms", "versusStable": {"maxRatio": "1.3"}}},
                    {"name": "orders", "prometheus": {"address": "http://prometheus:9090", "query": "up", "min": "0.95"}},
                    {"name": "smoke", "http": {"url": "http://checkout-v2/healthz", "expectStatus": [200]}, "dryRun": true},
                ],
            },
            "hooks": [{"at": ["BeforeStart"], "url": "http://gate/approve", "timeout": "10s", "whenUnreachable": "Hold"}],
            "schedule": {"windows": [{"days": ["Mon"], "from": "09:00", "to": "16:00", "timeZone": "Europe/Berlin"}], "frozen": false},
            "revision": "v2.3.1",
            "workloads": {"canary": {"kind": "Deployment", "name": "checkout-v2"}, "stable": {"kind": "StatefulSet", "name": "checkout"}},
            "progressDeadline": "1h",
            "paused": false,
            "drain": {"onAbort": "30s", "onPromote": "leave"},
        },
    })
}

#[test]
fn an_object_goes_through_the_types_unchanged() {
    let release: CanaryRelease = serde_json::from_value(whole()).expect("the types take the whole example");
    assert_eq!(serde_json::to_value(&release).expect("it is JSON"), whole());
}

#[test]
fn what_is_absent_stays_absent() {
    let least = json!({
        "apiVersion": "serin.dev/v1alpha1",
        "kind": "CanaryRelease",
        "metadata": {"name": "checkout"},
        "spec": {"scope": {"service": "checkout"}, "canary": {"service": "checkout-v2"}, "strategy": {"percentage": 10}},
    });
    let release: CanaryRelease = serde_json::from_value(least.clone()).expect("the types take the least that works");
    assert_eq!(serde_json::to_value(&release).expect("it is JSON"), least);
}

#[test]
fn a_status_holds_no_null() {
    let empty = serde_json::to_value(CanaryReleaseStatus::default()).expect("it is JSON");
    assert_eq!(empty, json!({}));

    let bare = json!({
        "release": {}, "step": {}, "traffic": {}, "measured": {}, "resolved": {}, "replicas": {}, "lastCommand": {}, "lastAbort": {},
        "analysis": {"checks": [{"max": {}, "versusStable": {}}]}, "finalize": {"routes": [{}], "edits": [{}]}, "history": [{}],
        "progress": {"running": {"judged": {}}, "pauses": {}},
    });
    let status: CanaryReleaseStatus = serde_json::from_value(bare).expect("a status that an older schema has cut is read");
    let text = serde_json::to_string(&status).expect("it is JSON");
    assert!(!text.contains("null"), "{text}");
}

#[test]
fn a_status_goes_through_the_types_unchanged() {
    let status = json!({
        "observedGeneration": 3,
        "phase": "Progressing",
        "release": {"id": "fd8780e4c0", "attempt": 1, "startedAt": "2026-12-01T09:00:00.000Z"},
        "step": {"index": 1, "of": 5, "label": "2/5"},
        "traffic": {
            "buckets": 1000, "from": 10, "to": 250, "startsAt": "2026-12-01T09:00:00.000Z", "endsAt": "2026-12-01T09:15:00.000Z",
            "until": "2026-12-01T09:01:00.000Z", "floor": 10, "groups": ["testers"], "epoch": 7, "release": "fd8780e4c0",
        },
        "weight": "1",
        "conditions": [{
            "type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 3,
            "lastTransitionTime": "2026-12-01T09:00:00Z",
        }],
        "progress": {
            "uid": "u", "strategy": "0123456789", "position": 1, "failsInRow": 0, "fails": 0,
            "running": {
                "index": 1, "epoch": 7, "enteredAt": "2026-12-01T09:00:00.000Z", "plannedEnd": "2026-12-01T09:45:00.000Z",
                "seenAt": "2026-12-01T09:00:00.000Z", "judged": {"verdict": "NoData", "at": "2026-12-01T09:00:00.000Z"},
            },
            "pauses": {"command": false, "analysis": false, "step": true},
        },
    });
    let read: CanaryReleaseStatus = serde_json::from_value(status.clone()).expect("the types take it");
    assert_eq!(serde_json::to_value(&read).expect("it is JSON"), status);
}
