//! Why no route takes part in a release, as a sentence that names the near misses.

use crate::backends::Backends;
use crate::class::Class;
use crate::declared::Sides;
use crate::ingress::{Lowered, NEAR, Place};
use crate::objects::of_namespace;
use crate::unresolved::and;
use crate::{Key, Objects};
use serin_api::release::{RouteScope, Scope};
use serin_api::{Condition, Finding, reason};

/// The finding of a release that no route of ours takes part in.
pub(crate) fn no_route(sides: Sides<'_>, objects: &Objects, lowered: &Lowered, backends: &Backends<'_>) -> Finding {
    let Sides { namespace, scope, .. } = sides;
    let message = match (&scope.route, &scope.service) {
        (Some(route), _) => of_route(namespace, route, scope, objects, lowered, backends),
        (None, Some(service)) => of_service(&Key::new(namespace, service), lowered),
        (None, None) => of_all(namespace, lowered),
    };
    let field = if scope.route.is_some() { "spec.scope.route" } else { "spec.scope" };
    Finding { condition: Condition::Programmed, reason: reason::NO_ROUTE, field: field.into(), message }
}

fn of_route(namespace: &str, route: &RouteScope, scope: &Scope, objects: &Objects, lowered: &Lowered, backends: &Backends<'_>) -> String {
    let key = Key::new(namespace, &*route.name);
    if !objects.ingresses.contains_key(&key) {
        let names = of_namespace(&objects.ingresses, namespace).map(|(other, _)| other.name.as_str());
        return match backends.closest(&route.name, names) {
            Some(name) => format!("Ingress {key} does not exist. Did you mean {name}?"),
            None => format!("Ingress {key} does not exist. Create it, or name another."),
        };
    }
    if let Some(why) = lowered.not_ours.get(&key).and_then(Class::why_not_ours) {
        return format!("Ingress {key} is not served by serin: {why}.");
    }
    let of_it = || lowered.places.iter().map(AsRef::<Place>::as_ref).filter(|place| place.ingress == key);
    let named = |place: &&Place| {
        route.host.as_ref().is_none_or(|host| **host == *place.host) && route.path.as_ref().is_none_or(|path| **path == *place.path)
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

fn of_service(service: &Key, lowered: &Lowered) -> String {
    let mut message = format!("No Ingress of serin's class sends to Service {service}.");
    for key in lowered.near.get(service).into_iter().flatten() {
        if let Some(why) = lowered.not_ours.get(key).and_then(Class::why_not_ours) {
            message.push_str(&format!(" Ingress {key} does, but {why}."));
        }
    }
    message
}

fn of_all(namespace: &str, lowered: &Lowered) -> String {
    let mut message = format!("Namespace {namespace} has no route of serin's class.");
    for (key, class) in of_namespace(&lowered.not_ours, namespace).take(NEAR) {
        if let Some(why) = class.why_not_ours() {
            message.push_str(&format!(" Ingress {key} is there, but {why}."));
        }
    }
    message
}

fn few(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.collect();
    let more = texts.len().saturating_sub(NEAR);
    if more > 0 {
        texts.truncate(NEAR);
        texts.push(format!("{more} more"));
    }
    and(&texts)
}
