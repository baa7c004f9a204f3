//! Key sets by URL: which are fetched, and what is known of each. Nobody here fetches: whoever does tells [`Objects::take_key_set`].

use super::DeclaredAuthPolicy;
use crate::outside::{api_server, external_name};
use crate::{Key, Objects, Options};
use http::Uri;
use serin_api::release::HostName;
use serin_api::{Condition, Finding, reason};
use serin_auth::Jwks;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySetNeeds {
    /// Each once, however many policies name it.
    pub urls: BTreeSet<String>,
    /// Where the API server is: nothing is fetched there.
    pub api_server: BTreeSet<IpAddr>,
}

/// What is known of a key set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeySet {
    /// Those of the last answer that was a key set.
    keys: Option<Arc<Jwks>>,
    /// What was wrong at the last try.
    failure: Option<String>,
}

impl KeySet {
    fn take(&mut self, answer: Result<Vec<u8>, String>) {
        let read = answer.and_then(|text| match Jwks::parse(&text) {
            // Whoever may read it could sign.
            Ok(keys) if keys.has_symmetric_keys() => Err("it has a symmetric key, which must not be published".to_owned()),
            Ok(keys) => Ok(keys),
            Err(fault) => Err(format!("the answer {fault}")),
        });
        self.failure = match read {
            // The same ones stay those which the proxy has, and which say whether a token named another.
            Ok(keys) => {
                if self.keys.as_deref() != Some(&keys) {
                    self.keys = Some(Arc::new(keys));
                }
                None
            }
            Err(failure) => Some(failure),
        };
    }
}

impl Objects {
    /// The key sets that AuthPolicies name by URL, as far as they may. A Service of type ExternalName is an alias for any host, so it is
    /// not asked.
    pub fn key_set_needs(&self, options: &Options) -> KeySetNeeds {
        let named = self.auth_policies.values().flat_map(|policy| policy.key_sets().map(|(_, url)| (&policy.key.namespace, url)));
        let urls: BTreeSet<String> =
            named.filter(|(namespace, url)| self.may_fetch(namespace, url, options)).map(|(_, url)| url.to_owned()).collect();
        let api_server =
            if urls.is_empty() { BTreeSet::new() } else { api_server(self).chain(options.api_server.iter().copied()).collect() };
        KeySetNeeds { urls, api_server }
    }

    fn may_fetch(&self, namespace: &str, url: &str, options: &Options) -> bool {
        let Some(host) = host(url) else { return false };
        let is_alias = |name: &str| self.services.get(&Key::new(namespace, name)).is_some_and(|service| external_name(service).is_some());
        match service(&host, namespace) {
            Some(name) => options.standalone || !is_alias(name),
            None => is_allowed(&host, options),
        }
    }

    /// Whether each key set that is to be fetched was tried once.
    pub fn knows_key_sets(&self, options: &Options) -> bool {
        self.key_set_needs(options).urls.iter().all(|url| self.key_sets.contains_key(url))
    }

    /// Takes the text of a key set, or why there is none, which must say nothing of any text; `false` when nothing changed. Keys that were
    /// good stay while there are no others.
    pub fn take_key_set(&mut self, url: String, answer: Result<Vec<u8>, String>) -> bool {
        let is_new = !self.key_sets.contains_key(&url);
        let known = self.key_sets.entry(url).or_default();
        let before = known.clone();
        known.take(answer);
        let matters = is_new || *known != before;
        if matters {
            self.resolved.take();
        }
        matters
    }

    /// Forgets all key sets but these; `false` when there were no others.
    pub fn keep_key_sets(&mut self, urls: &BTreeSet<String>) -> bool {
        let before = self.key_sets.len();
        self.key_sets.retain(|url, _| urls.contains(url));
        let matters = self.key_sets.len() != before;
        if matters {
            self.resolved.take();
        }
        matters
    }

    /// The key sets of which tokens named a key that they do not have, since this was last asked.
    pub fn missed_key_sets(&self) -> impl Iterator<Item = &str> {
        let missed = |known: &KeySet| known.keys.as_ref().is_some_and(|keys| keys.take_missed());
        self.key_sets.iter().filter(move |(_, known)| missed(known)).map(|(url, _)| url.as_str())
    }
}

/// Where key sets are looked up, and why one is not known.
pub(crate) struct KeySets<'o> {
    known: &'o BTreeMap<String, KeySet>,
    options: &'o Options,
}

impl<'o> KeySets<'o> {
    pub(crate) fn new(objects: &'o Objects, options: &'o Options) -> Self {
        Self { known: &objects.key_sets, options }
    }

    /// The keys that are at this URL for a policy of this namespace.
    pub(crate) fn keys(&self, url: &str, namespace: &str, field: &str) -> Result<Arc<Jwks>, Finding> {
        let finding = |condition, reason, message| Err(Finding { condition, reason, field: field.to_owned(), message });
        let Some(host) = host(url) else {
            let message =
                format!("{url:?} is no URL that serin fetches. Write http or https, a host, and a path, without a user before the host.");
            return finding(Condition::Accepted, reason::INVALID_SPEC, message);
        };
        if service(&host, namespace).is_none() && !is_allowed(&host, self.options) {
            let message = format!(
                "{host} is no Service of namespace {namespace}, and the operator does not allow it. Use NAME.{namespace}.svc, or have it \
                 allowed by --outbound-allow."
            );
            return finding(Condition::Accepted, reason::NOT_PERMITTED, message);
        }
        let known = self.known.get(url);
        if let Some(keys) = known.and_then(|known| known.keys.as_ref()) {
            return Ok(Arc::clone(keys));
        }
        let message = match known.and_then(|known| known.failure.as_deref()) {
            Some(failure) => format!("The keys at {url} cannot be had: {failure}."),
            None => format!("The keys at {url} are not fetched yet. A Service of type ExternalName is not asked."),
        };
        finding(Condition::ResolvedRefs, reason::KEYS_NOT_FETCHED, message)
    }

