//! What a compilation gives.

use crate::edit::Text;
use crate::{AllowedHosts, AuthPolicyOutcome, ConsumerOutcome, Key};
use serin_api::{Finding, Release};
use serin_routing::Config;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// How objects are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// serin's own namespace: only there a release may reach over all namespaces.
    pub own_namespace: String,
    /// Fed from files, without a cluster: while there is no IngressClass every Ingress is ours, a Service may list its endpoints in the
    /// annotation `serin.dev/endpoints`, and endpoints on loopback are allowed.
    pub standalone: bool,
    /// The IngressClasses that are served; none named: all of serin's controller.
    pub classes: BTreeSet<String>,
    /// Hosts outside the cluster that may be sent to.
    pub external_hosts: Vec<AllowedHosts>,
    /// Hosts that serin itself may call for an author, beside the Services of his namespace.
    pub outbound: Vec<AllowedHosts>,
    /// The Secret of the certificate that clients are shown for hosts without one, and who name none.
    pub default_tls_secret: Option<Key>,
    /// Addresses of the API server, beside those that the cluster tells: nothing is ever sent there for anyone.
    pub api_server: Vec<IpAddr>,
}

impl Options {
    /// Whether an IngressClass of serin's controller is served here.
    pub(crate) fn serves_class(&self, name: &str) -> bool {
        self.classes.is_empty() || self.classes.contains(name)
    }
}

/// What is served, and what each author is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compiled {
    /// What is served.
    pub config: Config,
    /// Every CanaryRelease.
    pub releases: BTreeMap<Key, Arc<ReleaseOutcome>>,
    /// Every BackendPolicy, with what is wrong with it.
    pub policies: BTreeMap<Key, Vec<Finding>>,
    /// Names outside the cluster that are sent to: whoever has them looked up tells [`crate::Objects::take_host`].
    pub names: BTreeSet<String>,
    /// Every Ingress of ours, with what is wrong with it; those of others are not here.
    pub ingresses: BTreeMap<Key, Vec<Finding>>,
    /// Ingresses of a class that nobody has: they are not ours, and would be by mending that.
    pub unclassed: BTreeMap<Key, Finding>,
    /// What is wrong with the operator's certificate.
    pub default_certificate: Vec<Finding>,
    /// Every AuthPolicy.
    pub auth_policies: BTreeMap<Key, AuthPolicyOutcome>,
    /// Every Consumer; the same one while nothing that they depend on changes.
    pub consumers: Arc<BTreeMap<Key, ConsumerOutcome>>,
}

/// What a CanaryRelease comes to, whatever its phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOutcome {
    /// The parsed spec; `None` when it does not parse.
    pub release: Option<Release>,
    /// The id that spec and observed revision give; empty when it does not parse.
    pub id: String,
    /// The id that the spec alone gives: a release that began before its workload was seen has it.
    pub unobserved: String,
    /// `UID/REVISION` of the canary workload: as it is seen, else as status remembers it.
    pub observed: Option<String>,
    /// Why step 1 must not start yet: the canary workload is not rolled out (a sentence).
    pub rolling: Option<String>,
    /// The parser's in the order of the spec, then those of the objects around it; each once.
    pub findings: Vec<Finding>,
    /// The scope in force, in words.
    pub resolved_scope: String,
    /// The canary's port, the first one if routes differ; `None` while it does not resolve.
    pub port: Option<u16>,
    /// The routes that take part, and those that point at the canary by themselves.
    pub routes: Vec<RouteUse>,
    /// What must be done before a Service that the edits change may be changed, since other routes send to it too (S12).
    pub waits_for: Vec<String>,
    /// Ready endpoints of the canary, on the route that has the fewest.
    pub canary_ready: usize,
    /// Ready endpoints of stable, on the route that has the fewest.
    pub stable_ready: usize,
}

/// A route of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteUse {
    /// The object, `kind/namespace/name`.
    pub object: Arc<str>,
    /// The rule's own text; empty without a host.
    pub host: Arc<str>,
    /// The path's own text; empty without one.
    pub path: Arc<str>,
    /// The scope takes this route. `false`: it is here only because it points at the canary, as after finalising (S10).
    pub in_scope: bool,
    /// What the route does without the release is what the canary does, without a rewrite: it has the same backend and port, or reaches
    /// the canary's pods and no others, or stable's workload has rolled out what the canary's runs.
    pub completed: bool,
    /// The edits that make it so; none when `completed`.
    pub edits: Vec<Edit>,
}

/// The change of one object that finalises a route (S10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The object, `kind/namespace/name`: the route, the Service behind it, its BackendPolicy, or the workload behind that.
    pub object: Arc<str>,
    pub(crate) text: Text,
}

impl Edit {
    /// An edit that is told so.
    pub fn new(object: impl Into<Arc<str>>, text: impl Into<String>) -> Self {
        Self { object: object.into(), text: Text::Written(text.into()) }
    }

    /// Text that can be pasted into a shell; in standalone mode words for whoever edits the file.
    pub fn text(&self) -> Cow<'_, str> {
        self.text.told()
    }
}

impl ReleaseOutcome {
    /// Whether every route, and at least one, does without the release what the canary does: the release may be Completed.
    ///
    /// Routes that were recorded when the release began and now point elsewhere are for the caller to find: they are in
    /// [`Config::routes`], and not here.
    pub fn finalised(&self) -> bool {
        !self.routes.is_empty() && self.routes.iter().all(|route| route.completed)
    }
}
