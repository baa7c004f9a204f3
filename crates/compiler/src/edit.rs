//! The edits that finalise a route (S10): without the release it does then what the canary does.

use crate::backends::{Part, Target};
use crate::ingress::Place;
use crate::outcome::Edit;
use crate::unresolved::and;
use serin_api::release::{PodSelector, Workload};
use std::collections::BTreeMap;

/// What makes the route do what `canary` does: a command for a shell, or words for whoever edits the file.
///
/// Names come from objects that others write, so only plain ones stand in it as they are: a pasted line runs nothing but kubectl.
pub(crate) fn edits(place: &Place, canary: &Target, rewrites: bool, in_files: bool) -> Vec<Edit> {
    let mut edits = Vec::new();
    if let Part::Selected(pods) = &canary.part {
        let text = self::pods(canary, pods, in_files);
        edits.push(Edit { object: format!("Service/{}", canary.service), text });
    }
    let whole = Target { part: Part::Whole, ..canary.clone() };
    let mut text = String::new();
    if rewrites {
        text.push_str(
            "# The release rewrites the path, which an Ingress cannot: first let the canary's Service take the path as it comes.",
        );
    }
    if place.target.as_ref() != Some(&whole) {
        if rewrites {
            text.push('\n');
        }
        text.push_str(&if in_files { words(place, canary) } else { patch(place, canary) });
    }
    if !text.is_empty() {
        edits.push(Edit { object: place.object(), text });
    }
    edits
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
    Edit { object: format!("{}/{namespace}/{}", stable.kind, stable.name), text }
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
