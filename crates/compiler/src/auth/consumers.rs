//! Consumers to directories: one for each namespace that has AuthPolicies, of its own Consumers and those of serin's namespace.

use super::secret::{self, Secrets};
use super::{ConsumerOutcome, DeclaredConsumer};
use crate::{Key, Objects};
use serin_api::auth;
use serin_api::{Condition, Finding, reason};
use serin_auth::{ApiKey, Consumer, Credential, Directory, PasswordHash};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The directories, and which one a namespace has.
pub(crate) struct Directories {
    of_namespace: BTreeMap<String, Arc<Directory>>,
    own: Arc<Directory>,
}

impl Directories {
    /// The consumers that AuthPolicies of a namespace look for.
    pub(crate) fn reach(&self, namespace: &str) -> Arc<Directory> {
        Arc::clone(self.of_namespace.get(namespace).unwrap_or(&self.own))
    }
}

/// A Consumer whose Secrets were read.
struct Read<'o> {
    declared: &'o DeclaredConsumer,
    consumer: Arc<Consumer>,
    /// For each credential of the consumer, where it is in the spec.
    fields: Vec<usize>,
}

/// All directories, and what the author of each Consumer is told.
pub(crate) fn resolve(
    objects: &Objects,
    secrets: &Secrets<'_>,
    reached: &BTreeSet<&str>,
    own_namespace: &str,
) -> (Directories, BTreeMap<Key, ConsumerOutcome>) {
    let mut outcomes = BTreeMap::new();
    let mut read = Vec::new();
    for (key, declared) in &objects.consumers {
        let (in_reach, mut findings) = (reached.contains(key.namespace.as_str()), declared.parsed.findings.clone());
        let profile = declared.parsed.profile.as_ref();
        if let Some(profile) = profile.filter(|_| in_reach && !declared.deleting) {
            read.push(self::read(declared, profile, secrets, &mut findings));
        }
        let username = profile.map_or_else(String::new, |profile| profile.username.clone());
        outcomes.insert(key.clone(), ConsumerOutcome { username, in_reach, findings });
    }
    read.sort_by(|a, b| a.declared.age.cmp(&b.declared.age));

    let mut directory = |namespace: &str| {
        let known = read.iter().filter(|read| [namespace, own_namespace].contains(&read.declared.key.namespace.as_str()));
        directory(known, &mut outcomes)
    };
    let own = directory(own_namespace);
    // Most namespaces of a platform have no Consumers of their own: they share one directory.
    let with_own = objects.consumers.keys().map(|key| key.namespace.as_str()).filter(|namespace| *namespace != own_namespace);
    let with_own: BTreeSet<_> = with_own.filter(|namespace| reached.contains(namespace)).collect();
    let of_namespace = with_own.into_iter().map(|namespace| (namespace.to_owned(), directory(namespace))).collect();
    (Directories { of_namespace, own }, outcomes)
}

/// What a credential is known by: two Consumers with one are in conflict.
#[derive(PartialEq, Eq, Hash)]
enum Mark<'c> {
    Key(ApiKey),
    Name(&'c str),
    Subject(&'c str, &'c str),
}

