//! One release: its object as it was last seen, and what this replica remembers of it.

use super::evidence::{Memory, Totals};
use super::pace;
use super::peers::{Peers, Standing};
use super::routes::{Routes, edits};
use crate::admin::Name;
use crate::client::{ABORT, COMMAND};
use crate::events;
use crate::kind::Kind;
use crate::update::{Event, StatusWrite};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use serin_api::{CanaryReleaseStatus, Condition, Finding, Release, reason};
use serin_compiler::{Key, ReleaseOutcome};
use serin_proxy::{Counters, ReleaseCounts};
use serin_rollout::command::Annotation;
use serin_rollout::judge::{CheckResult, failure};
use serin_rollout::phase::Phase;
use serin_rollout::state::Judgement;
use serin_rollout::{Evidence, Facts, Plan, State, hold, judge, read, report, step};
use serin_routing::Config;

/// How long a write may be on its way before the release is decided again.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(15);
/// How soon a release is decided again whose write failed: by then a conflicting object has come, or the API server is back.
const RETRY: SignedDuration = SignedDuration::from_secs(1);

/// How often a release is decided that is not under way: a thousand of them must cost next to nothing.
const QUIET: SignedDuration = SignedDuration::from_secs(2);

/// How often one is decided that is under way, if nothing changes that it is decided from: at each tick of the loop, and not again for each
/// of the many inputs between two.
const BREATH: SignedDuration = SignedDuration::from_millis(200);

/// What is known beside the object itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) outcome: &'a ReleaseOutcome,
    pub(super) config: &'a Config,
    /// The epoch that every worker serves.
    pub(super) served: Option<u64>,
    pub(super) counts: &'a [ReleaseCounts],
    pub(super) counters: &'a Counters,
    /// The other replicas, where it is known how to find them.
    pub(super) peers: Option<&'a Peers>,
    /// Why nothing may rise: a clock that is too far off, or a replica that is silent.
    pub(super) waits_for: Option<&'a Finding>,
}

/// A release as this replica knows it.
#[derive(Debug)]
pub(super) struct Tracked {
    object: Value,
    status: CanaryReleaseStatus,
    /// Why the content that its file has now is refused (standalone mode).
    pub(super) refused: Vec<Finding>,
    memory: Memory,
    /// Events that go with the next write, and those that went with the last one.
    untold: Vec<Event>,
    told: Vec<Event>,
    checks: Vec<CheckResult>,
    /// The status as it would be written at the last decision.
    current: Option<CanaryReleaseStatus>,
    last_write: Option<Timestamp>,
    /// When it is decided again, if nothing that it is decided from changes before.
    quiet_until: Option<Timestamp>,
    /// Until when a write is waited for; the object that it makes ends that.
    waits_until: Option<Timestamp>,
    /// Whether a ready replica has not said yet that it serves what was decided.
    pub(super) waits_for_peers: bool,
    /// Fields of the last write that the CRD of the cluster does not have.
    pub(super) cut: Vec<String>,
}

impl Tracked {
    pub(super) fn new(object: Value) -> Self {
        let status = status_of(&object);
        Self {
            object,
            status,
            refused: Vec::new(),
            memory: Memory::default(),
            untold: Vec::new(),
            told: Vec::new(),
            checks: Vec::new(),
            current: None,
            last_write: None,
            quiet_until: None,
            waits_until: None,
            waits_for_peers: false,
            cut: Vec::new(),
        }
    }

    /// Takes the object as it is now. Another uid is another release of the same name.
    pub(super) fn replace(&mut self, object: Value) {
        if self.object["metadata"]["uid"] != object["metadata"]["uid"] {
            *self = Self { refused: std::mem::take(&mut self.refused), ..Self::new(object) };
            return;
        }
        self.status = status_of(&object);
        self.object = object;
        (self.waits_until, self.quiet_until) = (None, None);
    }

    pub(super) fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// The object with its status true to the moment.
    pub(super) fn shown(&self) -> Value {
        let mut object = self.object.clone();
        if let Some(current) = &self.current {
            object["status"] = as_json(current);
        }
        object
    }

    /// Whether it was decided, and the epoch of its status is served.
    pub(super) fn is_settled(&self, served: Option<u64>) -> bool {
        match (&self.status.phase, &self.status.traffic) {
            (None, _) => false,
            // What decides nothing is not in the table.
            (Some(_), None) => true,
            (Some(_), Some(traffic)) => served.is_none_or(|served| i64::try_from(served).is_ok_and(|served| served >= traffic.epoch)),
        }
    }

