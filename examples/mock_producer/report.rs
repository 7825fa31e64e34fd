//! The report of a run: sections for people, one line of JSON for programs, and a file with the ground truth for
//! tests.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::common::screen::page::{Page, Row};
use crate::common::sender::Delivered;
use crate::common::show::{count, grouped};
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

    /// The report as text, in the width of the terminal.
    pub(crate) fn text(&self) -> String {
        let (mut page, truth, generator) = (Page::new(), &self.sent.truth, &self.settings.generator);
        let fates = &truth.fates;
        page.head("Records");
        let streams = count(u64::from(generator.streams), "stream");
        page.say(&format!(
            "{} of {streams} made up, {} delivered to Kafka at {}.",
            count(fates.read, "record"),
            grouped(self.delivered()),
            self.settings.servers,
        ));
        let mut rows = Vec::new();
        for (topic, number) in &self.delivered.by_topic {
            rows.push(Row::new(topic, [grouped(*number)]));
        }
        for ((topic, reason), number) in &self.delivered.failed {
            rows.push(Row::new(format!("not delivered to {topic}: {reason}"), [grouped(*number)]));
        }
        if self.sent.undelivered > 0 {
            let label = "not delivered within the time of --flush-for";
            rows.push(Row::new(label, [grouped(self.sent.undelivered)]));
        }
        page.table(&rows);
        page.head("What is wrong with some, on purpose");
        page.table(&[
            Row::new("damaged", [grouped(fates.malformed)]),
            Row::new("dated in the future", [grouped(fates.from_future)]),
            Row::new("sent twice", [grouped(fates.duplicate)]),
        ]);
        page.head("Event time");
        let planted = match truth.planted.len() {
            0 => "No moments were planted for the pipeline to find.".to_owned(),
            1 => "1 moment was planted for the pipeline to find.".to_owned(),
            number => format!("{number} moments were planted for the pipeline to find."),
        };
        let until = self.sent.reached.map(|reached| format!(" to {reached}")).unwrap_or_default();
        page.say(&format!(
            "From {}{until}. {planted} The same again: --seed {} --start {}",
            generator.start, generator.seed, generator.start,
        ));
        if self.sent.interrupted {
            page.say("The run was stopped before its end.");
        }
        page.head("Cost");
        let seconds = self.wall.as_secs_f64();
        page.say(&format!(
            "{seconds:.2} s, {} records a second; {:.2} s of processor time.",
            grouped((self.delivered() as f64 / seconds.max(0.001)) as u64),
            Usage::now().cpu_seconds,
        ));
        page.say("What the words mean: docs/glossary.md");
        page.text()
    }

    /// The result in one line, for `--quiet`.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} delivered to Kafka at {}, {} not delivered",
            count(self.delivered(), "record"),
            self.settings.servers,
            grouped(self.failed() + self.sent.undelivered),
        )
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
