//! Consumers, AuthPolicies and BackendPolicies as this replica knows them, and the status of each: it follows from the objects alone, so it is
//! written only when it is another one.

use crate::admin::Name;
use crate::kind::Kind;
use crate::update::{Delta, Event, StatusWrite};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::Value;
use serin_api::reason::{self, condition};
use serin_api::status::{AuthPolicyStatus, ConditionsStatus, ConsumerStatus, ResolvedAuthPolicy, ResolvedConsumer};
use serin_api::{Finding, finding};
use serin_compiler::{AuthPolicyOutcome, Cached, Compiled, ConsumerOutcome, Key, Objects};
use serin_rollout::fit;
use std::collections::{BTreeMap, BTreeSet};

/// How long a write may be on its way before it is sent again.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(15);
/// How soon a write is sent again that failed: by then a conflicting object has come, or the API server is back.
const RETRY: SignedDuration = SignedDuration::from_secs(1);
/// So many writes are on their way at once: ten thousand Consumers that come together are no storm.
const AT_ONCE: usize = 32;
/// Characters of a condition's message at most: the API server takes 32,768, and nobody reads as many.
const LONGEST: usize = 4_096;

/// The objects of one kind.
#[derive(Debug)]
pub(super) struct Tracked {
    kind: Kind,
    objects: BTreeMap<Key, Object>,
    /// Those whose status may be another one than what is written.
    open: BTreeSet<Key>,
}

/// One object, without its spec.
#[derive(Debug, Default)]
struct Object {
    uid: String,
    resource_version: String,
    generation: i64,
    /// The status as it is stored.
    status: Value,
    /// Why the content that its file has now is refused (standalone mode).
    refused: Vec<Finding>,
    waits_until: Option<Timestamp>,
}

/// What an object comes to.
#[derive(Debug, Clone, Copy)]
enum Outcome<'c> {
    Consumer(&'c ConsumerOutcome),
    Auth(&'c AuthPolicyOutcome),
    Backend(&'c [Finding]),
}

impl Tracked {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, objects: BTreeMap::new(), open: BTreeSet::new() }
    }

    /// Takes a change, here and into the cache, which holds such an object as `as_read`; `false` when nothing that is read changed.
    pub(super) fn take<K: Cached>(&mut self, cache: &mut Objects, delta: Delta<Value>, listed: &mut bool, as_read: fn(Value) -> K) -> bool {
        match delta {
            Delta::Applied(object) => {
                self.apply(&object);
                cache.apply(as_read(*object))
            }
            Delta::Deleted(name) => {
                let key = super::key(&name);
                self.delete(&key);
                cache.delete::<K>(&key)
            }
            Delta::Listed(items) => {
                *listed = true;
                self.retain(&items.iter().map(super::release::key_of).collect());
                items.iter().for_each(|item| self.apply(item));
                cache.replace(items.into_iter().map(as_read))
            }
        }
    }

    fn apply(&mut self, object: &Value) {
        let (key, metadata) = (super::release::key_of(object), &object["metadata"]);
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let refused = self.objects.remove(&key).map(|old| old.refused).unwrap_or_default();
        let (generation, status) = (metadata["generation"].as_i64().unwrap_or(0), object["status"].clone());
        let (uid, resource_version) = (text("uid"), text("resourceVersion"));
        self.objects.insert(key.clone(), Object { uid, resource_version, generation, status, refused, waits_until: None });
        self.open.insert(key);
    }

    fn delete(&mut self, key: &Key) {
        self.objects.remove(key);
        self.open.remove(key);
    }

    /// Forgets those that are not among these.
    fn retain(&mut self, listed: &BTreeSet<Key>) {
        self.objects.retain(|key, _| listed.contains(key));
        self.open.retain(|key| listed.contains(key));
    }

    pub(super) fn refused(&mut self, key: &Key, findings: Vec<Finding>) {
        if let Some(object) = self.objects.get_mut(key) {
            object.refused = findings;
            self.open.insert(key.clone());
        }
    }

    /// All are to be looked at again: somebody else wrote until now.
    pub(super) fn open_all(&mut self) {
        if self.open.len() < self.objects.len() {
            self.open = self.objects.keys().cloned().collect();
        }
    }

    /// What is to be said differs for these.
    pub(super) fn open<'k>(&mut self, keys: impl IntoIterator<Item = &'k Key>) {
        self.open.extend(keys.into_iter().filter(|key| self.objects.contains_key(key)).cloned().collect::<Vec<_>>());
    }

    pub(super) fn write_failed(&mut self, key: &Key, from: &str, now: Timestamp) {
        if let Some(object) = self.objects.get_mut(key).filter(|object| object.resource_version == from) {
            object.waits_until = now.checked_add(RETRY).ok();
        }
    }

    /// What is to be written now.
    pub(super) fn decide(&mut self, compiled: &Compiled, now: Timestamp) -> Vec<StatusWrite> {
        // A clock that was set back must not make anything wait for longer than that.
        let waits = |object: &Object| object.waits_until.is_some_and(|until| now < until && until.duration_since(now) <= IN_FLIGHT);
        let under_way = self.open.iter().filter(|key| self.objects.get(key).is_some_and(waits)).count();
        let (mut writes, mut done) = (Vec::new(), BTreeSet::new());
        for key in &self.open {
            if under_way + writes.len() >= AT_ONCE {
                break;
            }
            let Some(object) = self.objects.get_mut(key).filter(|object| !waits(object)) else { continue };
            let Some(outcome) = Outcome::of(self.kind, key, compiled) else { continue };
            let status = object.status_of(outcome, key, now);
            if status == object.status {
                done.insert(key.clone());
                continue;
            }
            object.waits_until = now.checked_add(IN_FLIGHT).ok();
            writes.push(StatusWrite {
                kind: self.kind,
                name: Name { namespace: key.namespace.clone(), name: key.name.clone() },
                uid: object.uid.clone(),
                resource_version: object.resource_version.clone(),
                events: event(&object.status, &status).into_iter().collect(),
                status,
            });
        }
        self.open.retain(|key| !done.contains(key));
        writes
    }
}

