//! The report of a run: tables for people, one line of JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;
use telemetra::core::detect::Carried;
use telemetra::livestream::generate::{Generator, GroundTruth, Score, score};
use telemetra::ops::MomentsStatus;
use telemetra::prelude::*;

use crate::common::show::{clock, grouped};
use crate::common::usage::Usage;
use crate::settings::Settings;
use crate::tally::Counts;

pub(crate) struct Outcome {
    pub(crate) fates: Fates,
    pub(crate) counts: Counts,
    /// The number of moments that chance alone makes.
    pub(crate) comparison: Option<MomentsStatus>,
    /// The number of events that were read before a restart.
    pub(crate) before: u64,
    /// The scores by type, where moments were planted.
    pub(crate) scores: Option<BTreeMap<Arc<str>, Score>>,
    /// The number of Kafka records that were removed before they were read, and skipped.
    pub(crate) lost: u64,
    pub(crate) wall: Duration,
    pub(crate) usage: Usage,
}

/// Compares the trusted moments with the planted ones; `None` if none were planted.
pub(crate) fn scores(settings: &Settings, counts: &Counts) -> Option<BTreeMap<Arc<str>, Score>> {
    if !settings.is_scored() {
        return None;
    }
    let mut planted = Generator::new(settings.generator.clone()).ok()?.planted();
    // An interrupted run can have found only the moments that began at least a window ago.
    let seen = |begun: EventTime| counts.time.is_some_and(|time| begun.plus(settings.window) <= time);
    planted.retain(|moment| seen(moment.started_at));
    let truth = GroundTruth { planted, ..GroundTruth::default() };
    // A window contains its events until it ends.
    let trusted = counts.found.iter().filter(|(id, _)| counts.trusted.contains_key(*id));
    Some(score(&truth, trusted.map(|(_, moment)| moment), settings.window))
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

/// The number of things that the report says of a moment.
const CARRIED: usize = 3;

/// One thing that carried a moment, with what is usual: `emote Kappa 0.75 (0.02)`.
fn carried(carried: &Carried) -> String {
    let Carried { what, name, now, usual } = carried;
    let named = if name.is_empty() { what.to_string() } else { format!("{what} {name}") };
    let usual = usual.map_or_else(|| "-".to_owned(), |usual| short(usual.to_f64()));
    format!("{named} {} ({usual})", short(now.to_f64()))
}

/// A number with three digits at least.
fn short(number: f64) -> String {
    if number.abs() < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

impl Outcome {
    /// The score over all types.
    fn total(&self) -> Option<Score> {
        let add = |sum: Score, score: &Score| Score {
            planted: sum.planted + score.planted,
            recalled: sum.recalled + score.recalled,
            found: sum.found + score.found,
            correct: sum.correct + score.correct,
        };
        self.scores.as_ref().map(|scores| scores.values().fold(Score::default(), add))
    }

    /// The report as text.
    pub(crate) fn text(&self, settings: &Settings) -> String {
        let mut text = format!("{}\n{}\n\n", self.events(), self.identity());
        let Counts { windows, corrections, withdrawn, .. } = &self.counts;
        if self.lost > 0 {
            text +=
                &format!("{} records were removed from Kafka before they were read\n\n", grouped(self.lost));
        }
        // Writing to a string does not fail, neither here nor below.
        let _ = writeln!(
            text,
            "{} rows of windows, {} times corrected; {} rows withdrawn\n{}",
            grouped(*windows),
            grouped(*corrections),
            grouped(*withdrawn),
            self.moments()
        );
        let _ = writeln!(
            text,
            "{} moments have a chance of at most {}, of {} found at a threshold of {}; --chance 1 shows all",
            grouped(self.counts.trusted.len() as u64),
            settings.chance,
            grouped(self.counts.moments),
            settings.threshold,
        );
        if let Some(MomentsStatus { found_per_hour, expected_per_hour, until, .. }) = &self.comparison {
            let _ = writeln!(
                text,
                "in the last half hour to {}: {:.1} moments found per hour, {:.1} expected by chance alone",
                clock(*until),
                found_per_hour.to_f64(),
                expected_per_hour.to_f64(),
            );
        }
        if !self.counts.busiest.is_empty() {
            let mut busiest = table(["busiest streams", "messages in a window", "that ends at"], &[0]);
            for (messages, stream, end) in &self.counts.busiest {
                busiest.add_row([stream.to_string(), grouped(*messages), clock(*end)]);
            }
            let _ = writeln!(text, "{busiest}");
        }
        if !self.counts.strongest.is_empty() {
            let head = ["strongest moments", "stream", "peak at", "score", "what carried it (usually)"];
            let mut strongest = table(head, &[0, 1, 4]);
            for moment in &self.counts.strongest {
                let carried: Vec<_> = moment.carried.iter().take(CARRIED).map(carried).collect();
                let (stream, score) = (moment.key.to_string(), format!("{:.1}", moment.score.to_f64()));
                let (name, peak) = (moment.moment_type.to_string(), clock(moment.peak_at));
                strongest.add_row([name, stream, peak, score, carried.join(", ")]);
            }
            let _ = writeln!(text, "{strongest}");
        }
        let (wall, cpu) = (self.wall.as_secs_f64(), self.usage.cpu_seconds);
        // The figures are of this run: the elapsed time is its own, so the events must be too.
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
        let of_type = |moment_type: &str| {
            let trusted = self.counts.trusted.values().filter(|trusted| &***trusted == moment_type).count();
            let found = self.counts.moments_by_type.get(moment_type).copied().unwrap_or_default();
            [grouped(trusted as u64), grouped(found)]
        };
        let all = [grouped(self.counts.trusted.len() as u64), grouped(self.counts.moments)];
        let Some(scores) = &self.scores else {
            let mut moments = table(["moments", "trusted", "found"], &[0]);
            for moment_type in self.counts.moments_by_type.keys() {
                let [trusted, found] = of_type(moment_type);
                moments.add_row([moment_type.to_string(), trusted, found]);
            }
            let [trusted, found] = all;
            moments.add_row(["all".to_owned(), trusted, found]);
            return moments;
        };
        let mut moments = table(["moments", "trusted", "planted", "recall", "precision", "found"], &[0]);
        let total = self.total().unwrap_or_default();
        let of_types = scores.iter().map(|(name, score)| (&**name, score, of_type(name)));
        for (name, score, [trusted, found]) in of_types.chain([("all", &total, all)]) {
            moments.add_row([
                name.to_owned(),
                trusted,
                grouped(score.planted),
                percent(score.recall()),
                percent(score.precision()),
                found,
            ]);
        }
        moments
    }

    /// The report as one line of JSON.
    pub(crate) fn json(&self) -> String {
        let Fates { read, on_time, late_applied, too_late, malformed, from_future, duplicate } = self.fates;
        let Counts { windows, moments, trusted, corrections, withdrawn, .. } = &self.counts;
        let mut object = json!({
            "read": read, "on_time": on_time, "late_applied": late_applied, "too_late": too_late,
            "malformed": malformed, "from_future": from_future, "duplicate": duplicate,
            "lost_records": self.lost, "windows": windows, "moments_found": moments, "moments_trusted": trusted.len(), "corrections": corrections, "withdrawn": withdrawn,
            "read_before": self.before,
            "wall_seconds": self.wall.as_secs_f64(),
            "cpu_seconds": self.usage.cpu_seconds,
            "peak_rss_bytes": self.usage.peak_rss_bytes,
        });
        if let Some(comparison) = &self.comparison {
            object["moments_found_per_hour"] = json!(comparison.found_per_hour.to_f64());
            object["moments_expected_per_hour"] = json!(comparison.expected_per_hour.to_f64());
        }
        if let Some(total) = self.total() {
            object["moments_planted"] = json!(total.planted);
            object["recall"] = json!(total.recall());
            object["precision"] = json!(total.precision());
        }
        object.to_string()
    }
}
