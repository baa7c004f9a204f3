//! A route and a release that are edited without end, and who may answer when.
//!
//! Each edit is followed until every worker serves it, so at any moment it is known which tables there can be: an answer that none of
//! them gives is wrong, however slow the machine is.

use crate::site::{HOST, SOON, Serin, Site};
use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};
use serin_testkit::load::Exchange;
use serin_testkit::origin::Origin;
use serin_testkit::{eventually, manifests};
use std::time::Instant;
use tokio::runtime::Runtime;

/// The host of the route that is edited.
pub(crate) const ROUTE: &str = "route.example";
/// Whose answers are followed. With this salt the bucket of user-0 is neither among the first nor the last hundredth.
const SPLIT: &str = r#"{"by": "Header", "name": "X-User", "salt": "churn"}"#;
/// The Services that the route takes turns with; their origins have the same names.
const TURNS: [&str; 3] = ["a", "b", "c"];

/// A site whose route `ROUTE` and whose release are edited in turn.
pub(crate) struct Churn<'a> {
    site: &'a Site<'a>,
    serin: &'a Serin,
    runtime: Runtime,
    client: kube::Client,
    pub(crate) route: Eras,
    pub(crate) release: Eras,
    _origins: Vec<Origin>,
}

impl<'a> Churn<'a> {
    /// Creates both and waits until they are served.
    pub(crate) fn start(site: &'a Site<'a>, serin: &'a Serin) -> Result<Self> {
        let mut documents = site.release(&json!({"split": serde_json::from_str::<Value>(SPLIT)?, "strategy": {"percentage": 1}}));
        let mut origins = Vec::new();
        for name in TURNS {
            let origin = Origin::start((site.cluster.outside(201), 0), name)?;
            documents += &manifests::service(site.namespace, name, &[origin.address()]);
            origins.push(origin);
        }
        documents += &manifests::ingress(site.namespace, "route", ROUTE, "/", TURNS[0]);
        site.cluster.apply(&documents)?;
        serin.until_origin(ROUTE, "/", "user-0", TURNS[0])?;
        site.until_phase("Steady")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kubeconfig = Kubeconfig::read_from(site.cluster.kubeconfig())?;
        let client = runtime.block_on(async {
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
            anyhow::Ok(kube::Client::try_from(config)?)
        })?;
        let (route, release) = (Eras::begin(TURNS[0]), Eras::begin("v1"));
        Ok(Self { site, serin, runtime, client, route, release, _origins: origins })
    }

    /// Sends the route to the next Service; returns when every worker does.
    pub(crate) fn edit_route(&mut self) -> Result<()> {
        let service = TURNS[self.route.count() % TURNS.len()];
        let backend = json!({"service": {"name": service, "port": {"number": manifests::PORT}}});
        let rule = json!({"host": ROUTE, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}});
        self.route.open(service);
        self.patch("networking.k8s.io", "v1", "Ingress", "ingresses", "route", &json!({"spec": {"rules": [rule]}}))?;
        self.serves(ROUTE, service)?;
        self.route.close();
        Ok(())
    }

    /// Moves the user to the other side; returns when every worker does.
    pub(crate) fn edit_release(&mut self) -> Result<()> {
        let (percentage, label) = if self.release.count() % 2 == 1 { (99, "v2") } else { (1, "v1") };
        let patch = json!({"spec": {"strategy": {"percentage": percentage}}});
        self.release.open(label);
        self.patch("serin.dev", "v1alpha1", "CanaryRelease", "canaryreleases", "checkout", &patch)?;
        self.serves(HOST, label)?;
        self.release.close();
        Ok(())
    }

    /// Once one worker serves it, its table was given to all; serin answers for its metrics after the last of them has taken it.
    fn serves(&self, host: &str, label: &str) -> Result<()> {
        eventually("an edit is served", SOON, || {
            let seen = self.serin.origin(host, "/", "user-0")?;
            anyhow::ensure!(seen == label, "{seen} answers {host} and not {label}");
            Ok(())
        })?;
        self.serin.metrics().map(drop)
    }

    fn patch(&self, group: &str, version: &str, kind: &str, plural: &str, name: &str, patch: &Value) -> Result<()> {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), self.site.namespace, &kind);
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched = self.runtime.block_on(api.patch(name, &params, &patch));
        patched.map(drop).with_context(|| format!("cannot edit {name}"))
    }
}

/// Who could answer, and from when to when.
pub(crate) struct Eras(Vec<Era>);

struct Era {
    label: &'static str,
    from: Option<Instant>,
    to: Option<Instant>,
}

impl Eras {
    fn begin(label: &'static str) -> Self {
        Self(vec![Era { label, from: None, to: None }])
    }

    /// How many there were.
    fn count(&self) -> usize {
        self.0.len()
    }

    /// From now on this one may answer too: an edit is about to be sent.
    fn open(&mut self, label: &'static str) {
        self.0.push(Era { label, from: Some(Instant::now()), to: None });
    }

    /// From now on only the last one may answer: every worker serves the edit.
    fn close(&mut self) {
        let now = Instant::now();
        if let [.., before, _] = &mut self.0[..] {
            before.to = Some(now);
        }
    }

    /// The first of these that no table of its time could have given.
    pub(crate) fn wrong<'e>(&self, exchanges: &'e [Exchange]) -> Option<&'e Exchange> {
        exchanges.iter().find(|exchange| !self.0.iter().any(|era| era.could_answer(exchange)))
    }
}

impl Era {
    fn could_answer(&self, exchange: &Exchange) -> bool {
        let begun = self.from.is_none_or(|from| from <= exchange.ended);
        let over = self.to.is_some_and(|to| to < exchange.began);
        begun && !over && exchange.label.as_deref() == Some(self.label)
    }
}
