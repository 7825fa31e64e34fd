//! The report of a run: lines for people, one line of JSON for programs, and a file with the ground truth for
//! tests.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::common::sender::Delivered;
use crate::common::show::grouped;
use crate::common::usage::Usage;
use crate::options::Settings;
use crate::run::Sent;

pub(crate) struct Outcome<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) sent: &'a Sent,
    pub(crate) delivered: &'a Delivered,
    pub(crate) wall: Duration,
}

impl Outcome<'_> {
    fn delivered(&self) -> u64 {
        self.delivered.by_topic.values().sum()
    }

    pub(crate) fn failed(&self) -> u64 {
        self.delivered.failed.values().sum()
    }

    /// The report as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail, neither here nor below.
        let mut line = |what: &str, count: u64| {
            let _ = writeln!(text, "{:>14}  {what}", grouped(count));
        };
        for (topic, count) in &self.delivered.by_topic {
            line(&format!("delivered to {topic}"), *count);
        }
        for ((topic, reason), count) in &self.delivered.failed {
            line(&format!("not delivered to {topic}: {reason}"), *count);
        }
        if self.sent.undelivered > 0 {
            line("on their way when patience ended", self.sent.undelivered);
        }
        let fates = &self.sent.truth.fates;
        line("made", fates.read);
        for (what, count) in [
            ("of these malformed", fates.malformed),
            ("of these from the future", fates.from_future),
            ("of these twice", fates.duplicate),
        ] {
            line(what, count);
        }
        let seconds = self.wall.as_secs_f64();
        let _ = write!(
            text,
            "{} moments planted; seed {}, from {}\n{} records a second over {seconds:.2} s, {:.2} s of processor time",
            self.sent.truth.planted.len(),
            self.settings.generator.seed,
            self.settings.generator.start,
            grouped((self.delivered() as f64 / seconds.max(0.001)) as u64),
            Usage::now().cpu_seconds,
        );
        text
    }

    /// The report as one line of JSON.
    pub(crate) fn json(&self) -> String {
        let usage = Usage::now();
        let mut object = self.truth();
        object["wall_seconds"] = json!(self.wall.as_secs_f64());
        object["cpu_seconds"] = json!(usage.cpu_seconds);
        object["peak_rss_bytes"] = json!(usage.peak_rss_bytes);
        if let Value::Object(fields) = &mut object {
            fields.remove("settings");
            fields.remove("planted");
        }
        object.to_string()
    }

    /// The counts of generated and delivered records, and the settings that reproduce them.
    fn truth(&self) -> Value {
        let failed = |((topic, reason), count): (&(String, String), &u64)| json!({"topic": topic, "reason": reason, "count": count});
        json!({
            "made": self.sent.truth.fates.read,
            "delivered": self.delivered(),
            "failed": self.failed(),
            "undelivered": self.sent.undelivered,
            "by_topic": self.delivered.by_topic,
            "failures": self.delivered.failed.iter().map(failed).collect::<Vec<_>>(),
            "fates": self.sent.truth.fates,
            "events": self.sent.truth.events,
            "seed": self.settings.generator.seed,
            "start": self.settings.generator.start.to_string(),
            "end": self.sent.reached.map(|reached| reached.to_string()),
            "interrupted": self.sent.interrupted,
            "planted": self.sent.truth.planted,
            "settings": self.settings.generator,
        })
    }

    /// Writes the ground truth to a file, completely or not at all.
    pub(crate) fn write_truth(&self, file: &Path) -> Result<()> {
        let failed = || format!("could not write what was made to {}", file.display());
        let text = serde_json::to_vec_pretty(&self.truth()).with_context(failed)?;
        let beside = file.with_extension("tmp");
        std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, file)).with_context(failed)
    }
}
