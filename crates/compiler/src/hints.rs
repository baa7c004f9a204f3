//! Why no route takes part in a release, as a sentence that names the near misses.

use crate::backends::{and, similar};
use crate::class::Class;
use crate::declared::Sides;
use crate::ingress::{Lowered, Place, services};
use crate::{Key, Objects};
use serin_api::release::{RouteScope, Scope};
use serin_api::{Condition, Finding, reason};

/// So many near misses are named; a namespace may have thousands.
const MOST: usize = 3;

/// The finding of a release that no route of ours takes part in.
pub(crate) fn no_route(sides: Sides<'_>, objects: &Objects, lowered: &Lowered) -> Finding {
    let Sides { namespace, scope, .. } = sides;
    let message = match (&scope.route, &scope.service) {
        (Some(route), _) => of_route(namespace, route, scope, objects, lowered),
        (None, Some(service)) => of_service(namespace, service, objects, lowered),
        (None, None) => of_namespace(namespace, objects, lowered),
    };
    let field = if scope.route.is_some() { "spec.scope.route" } else { "spec.scope" };
    Finding { condition: Condition::Programmed, reason: reason::NO_ROUTE, field: field.into(), message }
}

fn of_route(namespace: &str, route: &RouteScope, scope: &Scope, objects: &Objects, lowered: &Lowered) -> String {
    let key = Key::new(namespace, &*route.name);
    if !objects.ingresses.contains_key(&key) {
        let names = objects.ingresses.keys().filter(|other| other.namespace == namespace).map(|other| other.name.as_str());
        return match similar(&route.name, names) {
            Some(name) => format!("Ingress {key} does not exist. Did you mean {name}?"),
            None => format!("Ingress {key} does not exist. Create it, or name another."),
        };
    }
    if let Some(why) = lowered.not_ours.get(&key).and_then(Class::why_not_ours) {
        return format!("Ingress {key} is not served by serin: {why}.");
    }
    let of_it = || lowered.places.iter().filter(|place| place.ingress == key);
    let named = |place: &&Place| {
        route.host.as_ref().is_none_or(|host| *host == place.host) && route.path.as_ref().is_none_or(|path| *path == place.path)
    };
    let service = of_it().filter(named).find_map(|place| place.service.as_deref());
    match (service, &scope.service) {
        (Some(service), Some(wanted)) => format!("Ingress {key} sends to Service {service} there, and not to {wanted}."),
        _ => {
            let texts = of_it().filter(|place| !place.path.is_empty() || !place.host.is_empty());
            let has = few(texts.map(|place| format!("{}{}", if place.host.is_empty() { "*" } else { &place.host }, place.path)));
            format!("Ingress {key} serves no such host and path; they are compared letter by letter. It serves {has}.")
        }
    }
}

fn of_service(namespace: &str, service: &str, objects: &Objects, lowered: &Lowered) -> String {
    let misses = others(namespace, lowered).filter_map(|(key, class)| {
        let sends = services(objects.ingresses.get(key)?).any(|other| other == service);
        Some(format!("Ingress {key} does, but {}.", class.why_not_ours().filter(|_| sends)?))
    });
    let mut message = format!("No Ingress of serin's class sends to Service {namespace}/{service}.");
    for miss in misses.take(MOST) {
        message.push(' ');
        message.push_str(&miss);
    }
    message
}

fn of_namespace(namespace: &str, objects: &Objects, lowered: &Lowered) -> String {
    let misses = others(namespace, lowered).filter_map(|(key, class)| {
        objects.ingresses.get(key)?;
        Some(format!("Ingress {key} is there, but {}.", class.why_not_ours()?))
    });
    let mut message = format!("Namespace {namespace} has no route of serin's class.");
    for miss in misses.take(MOST) {
        message.push(' ');
        message.push_str(&miss);
    }
    message
}

fn others<'l>(namespace: &'l str, lowered: &'l Lowered) -> impl Iterator<Item = (&'l Key, &'l Class)> {
    lowered.not_ours.range(Key::new(namespace, "")..).take_while(move |(key, _)| key.namespace == namespace)
}

fn few(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.collect();
    let more = texts.len().saturating_sub(MOST);
    if more > 0 {
        texts.truncate(MOST);
        texts.push(format!("{more} more"));
    }
    and(&texts)
}
