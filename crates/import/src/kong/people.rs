//! Who requests come from: consumers as Consumers, and Kong's plugins that authenticate as AuthPolicies. No secret is taken along.

use super::build::Build;
use super::entities::{Consumer, Plugin, find};
use super::json::Object;
use crate::Document;
use crate::names::Names;
use crate::note::{At, plain};
use serin_api::spec::{
    Anonymous, AuthPolicy, AuthPolicySpec, AuthScopeSpec, BasicAuthSpec, ConsumerSpec, CredentialSpec, KeyAuthSpec, KeyCredential,
    MethodSpec, PasswordCredential, RouteKind, RouteRef, SecretKeyRef, SecretRef,
};
use std::collections::BTreeSet;

/// The most that serin takes of groups, credentials and methods of one object.
const MOST_GROUPS: usize = 64;
const MOST_CREDENTIALS: usize = 8;
/// The longest name of a consumer, a group, a header or a parameter.
const LONGEST: usize = 253;

/// Kong's plugins that become a method of an AuthPolicy.
pub(super) const METHODS: [&str; 2] = ["key-auth", "basic-auth"];

/// The Consumers.
pub(super) fn consumers(build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let (mut names, mut secrets) = (Names::default(), Names::default());
    for consumer in &build.kong.consumers {
        let Some(username) = consumer.username.as_ref().or(consumer.custom_id.as_ref()).filter(|name| is_name(name)) else {
            build.notes.decide(&consumer.at, "username", "It has none of 1 to 253 characters, so there is no Consumer of it.");
            continue;
        };
        let name = names.fresh(username);
        let (groups, more): (Vec<_>, Vec<_>) = consumer.groups.iter().cloned().partition(|group| is_name(group));
        if !more.is_empty() || groups.len() > MOST_GROUPS {
            build.notes.decide(&consumer.at, "groups", "serin takes 64 groups of 1 to 253 characters. The others are left out.");
        }
        let groups: Vec<String> = groups.into_iter().take(MOST_GROUPS).collect();
        let credentials = credentials(consumer, &name, &mut secrets, build);
        let spec = ConsumerSpec {
            username: (*username != name).then(|| username.clone()),
            custom_id: consumer.custom_id.clone().filter(|id| is_name(id)),
            groups: (!groups.is_empty()).then_some(groups),
            credentials: (!credentials.is_empty()).then_some(credentials),
        };
        let mut object = serin_api::Consumer::new(&name, spec);
        object.metadata.namespace = build.options.namespace.clone();
        documents.push(Document::new(consumer.at.object.as_ref(), &object));
    }
}

/// Its credentials by the Secrets that somebody has to make.
fn credentials(consumer: &Consumer, name: &str, secrets: &mut Names, build: &mut Build<'_>) -> Vec<CredentialSpec> {
    let mut credentials = Vec::new();
    for kind in &consumer.credentials {
        match *kind {
            "key-auth" => {
                let secret = secrets.fresh(&format!("{name}-key"));
                let message = format!(
                    "Make Secret {secret} with the consumer's key: `kubectl create secret generic {secret} --from-literal=key=KEY`."
                );
                build.notes.decide(&consumer.at, "keyauth_credentials", message);
                let key_auth = Some(KeyCredential { secret_ref: SecretKeyRef { name: secret, key: "key".to_owned() } });
                credentials.push(CredentialSpec { key_auth, ..CredentialSpec::default() });
            }
            "basic-auth" => {
                let secret = secrets.fresh(&format!("{name}-basic"));
                let message = format!(
                    "Make Secret {secret} with username and password, a hash by bcrypt or argon2. Kong's hash is of another kind, so the \
                     password has to be set anew."
                );
                build.notes.decide(&consumer.at, "basicauth_credentials", message);
                let basic_auth = Some(PasswordCredential { secret_ref: SecretRef { name: secret } });
                credentials.push(CredentialSpec { basic_auth, ..CredentialSpec::default() });
            }
            "jwt" => {
                let message = "Kong has a key for each consumer; serin verifies the tokens of an issuer by its key set. Write a jwt method and \
                    credential by hand.";
                build.notes.no_equivalent(&consumer.at, "jwt_secrets", message);
            }
            other => build.notes.no_equivalent(&consumer.at, other, "serin has no such credential. It is left out."),
        }
    }
    if credentials.len() > MOST_CREDENTIALS {
        build.notes.decide(&consumer.at, "", "serin takes 8 credentials of one Consumer. The others are left out.");
        credentials.truncate(MOST_CREDENTIALS);
    }
    credentials
}