    /// That keys are used which could not be fetched again.
    pub(crate) fn stale(&self, declared: &DeclaredAuthPolicy) -> impl Iterator<Item = Finding> {
        declared.key_sets().filter_map(|(index, url)| {
            let known = self.known.get(url).filter(|known| known.keys.is_some())?;
            let failure = known.failure.as_deref()?;
            let message = format!("The keys at {url} cannot be fetched again, so the last good ones are used: {failure}.");
            let field = format!("spec.methods[{index}].jwt.jwks.url");
            Some(Finding { condition: Condition::Programmed, reason: reason::KEYS_NOT_FETCHED, field, message })
        })
    }
}

/// The host of a URL that is fetched.
fn host(url: &str) -> Option<HostName> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    matches!(uri.scheme_str(), Some("http" | "https")).then_some(())?;
    HostName::parse(authority.host().trim_start_matches('[').trim_end_matches(']'))
}

/// The Service of this namespace that a host is, by its name in the cluster's DNS.
fn service<'h>(host: &'h HostName, namespace: &str) -> Option<&'h str> {
    let HostName::Dns(name) = host else { return None };
    let name = name.strip_suffix(".cluster.local").unwrap_or(name).strip_suffix(".svc")?;
    let (service, of) = name.split_once('.')?;
    (of == namespace).then_some(service)
}

fn is_allowed(host: &HostName, options: &Options) -> bool {
    let is_loopback = match host {
        HostName::Ip(ip) => ip.is_loopback(),
        HostName::Dns(name) => name == "localhost",
    };
    options.outbound.iter().any(|allowed| allowed.allows(host)) || options.standalone && is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_services_of_its_own_namespace_and_what_the_operator_allows() {
        let outbound = vec!["id.example".parse().expect("a pattern"), "192.0.2.0/24".parse().expect("a pattern")];
        let cluster = Options { outbound, ..Options::default() };
        let alone = Options { standalone: true, ..Options::default() };
        for (url, in_cluster, in_standalone) in [
            ("http://issuer.shop.svc/jwks", true, true),
            ("https://issuer.shop.svc.cluster.local:8443/jwks?a=b", true, true),
            ("http://issuer.other.svc/jwks", false, false),
            ("http://issuer.shop/jwks", false, false),
            ("http://a.issuer.shop.svc/jwks", false, false),
            ("http://kubernetes.default.svc/jwks", false, false),
            ("https://id.example/jwks", true, false),
            ("https://ID.example./jwks", true, false),
            ("https://a.id.example/jwks", false, false),
            ("https://id.example@evil.example/jwks", false, false),
            ("https://user@id.example/jwks", false, false),
            ("http://192.0.2.7/jwks", true, false),
            ("http://169.254.169.254/jwks", false, false),
            ("http://127.0.0.1:9/jwks", false, true),
            ("http://[::1]:9/jwks", false, true),
            ("http://localhost/jwks", false, true),
            ("ftp://id.example/jwks", false, false),
            ("http:///jwks", false, false),
            ("/jwks", false, false),
        ] {
            let may = |options| Objects::default().may_fetch("shop", url, options);
            assert_eq!((may(&cluster), may(&alone)), (in_cluster, in_standalone), "{url}");
            let told = KeySets { known: &BTreeMap::new(), options: &cluster }.keys(url, "shop", "f").expect_err("nothing is known");
            assert_eq!(told.reason == reason::KEYS_NOT_FETCHED, in_cluster, "{told}");
        }
    }

    #[test]
    fn good_keys_stay_until_there_are_others_and_a_published_symmetric_key_is_none() {
        let good = |id: &str| {
            let key = format!(r#"{{"kty": "OKP", "crv": "Ed25519", "kid": "{id}", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#);
            format!(r#"{{"keys": [{key}]}}"#).into_bytes()
        };
        let shared = br#"{"keys": [{"kty": "oct", "alg": "HS256", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
        let mut objects = Objects::default();
        let mut take = |answer: Result<Vec<u8>, &str>| {
            let changed = objects.take_key_set("u".into(), answer.map_err(str::to_owned));
            (changed, objects.key_sets["u"].clone())
        };
        let (changed, symmetric) = take(Ok(shared.to_vec()));
        assert!(changed && symmetric.keys.is_none() && symmetric.failure.is_some_and(|why| why.contains("symmetric")));
        let (_, first) = take(Ok(good("1")));
        assert!(first.keys.is_some() && first.failure.is_none());
        let (changed, again) = take(Ok(good("1")));
        assert!(!changed && Option::zip(first.keys.clone(), again.keys).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b)));
        for bad in [Ok(shared.to_vec()), Ok(b"s3cret".to_vec()), Err("nobody answers")] {
            let (_, kept) = take(bad);
            assert!(kept.keys == first.keys && kept.failure.is_some_and(|why| !why.contains("s3cret")));
        }
        assert!(!take(Err("nobody answers")).0, "the same is told once");
        let (changed, second) = take(Ok(good("2")));
        assert!(changed && second.keys != first.keys && second.failure.is_none());
    }
}