    /// Whether it is to be decided now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make it wait for longer than that.
        let waits = |until: Option<Timestamp>, most| until.is_some_and(|until| now < until && until.duration_since(now) <= most);
        !waits(self.waits_until, IN_FLIGHT) && !waits(self.quiet_until, QUIET)
    }

    /// Orders those that are due: first those of which something changed.
    pub(super) fn due_since(&self) -> Option<Timestamp> {
        self.quiet_until
    }

    /// Decides, and says what is to be written now.
    pub(super) fn decide(&mut self, key: &Key, seen: &Seen<'_>, now: Timestamp) -> Option<StatusWrite> {
        let Seen { outcome, config, served: own, counts, counters, peers, waits_for } = *seen;
        let uid = self.uid().to_owned();
        let state = read(&self.status, &uid);
        let here = Totals::of(counts, &uid, &outcome.id);
        let totals = peers.map_or(here, |peers| here + peers.counted(&uid, &outcome.id));
        let alone = Standing { served: own, ready: 1 };
        let Standing { served, ready } = peers.map_or(alone, |peers| peers.standing(&uid, own));
        let findings: Vec<Finding> = self.refused.iter().chain(&outcome.findings).chain(waits_for).cloned().collect();
        let plan = outcome.release.as_ref().filter(|_| findings.iter().all(|f| f.condition != Condition::Accepted));
        let plan =
            plan.map(|release| (release, Plan::of(release, &outcome.id).observing(outcome.observed.as_deref(), &outcome.unobserved)));
        let judgement = plan.as_ref().and_then(|(_, plan)| self.judgement(plan, &state, totals, now));
        let routes = Routes::of(&state.routes, outcome, config);
        let evidence = Evidence {
            ready: findings.is_empty(),
            programmed: served.filter(|_| waits_for.is_none()),
            canary_ready: outcome.canary_ready > 0,
            rolling: outcome.rolling.is_some(),
            routes: routes.current,
            completed: routes.completed,
            judgement,
            failure: judgement.and_then(|_| failure(&self.checks)),
            command: self.annotation(COMMAND),
            abort: self.annotation(ABORT),
        };
        let decision = match &plan {
            Some((_, plan)) => step(plan, &state, &evidence, now),
            None => hold(self.is_enabled(), &state, &evidence, now),
        };
        self.waits_for_peers = own.is_some_and(|own| served.is_none_or(|served| served < own));
        let identities = || counters.identities(&uid, &outcome.id);
        let (measured, decided) = self.memory.measured(&decision.state, totals, here, identities, now);
        self.untold.extend(self.memory.episodes(&decision.state, totals, now));
        // Nobody acts on them before, and each new route would be a write of all of them.
        let tells_edits = matches!(decision.state.phase, Phase::Promoted | Phase::Completed) || decision.state.not_finalized().is_some();
        let facts = Facts {
            uid: uid.clone(),
            generation: self.object["metadata"]["generation"].as_i64().unwrap_or(0),
            findings,
            scope: (!outcome.resolved_scope.is_empty()).then(|| outcome.resolved_scope.clone()),
            port: outcome.port.map(|port| port.to_string()),
            stable: plan.as_ref().and_then(|(release, _)| release.scope.service.clone()),
            canary: plan.as_ref().and_then(|(release, _)| side_b(release, outcome.port)),
            canary_ready: outcome.canary_ready > 0,
            rolling: outcome.rolling.clone(),
            done: routes.done,
            edits: if tells_edits { edits(outcome) } else { Vec::new() },
            any_route_left: routes.any_left,
            waits_for: outcome.waits_for.clone(),
            programmed: served,
            replicas_programmed: u32::from(own.is_some_and(|own| own >= decision.state.segment.epoch))
                + peers.map_or(0, |peers| peers.programmed(&uid, decision.state.segment.epoch)),
            replicas_ready: ready,
            leader_only: peers.is_none(),
            measured: Some(measured),
            decided,
            judgement,
            checks: self.checks.clone(),
            degraded: self.old_schema(),
        };
        let spec = plan.as_ref().map(|(release, plan)| (*release, plan));
        let status = report(&self.status, spec, &decision.state, &facts, now);
        let under_way = matches!(decision.state.phase, Phase::Progressing | Phase::Scheduled);
        self.quiet_until = now.checked_add(if under_way { BREATH } else { QUIET }).ok();
        let is_due = pace::is_due(&self.status, &status, self.last_write, now);
        let status = self.current.insert(status);
        if !is_due {
            return None;
        }
        let status = as_json(status);
        (self.last_write, self.waits_until) = (Some(now), now.checked_add(IN_FLIGHT).ok());
        self.told = std::mem::take(&mut self.untold);
        Some(StatusWrite {
            kind: Kind::CanaryRelease,
            name: Name { namespace: key.namespace.clone(), name: key.name.clone() },
            uid,
            resource_version: self.object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            status,
            events: decision.events.iter().filter_map(events::of).chain(self.told.iter().cloned()).collect(),
        })
    }

    /// A judgement when one is due, of what the running step counted.
    fn judgement(&mut self, plan: &Plan, state: &State, totals: Totals, now: Timestamp) -> Option<Judgement> {
        let counts = self.memory.of_step(state, totals);
        let due = state.running.as_ref()?.due?;
        let analysis = plan.analysis.as_ref().filter(|_| now >= due)?;
        let at_full_weight = state.segment.k(now) == state.segment.buckets;
        let (verdict, checks) = judge(analysis, &counts, at_full_weight);
        self.checks = checks;
        verdict.map(|verdict| Judgement { verdict, at: now })
    }

    fn annotation(&self, name: &str) -> Option<Annotation> {
        let value = self.object["metadata"]["annotations"][name].as_str()?;
        Some(Annotation { value: value.to_owned(), tool: manager_of(&self.object, name) })
    }

    fn is_enabled(&self) -> bool {
        self.object["spec"]["enabled"].as_bool().unwrap_or(true)
    }

    /// What the served CRD does not have could not be told.
    fn old_schema(&self) -> Option<(&'static str, String)> {
        let missing = match self.cut.as_slice() {
            [] => return None,
            [field] => format!("{field} is"),
            [first, others @ ..] => format!("{first} and {} more are", others.len()),
        };
        Some((reason::OLD_SCHEMA, format!("The CRD of this cluster is older than serin: {missing} missing. Apply the CRD.")))
    }

    /// Something that it is decided from changed: it is decided at the next moment.
    pub(super) fn wake(&mut self) {
        self.quiet_until = None;
    }

    /// Somebody else decides.
    pub(super) fn follow(&mut self) {
        self.current = None;
    }

    /// A write did not go through: the release is decided again, from whatever object is there by then. The one that it conflicted with
    /// may have come before the answer; then nothing is left to wait for.
    pub(super) fn write_failed(&mut self, from: &str, now: Timestamp) {
        // A decision is made again, and its Events with it; an episode begins only once.
        self.untold.splice(..0, std::mem::take(&mut self.told));
        if self.object["metadata"]["resourceVersion"] == from {
            self.waits_until = now.checked_add(RETRY).ok();
        }
    }
}