impl<'c> Outcome<'c> {
    fn of(kind: Kind, key: &Key, compiled: &'c Compiled) -> Option<Self> {
        match kind {
            Kind::Consumer => compiled.consumers.get(key).map(Self::Consumer),
            Kind::AuthPolicy => compiled.auth_policies.get(key).map(Self::Auth),
            Kind::BackendPolicy => compiled.policies.get(key).map(|findings| Self::Backend(findings)),
            Kind::CanaryRelease | Kind::Ingress => None,
        }
    }

    fn findings(self) -> &'c [Finding] {
        match self {
            Self::Consumer(outcome) => &outcome.findings,
            Self::Auth(outcome) => &outcome.findings,
            Self::Backend(findings) => findings,
        }
    }
}

impl Object {
    fn status_of(&self, outcome: Outcome<'_>, key: &Key, now: Timestamp) -> Value {
        let findings: Vec<&Finding> = self.refused.iter().chain(outcome.findings()).collect();
        let (conditions, message) = conditions(&findings, outcome, key);
        let stored: Vec<Condition> = serde_json::from_value(self.status["conditions"].clone()).unwrap_or_default();
        let conditions = conditions.into_iter().map(|(kind, status, reason, message)| {
            let same = stored.iter().find(|old| old.type_ == kind && old.status == status);
            Condition {
                last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
                type_: kind.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: Some(self.generation),
            }
        });
        let (conditions, message) = (conditions.collect(), Some(fit(&message, "")));
        let observed_generation = Some(self.generation);
        let status = match outcome {
            Outcome::Consumer(outcome) => {
                let resolved = Some(ResolvedConsumer { username: outcome.username.clone() }).filter(|r| !r.username.is_empty());
                serde_json::to_value(ConsumerStatus { observed_generation, message, resolved, conditions })
            }
            Outcome::Auth(outcome) => {
                let resolved = Some(ResolvedAuthPolicy { scope: outcome.resolved_scope.clone() }).filter(|r| !r.scope.is_empty());
                serde_json::to_value(AuthPolicyStatus { observed_generation, message, resolved, conditions })
            }
            Outcome::Backend(_) => serde_json::to_value(ConditionsStatus { observed_generation, conditions }),
        };
        status.expect("a status has only text keys and finite numbers")
    }
}

