//! The path of a Kong Service, which a BackendPolicy puts before that of each request.

use super::build::Build;
use super::entities::Service;
use crate::Document;
use serin_api::BackendPolicy;
use serin_api::spec::BackendPolicySpec;
use std::collections::BTreeMap;

/// The longest path that serin sends.
const LONGEST: usize = 1024;

/// The path of a Kong Service, when it has one that does anything.
pub(super) fn of(service: &Service) -> Option<&str> {
    service.path.as_deref().filter(|path| !path.trim_matches('/').is_empty())
}

/// A path as it is sent: visible ASCII, and neither query nor fragment; `None` for what is too long.
pub(super) fn sent(path: &str) -> Option<String> {
    let mut sent = if path.starts_with('/') { String::new() } else { "/".to_owned() };
    for byte in path.bytes() {
        match byte {
            b'?' | b'#' => sent.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => sent.push(char::from(byte)),
            other => sent.push_str(&format!("%{other:02X}")),
        }
    }
    (sent.len() <= LONGEST).then_some(sent)
}

/// A BackendPolicy for each Service whose requests get a path before theirs, of both sides.
pub(super) fn policies(build: &mut Build<'_>, documents: &mut Vec<Document>) {
    let mut made: BTreeMap<(Option<String>, String), Option<String>> = BTreeMap::new();
    let stable: Vec<(String, usize)> = (0..build.kong.services.len()).map(|service| (build.service(service), service)).collect();
    for (name, service) in stable.into_iter().chain(build.below.clone()) {
        let found = &build.kong.services[service];
        let path = of(found).and_then(|path| sent(path.trim_end_matches('/')));
        if path.is_none() && of(found).is_some() {
            build.notes.decide(&found.at, "path", "It has more than 1024 bytes, the most that serin sends. It is left out.");
        }
        let key = (build.namespace(build.place_of(service)), name);
        if let Some(before) = made.get(&key) {
            if *before != path {
                let message =
                    format!("Service {} of the cluster has one path for all its requests, and another Kong Service gave it one.", key.1);
                build.notes.decide(&found.at, "path", message);
            }
            continue;
        }
        made.insert(key.clone(), path.clone());
        if path.is_some() {
            let (namespace, service) = key;
            let mut policy =
                BackendPolicy::new(&service, BackendPolicySpec { service: service.clone(), path, ..BackendPolicySpec::default() });
            policy.metadata.namespace = namespace;
            documents.push(Document::new(found.at.object.as_ref(), &policy));
        }
    }
}