/// The key of a release as it is stored.
pub(super) fn key_of(object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    Key::new(text("namespace"), text("name"))
}

fn as_json(status: &CanaryReleaseStatus) -> Value {
    serde_json::to_value(status).expect("a status has only text keys and finite numbers")
}

/// A status that does not parse is none: the release begins at weight 0, which is safe.
fn status_of(object: &Value) -> CanaryReleaseStatus {
    serde_json::from_value(object["status"].clone()).unwrap_or_default()
}

/// `checkout-v2:8080`; without a Service of its own the canary is another port or path of stable's, or some of its pods.
fn side_b(release: &Release, port: Option<u16>) -> Option<String> {
    if let (Some(host), Some(port)) = (&release.canary.host, &release.canary.port) {
        return Some(format!("{}:{port}", host.name));
    }
    let service = release.canary.service.as_ref().or(release.scope.service.as_ref())?;
    let backend = port.map_or_else(|| service.clone(), |port| format!("{service}:{port}"));
    Some(release.canary.pods.as_ref().map_or_else(|| backend.clone(), |pods| format!("{backend} ({pods})")))
}

/// The field manager that owns an annotation.
fn manager_of(object: &Value, annotation: &str) -> Option<String> {
    let field = format!("f:{annotation}");
    let managers = object["metadata"]["managedFields"].as_array()?;
    let owner = managers.iter().find(|m| m["fieldsV1"]["f:metadata"]["f:annotations"].get(&field).is_some())?;
    owner["manager"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_write_that_failed_waits_only_for_an_object_that_has_not_come_yet() {
        let object = |version: &str| json!({"metadata": {"uid": "u", "resourceVersion": version}});
        let mut release = Tracked::new(object("1"));
        release.write_failed("1", Timestamp::UNIX_EPOCH);
        assert_eq!(release.waits_until, Timestamp::UNIX_EPOCH.checked_add(RETRY).ok());
        release.replace(object("2"));
        release.write_failed("1", Timestamp::UNIX_EPOCH);
        assert_eq!(release.waits_until, None, "the object that it conflicted with is here");
    }

    #[test]
    fn what_an_older_crd_does_not_have_is_told_by_name_and_number() {
        let mut release = Tracked::new(json!({}));
        let told = |release: &Tracked| release.old_schema().map(|(_, message)| message);
        assert_eq!(told(&release), None);
        release.cut = vec!["status.measured.since".to_owned()];
        let one = "The CRD of this cluster is older than serin: status.measured.since is missing. Apply the CRD.";
        assert_eq!(told(&release).as_deref(), Some(one));
        release.cut.extend(["status.stable".to_owned(), "status.canary".to_owned()]);
        let more = "The CRD of this cluster is older than serin: status.measured.since and 2 more are missing. Apply the CRD.";
        assert_eq!(told(&release).as_deref(), Some(more));
    }
}
