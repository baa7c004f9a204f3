//! Condition types and their reasons: what tools and alerts may match on. None is ever renamed.
//!
//! | condition | True means | reasons |
//! |---|---|---|
//! | Accepted | the spec is one that serin serves | [`ACCEPTED`]; [`INVALID_SPEC`], [`INVALID_STEPS`], [`BELOW_ONE_BUCKET`], [`NOT_IMPLEMENTED`], [`SAME_BACKEND`], [`CONFLICTED`], [`AMBIGUOUS_SCOPE`], [`NOT_PERMITTED`] |
//! | ResolvedRefs | what the spec names exists | [`RESOLVED_REFS`]; [`BACKEND_NOT_FOUND`], [`PORT_NOT_FOUND`], [`AMBIGUOUS_PORT`], [`UNSUPPORTED_SERVICE`], [`PODS_UNKNOWN`], [`WORKLOAD_NOT_FOUND`], [`HOST_NOT_RESOLVED`]; of a route [`UNSUPPORTED_BACKEND`], [`TAKEN_AS_PREFIX`] |
//! | Programmed | every ready replica serves what status says | [`PROGRAMMED`]; [`NO_ROUTE`], [`PENDING`], [`PEER_UNREACHABLE`], [`CLOCK_SKEW`] |
//! | Ready | accepted, resolved, programmed and serving what status says | [`READY`]; [`NOT_READY`], [`ABORTED`] |
//! | Progressing | the weight moves or is held for a time; the reason says what it waits for | [`STEP`], [`ANALYSIS`], [`WINDOW`], [`PAUSED`], [`AWAITING_PROMOTION`], [`WAITING_FOR_TRAFFIC`], [`WAITING_FOR_ROLLOUT`]; [`NOTHING_TO_DO`] |
//! | Promoted | everyone has the canary | [`PROMOTED`]; [`NOT_PROMOTED`] |
//! | Finished | Promoted, Completed or Aborted | [`PROMOTED`], [`COMPLETED`], [`ABORTED`]; [`UNDER_WAY`] |
//! | ReadyToFinalize | the edit that makes the canary the stable side may be done | [`PROMOTED`]; [`NOT_PROMOTED`], [`NO_ROUTE`], [`OTHER_ROUTES`] |
//! | Degraded | served, but not as asked | [`NOT_FINALIZED`], [`CANARY_UNAVAILABLE`], [`OLD_SCHEMA`], [`CHECK_FAILED`], [`ABORTED`]; [`AS_ASKED`] |
//! | Skewed | shares of identities and of requests differ (S7) | [`FEW_IDENTITIES`]; [`EVEN`] |
//! | Stalled | nothing goes on until someone acts | [`ABORTED`], [`NOT_ACCEPTED`]; [`NOT_STALLED`] |
//!
//! A Consumer and an AuthPolicy have the first four. Their ResolvedRefs may be False for [`SECRET_NOT_FOUND`], [`SECRET_KEY_NOT_FOUND`] and
//! [`INVALID_SECRET`], as a BackendPolicy's may, an AuthPolicy's ResolvedRefs and Programmed for [`KEYS_NOT_FETCHED`], and a Consumer's Programmed for [`NO_POLICY`].
//!
//! Reasons before the semicolon stand with True, those after it with False; Accepted, ResolvedRefs, Programmed and Ready may be False for any
//! of the latter.

/// The types of the conditions; all are always there.
pub mod condition {
    /// The spec is one that serin serves.
    pub const ACCEPTED: &str = "Accepted";
    /// What the spec names exists.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// Every ready replica serves what status says.
    pub const PROGRAMMED: &str = "Programmed";
    /// Accepted, resolved, programmed, and serving what status says.
    pub const READY: &str = "Ready";
    /// The weight moves, or is held for a time.
    pub const PROGRESSING: &str = "Progressing";
    /// Everyone has the canary.
    pub const PROMOTED: &str = "Promoted";
    /// Promoted, Completed or Aborted, for `kubectl wait`.
    pub const FINISHED: &str = "Finished";
    /// The edit that makes the canary the stable side may be done (S10).
    pub const READY_TO_FINALIZE: &str = "ReadyToFinalize";
    /// Served, but not as asked.
    pub const DEGRADED: &str = "Degraded";
    /// Shares of identities and of requests differ (S7).
    pub const SKEWED: &str = "Skewed";
    /// Nothing goes on until someone acts; kstatus reads it.
    pub const STALLED: &str = "Stalled";

    /// Those of a Consumer and of an AuthPolicy, in the order of status.
    pub const OF_IDENTITY: [&str; 4] = [ACCEPTED, RESOLVED_REFS, PROGRAMMED, READY];

    /// Those of a CanaryRelease, all of them, in the order of status.
    pub const ALL: [&str; 11] =
        [ACCEPTED, RESOLVED_REFS, PROGRAMMED, READY, PROGRESSING, PROMOTED, FINISHED, READY_TO_FINALIZE, DEGRADED, SKEWED, STALLED];
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Every reason.
        pub const ALL: &[&str] = &[$($text),*];
    };
}

