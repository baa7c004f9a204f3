//! Kong's entities, as far as an import needs them, and how they find each other.

use super::json::Reference;
use crate::note::At;
use serde_json::{Map, Value};

/// All that the files hold.
#[derive(Debug, Default)]
pub(super) struct Kong {
    pub(super) services: Vec<Service>,
    pub(super) routes: Vec<Route>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) groups: Vec<Group>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) plugins: Vec<Plugin>,
}

/// A Service, or an API as it was before there were Services.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) tls: bool,
    /// Kong's name of what it speaks, when that is not HTTP/1.1 in clear.
    pub(super) protocol: Option<String>,
    pub(super) path: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) service: Option<Reference>,
    pub(super) hosts: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) strip_path: bool,
    pub(super) preserve_host: bool,
    /// What an Ingress has nothing like, such as `methods`.
    pub(super) beyond: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct Consumer {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) username: Option<String>,
    pub(super) custom_id: Option<String>,
    pub(super) groups: Vec<String>,
    /// Kong's names of the kinds of its credentials, such as `keyauth_credentials`. Their values are not kept.
    pub(super) credentials: Vec<&'static str>,
}

/// A consumer group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Upstream {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) targets: Vec<Target>,
    pub(super) hash_on: Option<String>,
    /// The name that goes with `hash_on`: of the header, the cookie or the parameter.
    pub(super) hash_name: Option<String>,
    pub(super) health_checks: bool,
    /// How requests are spread over its targets, when not by turns.
    pub(super) algorithm: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) upstream: Option<Reference>,
    pub(super) address: String,
    pub(super) weight: u32,
    pub(super) created: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) at: At,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) instance: Option<String>,
    pub(super) enabled: bool,
    pub(super) service: Option<Reference>,
    pub(super) route: Option<Reference>,
    pub(super) consumer: Option<Reference>,
    pub(super) group: Option<Reference>,
    pub(super) config: Map<String, Value>,
    /// What of it has no equivalent wherever it stands, such as `protocols`.
    pub(super) beyond: Vec<&'static str>,
}

/// What can be named by others.
pub(super) trait Named {
    fn id(&self) -> Option<&str>;
    fn name(&self) -> Option<&str>;
}

macro_rules! named {
    ($($kind:ident by $name:ident;)*) => {$(
        impl Named for $kind {
            fn id(&self) -> Option<&str> {
                self.id.as_deref()
            }
            fn name(&self) -> Option<&str> {
                self.$name.as_deref()
            }
        }
    )*};
}

named! { Service by name; Route by name; Consumer by username; Group by name; Upstream by name; }

/// The place of what is named; an id counts before a name.
pub(super) fn find<T: Named>(list: &[T], reference: &Reference) -> Option<usize> {
    match reference {
        Reference::Nested(place) => Some(*place),
        Reference::Text(text) => {
            let by = |of: fn(&T) -> Option<&str>| list.iter().position(|one| of(one) == Some(text.as_str()));
            by(T::id).or_else(|| by(T::name))
        }
    }
}

impl Kong {
    /// Puts each target to its upstream, the oldest first, and takes each entity that several files hold once.
    pub(super) fn settle(&mut self, loose: Vec<Target>) {
        for target in loose {
            let place = target.upstream.as_ref().and_then(|reference| find(&self.upstreams, reference));
            if let Some(upstream) = place.and_then(|place| self.upstreams.get_mut(place)) {
                upstream.targets.push(target);
            }
        }
        for upstream in &mut self.upstreams {
            upstream.targets.sort_by(|one, other| one.created.total_cmp(&other.created));
            // Kong keeps a history: the last entry of an address holds.
            let mut last: Vec<Target> = Vec::new();
            for target in upstream.targets.drain(..) {
                match last.iter_mut().find(|before| before.address == target.address) {
                    Some(before) => before.weight = target.weight,
                    None => last.push(target),
                }
            }
            upstream.targets = last;
        }
        let mut seen = std::collections::BTreeSet::new();
        self.plugins.retain(|plugin| plugin.id.as_ref().is_none_or(|id| seen.insert(id.clone())));
    }
}
