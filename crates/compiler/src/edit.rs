//! The edits that finalise a route (S10): without the release it does then what the canary does.

use crate::Key;
use crate::backends::{Backends, Part, Target};
use crate::canary;
use crate::declared::Sides;
use crate::ingress::Place;
use crate::outcome::Edit;
use crate::unresolved::and;
use serin_api::release::{Host, PodSelector, Workload};
use serin_routing::config::{PathMatch, PathRewrite};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What makes the route do what `canary` does: a command for a shell, or words for whoever edits the file.
///
/// Names come from objects that others write, so only plain ones stand in it as they are: a pasted line runs nothing but kubectl.
pub(crate) fn edits(place: &Arc<Place>, canary: &Arc<Target>, sides: Sides<'_>, backends: &Backends<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    if let Part::Selected(pods) = &canary.part {
        let text = self::pods(canary, pods, backends.standalone);
        edits.push(Edit::new(format!("Service/{}", canary.service), text));
    }
    if let Part::Outside(host) = &canary.part {
        let text = outside(canary, host, backends.standalone);
        edits.push(Edit::new(format!("Service/{}", canary.service), text));
    }
    let mut first = None;
    if sides.rewrites() {
        match policy_path(place, sides) {
            Some(path) if backends.path(&canary.service).unwrap_or_default() == path => {}
            Some(path) => edits.push(policy(&canary.service, &path, backends)),
            None => first = Some(TAKE_THE_PATH),
        }
    }
    let whole = Target { part: Part::Whole, ..Target::clone(canary) };
    // The Service that the route names becomes the host's alias.
    let stays = matches!(canary.part, Part::Outside(_));
    let text = if place.target.as_deref() != Some(&whole) && !stays {
        Some(Text::Route { first, place: Arc::clone(place), canary: Arc::clone(canary), in_files: backends.standalone })
    } else {
        first.map(|first| Text::Written(first.to_owned()))
    };
    edits.extend(text.map(|text| Edit { object: Arc::clone(&place.object), text }));
    edits
}

/// What an edit says. Those of routes are many, and few of them are ever read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Text {
    Written(String),
    /// Of the Ingress, behind what is to be done first.
    Route {
        first: Option<&'static str>,
        place: Arc<Place>,
        canary: Arc<Target>,
        in_files: bool,
    },
}

const TAKE_THE_PATH: &str = "# The release rewrites the path, which neither an Ingress nor a BackendPolicy can here: first let the canary's Service take the path as it comes.";

impl Text {
    pub(crate) fn told(&self) -> Cow<'_, str> {
        match self {
            Self::Written(text) => text.into(),
            Self::Route { first, place, canary, in_files } => {
                let edit = if *in_files { words(place, canary) } else { patch(place, canary) };
                first.iter().copied().chain([&*edit]).collect::<Vec<_>>().join("\n").into()
            }
        }
    }
}

/// What a BackendPolicy must put before paths, so that this route does by itself what the canary's rewrite does; empty when that is nothing.
/// `None`: no policy can, since it takes nothing away from a path.
pub(crate) fn policy_path(place: &Place, sides: Sides<'_>) -> Option<String> {
    let rewrite = canary::path(sides.canary?).ok()??;
    let (to, taken) = match (&rewrite, &place.takes.1) {
        (PathRewrite::Prefix(to), PathMatch::Prefix(taken) | PathMatch::Exact(taken)) => (to, taken),
        (PathRewrite::Full(to), PathMatch::Exact(taken)) => (to, taken),
        (PathRewrite::Full(_), PathMatch::Prefix(_)) => return None,
    };
    let before = to.trim_end_matches('/').strip_suffix(taken.trim_end_matches('/'))?;
    (before.is_empty() || before.starts_with('/')).then(|| before.to_owned())
}

/// The BackendPolicy that puts a path before those of a Service: a new one, or the one that is there.
fn policy(service: &Key, path: &str, backends: &Backends<'_>) -> Edit {
    let there = backends.policies.get(&(service.namespace.as_str(), service.name.as_str())).map(|(key, _)| *key);
    let key = there.unwrap_or(service);
    // Nothing of a canonical path ends a quote of the shell's but this.
    let path = format!("\"{}\"", path.replace('\'', "%27"));
    let (namespace, name, to) = (plain(&key.namespace), plain(&key.name), plain(&service.name));
    let text = match (backends.standalone, there) {
        (true, Some(_)) => format!("Set spec.path to {path}"),
        (true, None) => format!("Add a BackendPolicy with spec {{service: {to}, path: {path}}}"),
        (false, Some(_)) => format!("kubectl -n {namespace} patch backendpolicy {name} --type=merge -p '{{spec: {{path: {path}}}}}'"),
        (false, None) => format!(
            "echo '{{apiVersion: serin.dev/v1alpha1, kind: BackendPolicy, metadata: {{name: {name}}}, spec: {{service: {to}, path: {path}}}}}' | kubectl -n {namespace} apply -f -"
        ),
    };
    Edit::new(format!("BackendPolicy/{key}"), text)
}