/// Of Consumers in reach of each other, the oldest first. Of two with one username or credential the older holds it.
fn directory<'r, 'o: 'r>(known: impl Iterator<Item = &'r Read<'o>>, outcomes: &mut BTreeMap<Key, ConsumerOutcome>) -> Arc<Directory> {
    let (mut usernames, mut marks) = (HashMap::<&str, &Key>::new(), HashMap::<Mark<'_>, &Key>::new());
    let mut consumers = Vec::new();
    for Read { declared, consumer, fields } in known {
        let mut conflict = |field: String, what: &str, holder: &Key| {
            // Who is in a namespace is not told in another one.
            let near = holder.namespace == declared.key.namespace;
            let holder = if near { format!("Consumer {holder}") } else { "A Consumer of another namespace".to_owned() };
            let message = format!("{holder}, which is older, has the same {what} and holds it. Change one of the two.");
            let finding = Finding { condition: Condition::Accepted, reason: reason::CONFLICTED, field, message };
            if let Some(outcome) = outcomes.get_mut(&declared.key).filter(|outcome| !outcome.findings.contains(&finding)) {
                outcome.findings.push(finding);
            }
        };
        match usernames.entry(&consumer.username) {
            Entry::Occupied(holder) => {
                conflict("spec.username".to_owned(), "username", holder.get());
                continue;
            }
            Entry::Vacant(entry) => drop(entry.insert(&declared.key)),
        }
        let mut lost = BTreeSet::new();
        for (index, credential) in consumer.credentials.iter().enumerate() {
            match marks.entry(Mark::of(credential)) {
                // Twice in one Consumer is no conflict.
                Entry::Occupied(holder) if **holder.get() == declared.key => {}
                Entry::Occupied(holder) => {
                    conflict(format!("spec.credentials[{}]", fields[index]), "credential", holder.get());
                    lost.insert(index);
                }
                Entry::Vacant(entry) => drop(entry.insert(&declared.key)),
            }
        }
        consumers.push(if lost.is_empty() {
            Arc::clone(consumer)
        } else {
            let kept = consumer.credentials.iter().enumerate().filter(|(index, _)| !lost.contains(index));
            let credentials = kept.map(|(_, credential)| credential.clone()).collect();
            Arc::new(Consumer { username: Arc::clone(&consumer.username), groups: consumer.groups.clone(), credentials })
        });
    }
    Arc::new(Directory::new(consumers))
}

impl<'c> Mark<'c> {
    fn of(credential: &'c Credential) -> Self {
        match credential {
            Credential::KeyAuth(key) => Self::Key(*key),
            Credential::BasicAuth { username, .. } => Self::Name(username),
            Credential::Jwt { issuer, subject } => Self::Subject(issuer, subject),
        }
    }
}

/// A credential whose Secret is missing is none: its consumer goes on with the others.
fn read<'o>(declared: &'o DeclaredConsumer, profile: &auth::Profile, secrets: &Secrets<'_>, findings: &mut Vec<Finding>) -> Read<'o> {
    let (mut credentials, mut fields) = (Vec::new(), Vec::new());
    for (index, credential) in profile.credentials.iter().enumerate() {
        match self::credential(credential, &declared.key.namespace, &format!("spec.credentials[{index}]"), secrets) {
            Ok(credential) => {
                credentials.push(credential);
                fields.push(index);
            }
            Err(finding) => findings.push(finding),
        }
    }
    let consumer = Consumer { username: profile.username.as_str().into(), groups: profile.groups.clone(), credentials };
    Read { declared, consumer: Arc::new(consumer), fields }
}

fn credential(credential: &auth::Credential, namespace: &str, field: &str, secrets: &Secrets<'_>) -> Result<Credential, Finding> {
    match credential {
        auth::Credential::Key(auth::SecretKey { name, key }) => {
            let field = format!("{field}.keyAuth.secretRef");
            let value = secrets.value(namespace, name, key, &field)?;
            ApiKey::of_secret(value).map(Credential::KeyAuth).map_err(|fault| secret::invalid(namespace, name, key, &field, fault))
        }
        auth::Credential::Password(name) => {
            let field = format!("{field}.basicAuth.secretRef");
            let username = secrets.value(namespace, name, "username", &field)?;
            let username = std::str::from_utf8(username).map(str::trim).ok().filter(|text| !text.is_empty() && !text.contains(':'));
            let no_name = || secret::invalid(namespace, name, "username", &field, "is no name: it is empty, has a colon or is not UTF-8");
            let username = username.ok_or_else(no_name)?.to_owned();
            let password = secrets.value(namespace, name, "password", &field)?;
            let hash = PasswordHash::parse(password).map_err(|fault| secret::invalid(namespace, name, "password", &field, fault))?;
            Ok(Credential::BasicAuth { username, hash })
        }
        auth::Credential::Token { issuer, subject } => Ok(Credential::Jwt { issuer: issuer.clone(), subject: subject.clone() }),
    }
}
