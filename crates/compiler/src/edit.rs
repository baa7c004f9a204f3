//! The edit that finalises a route (S10): its backend becomes what the canary is.

use crate::backends::Target;
use crate::ingress::Place;

/// What points the route's backend at `canary`: a command for a shell, or words for whoever edits the file.
///
/// Names come from objects that others write, so only plain ones stand in it as they are: a pasted line runs nothing but kubectl.
/// The `test` keeps it from changing another path, when the rules have been reordered since.
pub(crate) fn edit(place: &Place, canary: &Target, rewrites: bool, in_files: bool) -> String {
    let mut text = String::new();
    if rewrites {
        text.push_str(
            "# The release rewrites the path, which an Ingress cannot: first let the canary's Service take the path as it comes.",
        );
    }
    if place.target.as_ref() != Some(canary) {
        if rewrites {
            text.push('\n');
        }
        text.push_str(&if in_files { words(place, canary) } else { patch(place, canary) });
    }
    text
}

fn words(place: &Place, canary: &Target) -> String {
    let (field, service, port) = (&place.field, plain(&canary.service.name), canary.port);
    format!("Set {field} to {{service: {{name: {service}, port: {{number: {port}}}}}}}")
}

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
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let kept: String = name.chars().map(|c| if may_stand(c) { c } else { '_' }).collect();
    let kept = kept.trim_start_matches('-');
    // YAML makes numbers, booleans and nulls of some names, such as `1e3` and `on`.
    let ambiguous = ["", "y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&kept);
    if ambiguous || !kept.starts_with(|c: char| c.is_ascii_alphabetic()) { format!("\"{kept}\"") } else { kept.to_owned() }
}
