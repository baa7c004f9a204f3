//! What the control side knows, as Prometheus reads it.

use super::Engine;
use prometheus::{Counter, Encoder, GaugeVec, IntGauge, Opts, Registry, TextEncoder};
use serde_json::Value;

/// Every phase, so that a release's old one falls to 0.
const PHASES: [&str; 9] = ["Pending", "Scheduled", "Progressing", "Paused", "Steady", "Promoted", "Completed", "Aborted", "Disabled"];

impl Engine {
    /// Gauges of the table and of each release.
    pub fn metrics(&self) -> String {
        let text = || -> prometheus::Result<String> {
            let registry = Registry::new();
            let version = IntGauge::new("serin_table_version", "Tables that were built since the start.")?;
            version.set(i64::try_from(self.version).unwrap_or(i64::MAX));
            registry.register(Box::new(version))?;
            let help = "Seconds that building these tables and bringing them to every worker took together.";
            let publishing = Counter::new("serin_table_publish_seconds_total", help)?;
            publishing.inc_by(self.publishing.as_secs_f64());
            registry.register(Box::new(publishing))?;
            let gauges = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<GaugeVec> {
                let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(gauges.clone()))?;
                Ok(gauges)
            };
            let asked = gauges("serin_release_weight_asked", "Percent asked for.", &["namespace", "release"])?;
            let measured = gauges("serin_release_weight_measured", "Percent measured lately.", &["namespace", "release"])?;
            let phases =
                gauges("serin_release_phase", "1 for the phase of a release, 0 for all others.", &["namespace", "release", "phase"])?;
            for (key, tracked) in &self.releases {
                let shown = tracked.shown();
                let labels = [key.namespace.as_str(), key.name.as_str()];
                let number = |pointer| shown.pointer(pointer).and_then(Value::as_str).and_then(|text| text.parse::<f64>().ok());
                if let Some(weight) = number("/status/weight") {
                    asked.with_label_values(&labels).set(weight);
                }
                if let Some(weight) = number("/status/measured/weight") {
                    measured.with_label_values(&labels).set(weight);
                }
                for phase in PHASES {
                    let is = shown.pointer("/status/phase").and_then(Value::as_str) == Some(phase);
                    phases.with_label_values(&[labels[0], labels[1], phase]).set(f64::from(u8::from(is)));
                }
            }
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        text().unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be written");
            String::new()
        })
    }
}
