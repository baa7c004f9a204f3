//! Releases as `kubectl get` shows them, and as `watch` draws them.

use jiff::Timestamp;
use serde_json::Value;

const COLUMNS: [&str; 9] = ["NAMESPACE", "NAME", "PHASE", "WEIGHT", "MEASURED", "STEP", "VERDICT", "AGE", "MESSAGE"];

/// How wide the bar of a weight is.
const BAR: usize = 40;

/// The columns of the CRD, in its order, with the namespace before them.
pub(crate) fn render(releases: &[Value], now: Timestamp) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(COLUMNS);
    for release in releases {
        table.add_row(row(release, now));
    }
    let lines = table.lines().map(|line| line.trim().to_owned() + "\n");
    lines.collect()
}

/// Progress of each release: a bar, and what is so.
pub(crate) fn draw(releases: &[Value], now: Timestamp) -> String {
    if releases.is_empty() {
        return "No releases found.\n".to_owned();
    }
    releases.iter().map(|release| bar(release, now)).collect::<Vec<_>>().join("\n")
}

/// The lines of `drawn` that `last` did not have, with the header only the first time.
pub(crate) fn new_lines(last: &str, drawn: &str) -> String {
    drawn.lines().filter(|line| !last.lines().any(|old| old == *line)).map(|line| format!("{line}\n")).collect()
}

fn row(release: &Value, now: Timestamp) -> [String; 9] {
    let [namespace, name] = ["/metadata/namespace", "/metadata/name"].map(|pointer| text(release, pointer));
    let [phase, weight, measured] = ["/status/phase", "/status/weight", "/status/measured/weight"].map(|pointer| text(release, pointer));
    let [step, verdict, message] =
        ["/status/step/label", "/status/analysis/verdict", "/status/message"].map(|pointer| text(release, pointer));
    [namespace, name, phase, weight, measured, step, verdict, age(release, now), message]
}

fn bar(release: &Value, now: Timestamp) -> String {
    let [namespace, name, phase, weight, measured, step, verdict, age, message] = row(release, now);
    let share = weight.parse::<f64>().unwrap_or(0.0).clamp(0.0, 100.0) / 100.0;
    let filled = (share * BAR as f64) as usize;
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR - filled));
    format!(
        "{namespace}/{name}  {phase}\n  [{bar}] {weight} %  (measured {measured}, step {step}, verdict {verdict}, age {age})\n  {message}\n"
    )
}

fn text(release: &Value, pointer: &str) -> String {
    release.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty()).unwrap_or("-").to_owned()
}

/// As kubectl writes it: the largest unit that is at least 2, roughly.
fn age(release: &Value, now: Timestamp) -> String {
    let created = release.pointer("/metadata/creationTimestamp").and_then(Value::as_str).and_then(|t| t.parse::<Timestamp>().ok());
    let Some(seconds) = created.map(|created| now.duration_since(created).as_secs().max(0)) else { return "-".to_owned() };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn release(weight: &str, message: &str) -> Value {
        json!({
            "metadata": {"namespace": "shop", "name": "checkout", "creationTimestamp": "2026-11-23T10:00:00Z"},
            "status": {"phase": "Progressing", "weight": weight, "step": {"label": "2/5"}, "message": message},
        })
    }

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    #[test]
    fn a_row_shows_what_the_crd_shows() {
        let text = render(&[release("25", "Holds 25 % until 10:30.")], at("2026-11-23T10:03:00Z"));
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], COLUMNS);
        assert_eq!(lines[1], ["shop", "checkout", "Progressing", "25", "-", "2/5", "-", "3m", "Holds", "25", "%", "until", "10:30."]);
    }

    #[test]
    fn watch_without_a_terminal_tells_only_what_is_new() {
        let (a, b) = (render(&[release("1", "a")], at("2026-11-23T10:03:00Z")), render(&[release("2", "a")], at("2026-11-23T10:03:00Z")));
        assert_eq!(new_lines("", &a), a);
        assert_eq!(new_lines(&a, &b).lines().count(), 1);
    }

    #[test]
    fn a_bar_is_as_long_as_the_weight() {
        assert!(draw(&[release("50", "")], at("2026-11-23T10:03:00Z")).contains(&format!("[{}{}]", "#".repeat(20), ".".repeat(20))));
        assert!(draw(&[release("junk", "")], at("2026-11-23T10:03:00Z")).contains(&".".repeat(40)));
    }
}
