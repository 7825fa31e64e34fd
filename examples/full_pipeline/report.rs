//! What a run did: tables for people, one line of JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;
use telemetra::livestream::generate::{Generator, GroundTruth, Score, score};
use telemetra::prelude::*;

use crate::common::show::{clock, grouped};
use crate::common::usage::Usage;
use crate::settings::Settings;
use crate::tally::Counts;

pub(crate) struct Outcome {
    pub(crate) fates: Fates,
    pub(crate) counts: Counts,
    /// How many events were read before a restart.
    pub(crate) before: u64,
    /// By type, where moments were planted.
    pub(crate) scores: Option<BTreeMap<Arc<str>, Score>>,
    /// Records of Kafka that were removed before they were read, and passed over.
    pub(crate) lost: u64,
    pub(crate) wall: Duration,
    pub(crate) usage: Usage,
}

/// Holds the moments found against those planted; `None` where nothing was.
pub(crate) fn scores(settings: &Settings, counts: &Counts) -> Option<BTreeMap<Arc<str>, Score>> {
    if !settings.is_scored() {
        return None;
    }
    let mut planted = Generator::new(settings.generator.clone()).ok()?.planted();
    // A run that was interrupted has seen the moments that began a window ago.
    let seen = |begun: EventTime| counts.time.is_some_and(|time| begun.plus(settings.window) <= time);
    planted.retain(|moment| seen(moment.started_at));
    let truth = GroundTruth { planted, ..GroundTruth::default() };
    // A window keeps what it saw until it ends.
    Some(score(&truth, counts.found.values(), settings.window))
}

fn table<const N: usize>(head: [&str; N], left: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(head);
    for (index, column) in table.column_iter_mut().enumerate() {
        let alignment = if left.contains(&index) { CellAlignment::Left } else { CellAlignment::Right };
        column.set_cell_alignment(alignment);
    }
    table
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

impl Outcome {
    /// Over all types.
    fn total(&self) -> Option<Score> {
        let add = |sum: Score, score: &Score| Score {
            planted: sum.planted + score.planted,
            recalled: sum.recalled + score.recalled,
            found: sum.found + score.found,
            correct: sum.correct + score.correct,
        };
        self.scores.as_ref().map(|scores| scores.values().fold(Score::default(), add))
    }

    /// For people.
    pub(crate) fn text(&self, settings: &Settings) -> String {
        let mut text = format!("{}\n{}\n\n", self.events(), self.identity());
        let Counts { windows, corrections, withdrawn, .. } = &self.counts;
        if self.lost > 0 {
            text +=
                &format!("{} records were removed from Kafka before they were read\n\n", grouped(self.lost));
        }
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            text,
            "{} rows of windows, {} times corrected; {} rows withdrawn\n{}",
            grouped(*windows),
            grouped(*corrections),
            grouped(*withdrawn),
            self.moments()
        );
        if let Some(total) = self.total() {
            let _ = writeln!(
                text,
                "{} moments were not planted: chance, among the judgements of {} windows by each rule; --threshold \
                 above {} finds fewer",
                grouped(self.counts.moments.saturating_sub(total.planted)),
                grouped(*windows),
                settings.threshold,
            );
        }
        if !self.counts.busiest.is_empty() {
            let mut busiest = table(["busiest streams", "messages in a window", "that ends at"], &[0]);
            for (messages, stream, end) in &self.counts.busiest {
                busiest.add_row([stream.to_string(), grouped(*messages), clock(*end)]);
            }
            let _ = writeln!(text, "{busiest}");
        }
        let (wall, cpu) = (self.wall.as_secs_f64(), self.usage.cpu_seconds);
        // In this run: the time is its own, and so have to be the events.
        let read = self.fates.read.saturating_sub(self.before);
        let rate = |seconds: f64| grouped((read as f64 / seconds.max(0.001)) as u64);
        let _ = writeln!(
            text,
            "\n{} events in {wall:.2} s: {} a second, {} a second of processor time ({cpu:.2} s)\n\
             {} MiB of memory at most, {} × {} workers",
            grouped(read),
            rate(wall),
            rate(cpu),
            self.usage.peak_rss_bytes >> 20,
            settings.processes,
            settings.workers,
        );
        let mut outputs: Vec<_> = settings.outputs.iter().map(ToString::to_string).collect();
        if settings.postgres.host.is_some() {
            outputs.push(format!("Postgres at {}", settings.postgres.place()));
        }
        let _ = writeln!(text, "written to {}", outputs.join(", "));
        text
    }

    fn events(&self) -> Table {
        let mut events = table(["events", "count", "share"], &[0]);
        for fate in Fate::ALL {
            let count = self.fates.of(fate);
            let share = (self.fates.read > 0).then(|| count as f64 / self.fates.read as f64);
            events.add_row([fate.to_string(), grouped(count), percent(share)]);
        }
        events.add_row(["read".to_owned(), grouped(self.fates.read), String::new()]);
        events
    }

    fn identity(&self) -> String {
        let sum = Fate::ALL.map(|fate| self.fates.of(fate)).iter().sum();
        let names = Fate::ALL.map(Fate::as_str).join(" + ");
        if self.fates.is_balanced() {
            format!("read = {names}: nothing vanished")
        } else {
            format!("read = {}, but {names} = {}: this is a defect", grouped(self.fates.read), grouped(sum))
        }
    }

    fn moments(&self) -> Table {
        let Some(scores) = &self.scores else {
            let mut moments = table(["moments", "found"], &[0]);
            for (moment_type, found) in &self.counts.moments_by_type {
                moments.add_row([moment_type.to_string(), grouped(*found)]);
            }
            moments.add_row(["all".to_owned(), grouped(self.counts.moments)]);
            return moments;
        };
        let mut moments = table(["moments", "found", "planted", "recall", "precision"], &[0]);
        let total = self.total().unwrap_or_default();
        for (name, score) in scores.iter().map(|(name, score)| (&**name, score)).chain([("all", &total)]) {
            let (recall, precision) = (percent(score.recall()), percent(score.precision()));
            moments.add_row([
                name.to_owned(),
                grouped(score.found),
                grouped(score.planted),
                recall,
                precision,
            ]);
        }
        moments
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let Fates { read, on_time, late_applied, too_late, malformed, from_future, duplicate } = self.fates;
        let Counts { windows, moments, corrections, withdrawn, .. } = &self.counts;
        let mut object = json!({
            "read": read, "on_time": on_time, "late_applied": late_applied, "too_late": too_late,
            "malformed": malformed, "from_future": from_future, "duplicate": duplicate,
            "lost_records": self.lost, "windows": windows, "moments": moments, "corrections": corrections, "withdrawn": withdrawn,
            "read_before": self.before,
            "wall_seconds": self.wall.as_secs_f64(),
            "cpu_seconds": self.usage.cpu_seconds,
            "peak_rss_bytes": self.usage.peak_rss_bytes,
        });
        if let Some(total) = self.total() {
            object["planted"] = json!(total.planted);
            object["recall"] = json!(total.recall());
            object["precision"] = json!(total.precision());
        }
        object.to_string()
    }
}