/// The AuthPolicies: one for each thing that plugins stand on, in each namespace that it is in.
pub(super) fn policies(build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let mut names = Names::default();
    let mut policies: Vec<(At, Option<String>, String, AuthPolicySpec)> = Vec::new();
    for plugin in build.kong.plugins.iter().filter(|plugin| plugin.enabled && METHODS.contains(&plugin.name.as_str())) {
        let Some((scope, namespaces, name)) = scope(plugin, build) else { continue };
        let spec = policy(plugin, scope, build);
        if policies.iter().any(|(_, of, _, other)| other.scope != spec.scope && namespaces.contains(of)) {
            let message = "Where Kong's plugins of several scopes meet, it asks for every credential; serin's most specific AuthPolicy decides \
                alone. Give that one the methods that are wanted there.";
            build.notes.decide(&plugin.at, "", message);
        }
        let mut is_told = false;
        for namespace in namespaces {
            match policies.iter_mut().find(|(_, of, _, other)| *of == namespace && other.scope == spec.scope) {
                Some((_, _, _, other)) => {
                    let message =
                        "Kong asks for every credential, or with anonymous for one of them; serin takes the first that a request has.";
                    if !std::mem::replace(&mut is_told, true) {
                        build.notes.decide(&plugin.at, "", message);
                    }
                    other.methods.extend(spec.methods.iter().cloned());
                    other.anonymous = other.anonymous.filter(|_| spec.anonymous.is_some());
                    other.hide_credentials = other.hide_credentials.filter(|_| spec.hide_credentials.is_some());
                }
                None => policies.push((plugin.at.clone(), namespace, name.clone(), spec.clone())),
            }
        }
    }
    let own = build.options.namespace.clone();
    if let Some((at, ..)) = policies.iter().find(|(_, namespace, ..)| *namespace != own)
        && !build.kong.consumers.is_empty()
    {
        let message = "An AuthPolicy finds the Consumers of its own namespace and those of serin's. These policies are in several \
            namespaces, so put the Consumers and their Secrets into serin's own.";
        build.notes.decide(at, "consumers", message);
    }
    for (at, namespace, name, spec) in policies {
        let mut object = AuthPolicy::new(&names.fresh(&name), spec);
        object.metadata.namespace = namespace;
        documents.push(Document::new(at.object.as_ref(), &object));
    }
}

/// The scope, the namespaces of its routes, and a name.
fn scope(plugin: &Plugin, build: &mut Build<'_>) -> Option<(AuthScopeSpec, BTreeSet<Option<String>>, String)> {
    let kong = build.kong;
    let unknown = |what: &str| format!("None of the files holds this {what}, so there is no AuthPolicy of it.");
    let (mut scope, mut service, mut names) = (AuthScopeSpec::default(), None, Vec::new());
    if let Some(reference) = &plugin.route {
        let Some(found) = find(&kong.routes, reference) else {
            build.notes.decide(&plugin.at, "route", unknown("route"));
            return None;
        };
        let name = build.route(found);
        names.push(name.clone());
        scope.route = Some(RouteRef { kind: RouteKind::Ingress, name, host: None, path: None, rule: None });
        service = build.service_of_route(&kong.routes[found]);
    }
    if let Some(reference) = &plugin.service {
        let Some(found) = find(&kong.services, reference) else {
            build.notes.decide(&plugin.at, "service", unknown("service"));
            return None;
        };
        let name = build.service(found);
        names.push(name.clone());
        scope.service = Some(name);
        service = Some(found);
    }
    if plugin.consumer.is_some() || plugin.group.is_some() {
        build.notes.no_equivalent(&plugin.at, "consumer", "Who a request comes from cannot depend on who it comes from. It is left out.");
        return None;
    }
    let namespace_of = |service: Option<usize>| build.namespace(service.and_then(|service| build.place_of(service)));
    if !names.is_empty() {
        return Some((scope, [namespace_of(service)].into(), names.join("-")));
    }
    scope.all = Some(true);
    let mut namespaces: BTreeSet<_> = kong.routes.iter().map(|route| namespace_of(build.service_of_route(route))).collect();
    if namespaces.is_empty() {
        namespaces.insert(namespace_of(None));
    }
    let message = "A global plugin is on every route, also of namespaces that these files do not name. An AuthPolicy with \
        scope.allNamespaces: true in serin's own namespace is on those too.";
    build.notes.decide(&plugin.at, "service", message);
    Some((scope, namespaces, "all".to_owned()))
}

/// Kong's defaults are said where serin has others.
fn policy(plugin: &Plugin, scope: AuthScopeSpec, build: &mut Build<'_>) -> AuthPolicySpec {
    let config = Object { at: plugin.at.clone(), members: &plugin.config };
    let notes = &mut build.notes;
    let method = if plugin.name == "basic-auth" {
        let may_stand =
            |realm: &String| is_name(realm) && realm.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
        let realm = config.text("realm", notes).filter(may_stand);
        MethodSpec { basic_auth: Some(BasicAuthSpec { realm }), ..MethodSpec::default() }
    } else {
        let mut names = config.texts("key_names", notes);
        names.retain(|name| super::settings::is_token(name));
        names.truncate(MOST_CREDENTIALS);
        if names.is_empty() {
            names.push("apikey".to_owned());
        }
        if config.flag("key_in_body", notes) == Some(true) {
            notes.no_equivalent(&plugin.at, "config.key_in_body", "serin never reads a body. It is left out.");
        }
        let headers = config.flag("key_in_header", notes).unwrap_or(true);
        let query = config.flag("key_in_query", notes).unwrap_or(true);
        let list = |wanted: bool| wanted.then(|| names.clone());
        MethodSpec { key_auth: Some(KeyAuthSpec { headers: list(headers || !query), query: list(query) }), ..MethodSpec::default() }
    };
    let anonymous = config.text("anonymous", notes);
    if let Some(who) = &anonymous {
        let message = format!("In Kong a request without a credential is that of consumer {}; in serin it is nobody's.", plain(who));
        notes.decide(&plugin.at, "config.anonymous", message);
    }
    AuthPolicySpec {
        scope,
        methods: vec![method],
        anonymous: anonymous.map(|_| Anonymous::Allow),
        hide_credentials: (!config.flag("hide_credentials", notes).unwrap_or(false)).then_some(false),
    }
}

/// What the name of a consumer or a group may be.
fn is_name(name: &str) -> bool {
    (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(|c| c.is_ascii_control())
}