/// The images of stable's workload (S10): then the canary's is free for the next revision, and the release stays.
pub(crate) fn images(namespace: &str, stable: &Workload, images: &BTreeMap<String, String>, in_files: bool) -> Edit {
    let name = kept(&stable.name, &['-', '.']);
    let all = images.iter().map(|(container, image)| (kept(container, &['-']), kept(image, &['-', '.', '_', '/', ':', '@'])));
    let text = if in_files {
        let images: Vec<_> = all.map(|(container, image)| format!("of container {container} to {image}")).collect();
        format!("Set the image {}", and(&images))
    } else {
        let images: Vec<_> = all.map(|(container, image)| format!("{container}={image}")).collect();
        let (kind, namespace) = (stable.kind.word().to_ascii_lowercase(), kept(namespace, &['-']));
        format!("kubectl -n {namespace} set image {kind}/{name} {}", images.join(" "))
    };
    Edit::new(format!("{}/{namespace}/{}", stable.kind, stable.name), text)
}

/// The Service's selector, so that it reaches the canary's pods only. What deleting the release before that would do is said first (S11).
fn pods(canary: &Target, pods: &PodSelector, in_files: bool) -> String {
    let warning = "# Before this edit, deleting the release spreads its requests over all pods of the Service.\n";
    let Some(labels) = pods.labels() else {
        return format!("{warning}# A Service selects by labels only: give spec.selector one that the canary's pods alone have.");
    };
    let labels: Vec<_> = labels.into_iter().map(|(key, value)| format!("{}: {}", label(key), label(value))).collect();
    let (labels, namespace, name) = (labels.join(", "), plain(&canary.service.namespace), plain(&canary.service.name));
    if in_files {
        return format!("{warning}Add {{{labels}}} to spec.selector");
    }
    format!("{warning}kubectl -n {namespace} patch service {name} --type=merge -p '{{spec: {{selector: {{{labels}}}}}}}'")
}

/// The Service as an alias of the host.
fn outside(canary: &Target, host: &Host, in_files: bool) -> String {
    let (namespace, name, port) = (plain(&canary.service.namespace), plain(&canary.service.name), canary.port);
    let alias = format!("type: ExternalName, externalName: {}", plain(&host.name.to_string()));
    let port = format!("# The targetPort of the port that routes name must be {port}.");
    if in_files {
        return format!("{port}\nSet {{{alias}}} in spec");
    }
    format!("{port}\nkubectl -n {namespace} patch service {name} --type=merge -p '{{spec: {{{alias}}}}}'")
}

fn words(place: &Place, canary: &Target) -> String {
    let (field, service, port) = (&place.field, plain(&canary.service.name), canary.port);
    format!("Set {field} to {{service: {{name: {service}, port: {{number: {port}}}}}}}")
}

/// The `test` keeps it from changing another path, when the rules have been reordered since.
fn patch(place: &Place, canary: &Target) -> String {
    let (namespace, name, service) = (plain(&place.ingress.namespace), plain(&place.ingress.name), plain(&canary.service.name));
    let pointer = place.field.replace('[', "/").replace(']', "").replace('.', "/");
    let (port, before) = (canary.port, plain(place.service.as_deref().unwrap_or_default()));
    format!(
        "kubectl -n {namespace} patch ingress {name} --type=json -p '\n\
         - {{op: test, path: /{pointer}/service/name, value: {before}}}\n\
         - {{op: replace, path: /{pointer}/service, value: {{name: {service}, port: {{number: {port}}}}}}}'"
    )
}

/// A name as it may stand in a shell word and in YAML.
fn plain(name: &str) -> String {
    let kept = kept(name, &['-', '.']);
    let kept = kept.trim_start_matches('-');
    // YAML makes numbers, booleans and nulls of some names, such as `1e3` and `on`.
    let ambiguous = ["", "y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&kept);
    if ambiguous || !kept.starts_with(|c: char| c.is_ascii_alphabetic()) { format!("\"{kept}\"") } else { kept.to_owned() }
}

/// A label's key or value as it may stand between single quotes of a shell, as text of YAML.
fn label(text: &str) -> String {
    format!("\"{}\"", kept(text, &['-', '.', '_', '/']))
}

fn kept(text: &str, signs: &[char]) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || signs.contains(&c) { c } else { '_' }).collect()
}