type Said = (&'static str, &'static str, &'static str, String);

/// The four conditions, and the one line of `kubectl get`.
fn conditions(findings: &[&Finding], outcome: Outcome<'_>, key: &Key) -> (Vec<Said>, String) {
    let of = |kind, about: finding::Condition, ok: (&'static str, &str)| {
        let found: Vec<_> = findings.iter().filter(|finding| finding.condition == about).collect();
        let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
        found
            .first()
            .map_or_else(|| (kind, "True", ok.0, ok.1.to_owned()), |first| (kind, "False", first.reason, bounded(&texts.join(" "))))
    };
    let accepted = of(condition::ACCEPTED, finding::Condition::Accepted, (reason::ACCEPTED, "The spec is valid."));
    let mut resolved =
        of(condition::RESOLVED_REFS, finding::Condition::ResolvedRefs, (reason::RESOLVED_REFS, "Everything that it names is there."));
    let closed = accepted.1 == "False" || resolved.1 == "False";
    let (well, not_in_force) = match outcome {
        Outcome::Auth(_) => ("It decides who the requests of its scope come from.", "It cannot be resolved, so its scope answers 503."),
        Outcome::Backend(_) => ("It is in force.", "It is not in force as it stands: see Accepted and ResolvedRefs."),
        Outcome::Consumer(_) => ("It is known by all of its credentials.", "It is not known by all that its spec says."),
    };
    let programmed = match outcome {
        Outcome::Consumer(outcome) if !outcome.in_reach => {
            resolved = (condition::RESOLVED_REFS, "Unknown", reason::NO_POLICY, "Its Secrets are not read.".to_owned());
            let message = format!("No AuthPolicy looks for Consumers of namespace {}. Create one there.", key.namespace);
            (condition::PROGRAMMED, "False", reason::NO_POLICY, message)
        }
        _ if closed => (condition::PROGRAMMED, "False", reason::PENDING, not_in_force.to_owned()),
        _ => of(condition::PROGRAMMED, finding::Condition::Programmed, (reason::PROGRAMMED, well)),
    };
    let ready = programmed.1 == "True" && !closed;
    let what = findings.first().map_or_else(|| programmed.3.clone(), |finding| finding.to_string());
    let message = if ready { well.to_owned() } else { what.clone() };
    let ready = match ready {
        true => (condition::READY, "True", reason::READY, "All is as the spec says.".to_owned()),
        false => (condition::READY, "False", reason::NOT_READY, what),
    };
    (vec![accepted, resolved, programmed, ready], message)
}

fn bounded(message: &str) -> String {
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message.to_owned(),
    }
}

