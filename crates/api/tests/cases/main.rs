//! The parser says of every object of the lists of cases what is written there.

mod cel;
mod imported;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serin_api::{
    AuthPolicy, BackendPolicy, CanaryRelease, Consumer, findings, parse, parse_auth_policy, parse_backend_policy, parse_consumer,
};
use serin_api::{parse_value, reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    base: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    says: String,
    patch: Map<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    verdict: Verdict,
    by: Option<By>,
    #[serde(default)]
    strict: bool,
    field: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepted,
    Refused,
}

#[derive(Deserialize, PartialEq, Debug, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum By {
    Schema,
    Cel,
    Parser,
}

impl Case {
    fn object(&self, base: &Value) -> Value {
        let mut object = base.clone();
        let spec = object["spec"].as_object_mut().expect("the base has a spec");
        spec.extend(self.patch.clone());
        for name in &self.without {
            spec.remove(name);
        }
        object
    }
}

/// The cases of each kind.
fn cases() -> Vec<(&'static str, Cases)> {
    let read = |text| serde_saphyr::from_str(text).expect("cases are a list of cases");
    serin_api::CASES.iter().map(|(kind, text)| (*kind, read(text))).collect()
}

fn is_accepted(kind: &str, object: &Value) -> bool {
    match kind {
        "CanaryRelease" => parse_value(object).release.is_some(),
        "AuthPolicy" => parse_auth_policy(object).policy.is_some(),
        "BackendPolicy" => parse_backend_policy(object).policy.is_some(),
        "Consumer" => parse_consumer(object).profile.is_some(),
        other => panic!("no cases are there of {other}"),
    }
}

#[test]
fn every_case_gets_its_verdict() {
    let mut wrong = Vec::new();
    for (kind, Cases { base, cases }) in cases() {
        assert!(cases.len() >= if kind == "CanaryRelease" { 150 } else { 15 }, "{kind}");
        for case in &cases {
            let object = case.object(&base);
            let (accepted, found) = (is_accepted(kind, &object), findings(kind, &object).expect("a kind of ours"));
            let said: Vec<_> = found.iter().map(|finding| (finding.field.as_str(), finding.reason)).collect();
            let right = match (&case.verdict, &case.field, &case.reason) {
                (Verdict::Accepted, None, None) => accepted && said.is_empty(),
                (Verdict::Refused, Some(field), Some(reason)) => !accepted && said.contains(&(field.as_str(), reason.as_str())),
                _ => false,
            };
            if !right {
                wrong.push(format!("{kind}: {}: {:?} by {:?}, but the parser says {found:#?}", case.says, case.verdict, case.by));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_the_schema_accepts_the_types_take_and_read_alike() {
    for (kind, Cases { base, cases }) in cases() {
        for case in cases.iter().filter(|case| case.by != Some(By::Schema)) {
            let mut object = case.object(&base);
            object["spec"].as_object_mut().expect("the base has a spec").retain(|_, member| !member.is_null());
            let again = match kind {
                "AuthPolicy" => through::<AuthPolicy>(&object, &case.says),
                "BackendPolicy" => through::<BackendPolicy>(&object, &case.says),
                "Consumer" => through::<Consumer>(&object, &case.says),
                _ => through::<CanaryRelease>(&object, &case.says),
            };
            let said = |object: &Value| (is_accepted(kind, object), findings(kind, object).expect("a kind of ours"));
            assert_eq!(said(&again), said(&object), "{}", case.says);
            if kind != "CanaryRelease" {
                continue;
            }
            let typed: CanaryRelease = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{}: {error}", case.says));
            let (one, other) = (parse(&typed), parse_value(&object));
            assert_eq!((one.release, one.findings), (other.release, other.findings), "{}", case.says);
        }
    }
}

fn through<K: DeserializeOwned + Serialize>(object: &Value, says: &str) -> Value {
    let typed: K = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{says}: {error}"));
    serde_json::to_value(typed).expect("it is JSON")
}

#[test]
fn every_message_is_a_sentence_and_every_reason_a_known_one() {
    for (kind, Cases { base, cases }) in cases() {
        for finding in cases.iter().flat_map(|case| findings(kind, &case.object(&base)).expect("a kind of ours")) {
            assert!(finding.message.ends_with(['.', '?']), "{finding}");
            assert!(reason::ALL.contains(&finding.reason), "{finding:?}");
            assert!(finding.field.starts_with("spec"), "{finding:?}");
        }
    }
}

#[test]
fn refusing_cases_say_who_refuses() {
    for case in cases().into_iter().flat_map(|(_, cases)| cases.cases) {
        assert_eq!(case.by.is_some(), case.verdict == Verdict::Refused, "{}", case.says);
        let beyond = case.reason.as_deref().is_some_and(|reason| reason != reason::INVALID_SPEC);
        assert!(!case.strict || case.by == Some(By::Schema), "{}: only the schema knows strict", case.says);
        assert!(!beyond || case.by == Some(By::Parser), "{}: a reason of its own is the parser's", case.says);
    }
}