reasons! {
    /// The spec is valid, and this version serves all of it.
    ACCEPTED = "Accepted";
    /// A field is missing, misspelt or out of its bounds.
    INVALID_SPEC = "InvalidSpec";
    /// The weights of the steps fall.
    INVALID_STEPS = "InvalidSteps";
    /// A share above 0 is less than one bucket, so nobody would get it (S3).
    BELOW_ONE_BUCKET = "BelowOneBucket";
    /// The field is valid, and this version does not serve it yet.
    NOT_IMPLEMENTED = "NotImplemented";
    /// The canary is the scope's own Service.
    SAME_BACKEND = "SameBackend";
    /// Another release holds the same scope.
    CONFLICTED = "Conflicted";
    /// The route sends to more than one Service, and the scope names none.
    AMBIGUOUS_SCOPE = "AmbiguousScope";
    /// Only allowed in serin's own namespace, or by the operator.
    NOT_PERMITTED = "NotPermitted";
    /// Everything that the spec names exists.
    RESOLVED_REFS = "ResolvedRefs";
    /// A Service does not exist.
    BACKEND_NOT_FOUND = "BackendNotFound";
    /// The Service has no such port.
    PORT_NOT_FOUND = "PortNotFound";
    /// The Service has several ports, and none is named.
    AMBIGUOUS_PORT = "AmbiguousPort";
    /// The Service is of a type that has no endpoints, such as ExternalName.
    UNSUPPORTED_SERVICE = "UnsupportedService";
    /// The pods behind the Service are not known, so no endpoint is on a side.
    PODS_UNKNOWN = "PodsUnknown";
    /// A Secret does not exist.
    SECRET_NOT_FOUND = "SecretNotFound";
    /// The Secret has no such key.
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound";
    /// What the Secret holds is not what is asked for, such as a hash of a password or a JSON Web Key Set.
    INVALID_SECRET = "InvalidSecret";
    /// A key set cannot be fetched, or what is there is none.
    KEYS_NOT_FETCHED = "KeysNotFetched";
    /// No AuthPolicy looks for this Consumer.
    NO_POLICY = "NoPolicy";
    /// A workload does not exist.
    WORKLOAD_NOT_FOUND = "WorkloadNotFound";
    /// A host outside the cluster stands for no address.
    HOST_NOT_RESOLVED = "HostNotResolved";
    /// A route names a backend of a kind that serin does not send to; told of the route.
    UNSUPPORTED_BACKEND = "UnsupportedBackend";
    /// A path of type ImplementationSpecific is taken as a prefix; told of the route.
    TAKEN_AS_PREFIX = "TakenAsPrefix";
    /// Every ready replica serves it.
    PROGRAMMED = "Programmed";
    /// Not every ready replica serves it yet.
    PENDING = "Pending";
    /// No route of ours sends to the scope.
    NO_ROUTE = "NoRoute";
    /// A ready replica does not answer.
    PEER_UNREACHABLE = "PeerUnreachable";
    /// The clock of a replica is off.
    CLOCK_SKEW = "ClockSkew";
    /// All is as status says.
    READY = "Ready";
    /// Another condition says why.
    NOT_READY = "NotReady";
    /// A step runs.
    STEP = "Step";
    /// A judgement is due.
    ANALYSIS = "Analysis";
    /// The next window is awaited.
    WINDOW = "Window";
    /// A command, the spec, a step or a failed analysis keeps the weight.
    PAUSED = "Paused";
    /// The command `promote` is awaited.
    AWAITING_PROMOTION = "AwaitingPromotion";
    /// Too few requests came for a verdict.
    WAITING_FOR_TRAFFIC = "WaitingForTraffic";
    /// The canary workload is not rolled out, or was not seen yet.
    WAITING_FOR_ROLLOUT = "WaitingForRollout";
    /// What was asked for is served.
    NOTHING_TO_DO = "NothingToDo";
    /// Everyone has the canary.
    PROMOTED = "Promoted";
    /// Not everyone has the canary.
    NOT_PROMOTED = "NotPromoted";
    /// The routes do by themselves what the canary does.
    COMPLETED = "Completed";
    /// Weight 0 until a new release or `retry`.
    ABORTED = "Aborted";
    /// The end is not reached.
    UNDER_WAY = "UnderWay";
    /// Other routes of the Service are not done yet (S12).
    OTHER_ROUTES = "OtherRoutes";
    /// The last release was Promoted, and a new one began before its edit was done.
    NOT_FINALIZED = "NotFinalized";
    /// The canary has no ready endpoint.
    CANARY_UNAVAILABLE = "CanaryUnavailable";
    /// The CRD of the cluster is older than this version, so a part of the status is missing.
    OLD_SCHEMA = "OldSchema";
    /// A check fails, and decides nothing.
    CHECK_FAILED = "CheckFailed";
    /// All is served as asked.
    AS_ASKED = "AsAsked";
    /// Fewer than 20 identities made the requests.
    FEW_IDENTITIES = "FewIdentities";
    /// Enough identities made the requests, or too few requests came to tell, or each one counts for itself.
    EVEN = "Even";
    /// The spec is not accepted.
    NOT_ACCEPTED = "NotAccepted";
    /// It goes on by itself.
    NOT_STALLED = "NotStalled";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_is_one_word_and_said_once() {
        let distinct: BTreeSet<_> = super::ALL.iter().collect();
        assert_eq!(distinct.len(), super::ALL.len());
        for reason in super::ALL.iter().chain(&super::condition::ALL) {
            assert!(reason.starts_with(|c: char| c.is_ascii_uppercase()) && reason.chars().all(|c| c.is_ascii_alphanumeric()), "{reason}");
        }
    }
}