/// What becomes true or false is told, and another reason for the latter.
fn event(before: &Value, after: &Value) -> Option<Event> {
    let ready = |status: &Value| {
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = conditions.iter().find(|c| c["type"] == condition::READY);
        ready.map(|c| (c["status"] == "True", c["message"].as_str().unwrap_or_default().to_owned()))
    };
    let now = ready(after)?;
    if ready(before).as_ref() == Some(&now) {
        return None;
    }
    let (is_ready, message) = now;
    let reason = if is_ready { reason::READY } else { reason::NOT_READY };
    Some(Event { warning: !is_ready, reason: reason.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use serin_api::Condition as Of;
    use std::sync::Arc;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("it is a time")
    }

    fn policy(version: &str, status: &Value) -> Value {
        let metadata = json!({"namespace": "shop", "name": "all", "uid": "u", "resourceVersion": version, "generation": 3});
        json!({"metadata": metadata, "status": status})
    }

    fn compiled(findings: Vec<Finding>) -> Compiled {
        let outcome = AuthPolicyOutcome { resolved_scope: "every route of the namespace".into(), findings };
        Compiled { auth_policies: [(Key::new("shop", "all"), outcome)].into(), ..Compiled::default() }
    }

    #[test]
    fn every_finding_of_a_condition_is_in_its_message_and_a_policy_not_in_force_says_so() {
        let mut tracked = Tracked::new(Kind::BackendPolicy);
        tracked.apply(&policy("1", &Value::Null));
        let findings = ["It is bad.", "So is this."].map(|message| Finding { message: message.into(), ..missing() }).to_vec();
        let compiled = Compiled { policies: [(Key::new("shop", "all"), findings)].into(), ..Compiled::default() };
        let write = tracked.decide(&compiled, at(1)).remove(0);
        assert_eq!(
            shown(&write.status),
            ["Accepted=True/Accepted", "ResolvedRefs=False/SecretNotFound", "Programmed=False/Pending", "Ready=False/NotReady"]
        );
        let told = "spec.methods[0].jwt.jwks.secretRef: It is bad. spec.methods[0].jwt.jwks.secretRef: So is this.";
        assert_eq!(write.status["conditions"][1]["message"], told);
        assert_eq!((write.events.len(), write.events[0].reason.as_str()), (1, reason::NOT_READY));
    }

    fn missing() -> Finding {
        let message = "Secret shop/jwks does not exist, or serin may not read it.".to_owned();
        Finding {
            condition: Of::ResolvedRefs,
            reason: reason::SECRET_NOT_FOUND,
            field: "spec.methods[0].jwt.jwks.secretRef".into(),
            message,
        }
    }

    fn shown(status: &Value) -> Vec<String> {
        let conditions = status["conditions"].as_array().expect("there are conditions");
        conditions.iter().map(|c| format!("{}={}/{}", c["type"], c["status"], c["reason"]).replace('"', "")).collect()
    }

    #[test]
    fn a_status_is_written_once_and_again_when_it_is_another_one() {
        let mut tracked = Tracked::new(Kind::AuthPolicy);
        tracked.apply(&policy("1", &Value::Null));
        let write = tracked.decide(&compiled(Vec::new()), at(1)).remove(0);
        assert_eq!(
            shown(&write.status),
            ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs", "Programmed=True/Programmed", "Ready=True/Ready"]
        );
        assert!(tracked.decide(&compiled(Vec::new()), at(2)).is_empty(), "one is on its way");
        tracked.apply(&policy("2", &write.status));
        assert!(tracked.decide(&compiled(Vec::new()), at(3)).is_empty() && tracked.open.is_empty());

        tracked.open([&Key::new("shop", "all")]);
        let closed = tracked.decide(&compiled(vec![missing()]), at(4)).remove(0);
        assert_eq!(closed.resource_version, "2");
        assert_eq!(shown(&closed.status)[1..], ["ResolvedRefs=False/SecretNotFound", "Programmed=False/Pending", "Ready=False/NotReady"]);
        assert_eq!(closed.status["conditions"][0]["lastTransitionTime"], write.status["conditions"][0]["lastTransitionTime"]);
        assert_ne!(closed.status["conditions"][1]["lastTransitionTime"], write.status["conditions"][1]["lastTransitionTime"]);
        assert!(closed.events[0].warning && closed.events[0].message.contains("Secret shop/jwks does not exist"), "{:?}", closed.events);
        tracked.write_failed(&Key::new("shop", "all"), "2", at(5));
        assert_eq!(tracked.decide(&compiled(vec![missing()]), at(7)).len(), 1, "it is sent again");
    }

    #[test]
    fn a_write_that_failed_onto_an_older_object_changes_nothing_and_what_a_file_has_now_may_be_refused() {
        let (mut tracked, key) = (Tracked::new(Kind::BackendPolicy), Key::new("shop", "all"));
        let compiled = Compiled { policies: [(key.clone(), Vec::new())].into(), ..Compiled::default() };
        tracked.apply(&policy("1", &Value::Null));
        let first = tracked.decide(&compiled, at(10)).remove(0);
        assert_eq!(shown(&first.status)[2..], ["Programmed=True/Programmed", "Ready=True/Ready"]);
        tracked.write_failed(&key, "0", at(11));
        assert!(tracked.decide(&compiled, at(13)).is_empty(), "what failed was an older one");
        tracked.write_failed(&key, "1", at(13));
        assert_eq!((tracked.decide(&compiled, at(13)).len(), tracked.decide(&compiled, at(14)).len()), (0, 1));
        tracked.apply(&policy("2", &first.status));
        assert!(tracked.decide(&compiled, at(20)).is_empty(), "it says so already");
        let refused = Finding { condition: Of::Accepted, reason: reason::INVALID_SPEC, ..missing() };
        tracked.refused(&key, vec![refused]);
        assert_eq!(shown(&tracked.decide(&compiled, at(21))[0].status)[0], "Accepted=False/InvalidSpec");
    }

    #[test]
    fn ten_thousand_consumers_are_no_storm() {
        let mut tracked = Tracked::new(Kind::Consumer);
        let mut consumers = BTreeMap::new();
        for n in 0..10_000 {
            let name = format!("consumer-{n}");
            tracked.apply(&json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "1"}}));
            let outcome = ConsumerOutcome { username: name.clone(), in_reach: n > 0, findings: Vec::new() };
            consumers.insert(Key::new("shop", name), outcome);
        }
        let compiled = Compiled { consumers: Arc::new(consumers), ..Compiled::default() };
        let first = tracked.decide(&compiled, at(1));
        assert_eq!(first.len(), AT_ONCE);
        assert_eq!(shown(&first[0].status)[1..3], ["ResolvedRefs=Unknown/NoPolicy", "Programmed=False/NoPolicy"]);
        assert!(tracked.decide(&compiled, at(1)).is_empty());
        let metadata = json!({"namespace": "shop", "name": "consumer-1", "uid": "consumer-1", "resourceVersion": "2"});
        tracked.apply(&json!({"metadata": metadata, "status": first.iter().find(|w| w.name.name == "consumer-1").map(|w| &w.status)}));
        assert_eq!(tracked.decide(&compiled, at(1)).len(), 1, "the next, as one is done");
    }
}
