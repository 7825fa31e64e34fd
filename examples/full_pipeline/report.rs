//! The report of a run: sections for people, one line of JSON for programs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use telemetra::core::detect::Carried;
use telemetra::livestream::generate::{Generator, GroundTruth, Score, score};
use telemetra::ops::MomentsStatus;
use telemetra::prelude::*;

use crate::common::screen::page::{Page, Row};
use crate::common::show::{clock, count, grouped, span};
use crate::common::usage::Usage;
use crate::settings::{Output, Settings};
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
    /// Whether the run was stopped before the end of its input.
    pub(crate) interrupted: bool,
    pub(crate) wall: Duration,
    pub(crate) usage: Usage,
}

/// The places of the results.
fn outputs(settings: &Settings) -> Vec<String> {
    let mut outputs: Vec<_> = settings.outputs.iter().map(ToString::to_string).collect();
    if settings.postgres.host.is_some() {
        outputs.push(format!("Postgres at {}", settings.postgres.place()));
    }
    if settings.redis.url.0.is_some() {
        outputs.push(format!("Redis at {}", settings.redis.place()));
    }
    outputs
}

/// "1 row was", "2 rows were".
fn were(number: u64, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one} was") } else { format!("{} {several} were", grouped(number)) }
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

fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share > 0.0 && share < 0.000_95 => format!("{:.2} %", share * 100.0),
        Some(share) => format!("{:.1} %", share * 100.0),
    }
}

/// The number of things that the report says of a moment.
const CARRIED: usize = 5;

/// One thing that carried a moment, with what is usual: `Kappa in 75.0 % of messages (usually 2.0 %)`.
fn carried(Carried { what, name, now, usual }: &Carried) -> String {
    let is_share = ["emote", "word", "messages", "by_one"].contains(&&**what);
    let form = |amount: f64| if is_share { percent(Some(amount)) } else { short(amount) };
    let now = form(now.to_f64());
    let said = match (&**what, &**name) {
        ("chatters", _) => format!("{now} people wrote"),
        ("messages_each", _) => format!("{now} messages a person"),
        ("by_one", _) => format!("one user wrote {now} of messages"),
        ("emote", emote) => format!("{emote} in {now} of messages"),
        ("word", word) => format!("“{word}” in {now} of messages"),
        ("messages", side) => format!("{now} of messages {side}"),
        ("viewers", "average") => format!("{now} viewers on average"),
        ("viewers" | "transactions", _) => format!("{now} {what}"),
        ("amount", currency) => format!("{now} {currency}"),
        ("largest", currency) => format!("the largest {now} {currency}"),
        _ => format!("{what} {name} {now}"),
    };
    match usual {
        Some(usual) if (&**what, &**name) == ("viewers", "jump") => {
            format!("{said} after {}", form(usual.to_f64()))
        }
        Some(usual) => format!("{said} (usually {})", form(usual.to_f64())),
        None => said,
    }
}

/// A number with three digits at least.
fn short(number: f64) -> String {
    if number.abs() < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") }
}

/// The name of a fate on the screen.
fn in_words(fate: Fate) -> &'static str {
    match fate {
        Fate::OnTime => "counted in time",
        Fate::LateApplied => "late: results were corrected",
        Fate::TooLate => "too late to be counted",
        Fate::Malformed => "damaged: no readable event",
        Fate::FromFuture => "dated in the future",
        Fate::Duplicate => "duplicates, counted once",
    }
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

    /// The report as text, in the width of the terminal.
    pub(crate) fn text(&self, settings: &Settings) -> String {
        let mut page = Page::new();
        self.events(&mut page);
        self.windows(&mut page, settings);
        self.moments(&mut page, settings);
        self.busiest(&mut page);
        self.cost(&mut page, settings);
        self.places(&mut page, settings);
        page.text()
    }

    /// The result in one line, for `--quiet`.
    pub(crate) fn line(&self, settings: &Settings) -> String {
        format!(
            "{} read, {} counted; {} of windows and {} written to {}",
            count(self.fates.read, "event"),
            grouped(self.fates.on_time + self.fates.late_applied),
            count(self.counts.windows, "row"),
            count(self.counts.trusted.len() as u64, "moment"),
            outputs(settings).join(", "),
        )
    }

    fn events(&self, page: &mut Page) {
        page.head("Events");
        let read = self.fates.read;
        if read == 0 {
            page.say("No events were read: the input was empty.");
            return;
        }
        if self.before > 0 {
            page.say(&format!(
                "{} were read in all; {} of these before this run, which went on from a checkpoint.",
                count(read, "event"),
                grouped(self.before),
            ));
        }
        let mut rows = vec![Row::new("read", [grouped(read), String::new()])];
        for fate in Fate::ALL {
            let number = self.fates.of(fate);
            rows.push(Row::new(
                in_words(fate),
                [grouped(number), percent(Some(number as f64 / read as f64))],
            ));
        }
        page.table(&rows);
        let lost = [Fate::TooLate, Fate::Malformed, Fate::FromFuture, Fate::Duplicate];
        if self.fates.is_balanced() {
            page.say("Each event is in one of these lines: nothing vanished.");
        } else {
            let sum: u64 = Fate::ALL.map(|fate| self.fates.of(fate)).iter().sum();
            page.say(&format!("The lines add up to {} events: this is a defect.", grouped(sum)));
        }
        if lost.iter().any(|fate| self.fates.of(*fate) > 0) {
            page.say("What was not counted is kept with the reason, among the dead letters.");
        }
        if self.lost > 0 {
            page.say(&format!(
                "{} more had been removed from Kafka before they could be read.",
                count(self.lost, "record")
            ));
        }
        if self.interrupted {
            page.say("The run was stopped before the end of its input.");
        }
    }

    fn windows(&self, page: &mut Page, settings: &Settings) {
        page.head("Windows");
        let Counts { windows, corrections, withdrawn, .. } = &self.counts;
        let (window, slide) = (span(settings.window), span(settings.slide));
        let since = if settings.counts_all_runs() { "" } else { " in this run" };
        page.say(&format!(
            "A window sums up {window} of one stream, and one begins every {slide}. {} written{since}.",
            were(*windows, "row of windows", "rows of windows"),
        ));
        if *corrections > 0 || *withdrawn > 0 {
            page.say(&format!(
                "Late events changed what had been written: {} corrected, {} removed.",
                were(*corrections, "row of windows", "rows of windows"),
                were(*withdrawn, "row", "rows"),
            ));
        }
    }

    fn moments(&self, page: &mut Page, settings: &Settings) {
        page.head("Moments");
        page.say(
            "A moment is a time at which something about a stream was unusual for it: many more messages, \
             say. Some unusual windows are chance, so only trusted ones are reported.",
        );
        let trusted = self.counts.trusted.len() as u64;
        page.say(&format!(
            "{} trusted, of {} found (--threshold {}): about {} % of these are chance at most (--chance {}).",
            were(trusted, "moment", "moments"),
            grouped(self.counts.moments),
            settings.threshold,
            settings.chance * 100.0,
            settings.chance,
        ));
        if let Some(MomentsStatus { found_per_hour, expected_per_hour, until, .. }) = &self.comparison {
            page.say(&format!(
                "In the half hour to {}, {:.1} an hour were found, and chance alone makes {:.1}.",
                clock(*until),
                found_per_hour.to_f64(),
                expected_per_hour.to_f64(),
            ));
        }
        if let Some(total) = self.total() {
            page.say(&format!(
                "The generator had planted {}: {} found again (recall), and {} of the trusted ones are \
                 planted ones (precision).",
                grouped(total.planted),
                percent(total.recall()),
                percent(total.precision()),
            ));
        }
        self.types(page);
        for moment in &self.counts.strongest {
            let carried: Vec<_> = moment.carried.iter().take(CARRIED).map(carried).collect();
            page.say(&format!(
                "{} of {} at {}, score {:.1}: {}",
                moment.moment_type,
                moment.key,
                clock(moment.peak_at),
                moment.score.to_f64(),
                carried.join(", "),
            ));
        }
    }

    /// The moments by type.
    fn types(&self, page: &mut Page) {
        let of_type = |moment_type: &str| {
            let trusted = self.counts.trusted.values().filter(|trusted| &***trusted == moment_type).count();
            let found = self.counts.moments_by_type.get(moment_type).copied().unwrap_or_default();
            [grouped(trusted as u64), grouped(found)]
        };
        let all = [grouped(self.counts.trusted.len() as u64), grouped(self.counts.moments)];
        let Some(scores) = &self.scores else {
            let mut rows = vec![Row::new("", ["trusted", "found"])];
            let types = self.counts.moments_by_type.keys();
            rows.extend(types.map(|name| Row::new(name.to_string(), of_type(name))));
            rows.push(Row::new("all", all));
            if rows.len() > 2 {
                page.table(&rows);
            }
            return;
        };
        let mut rows = vec![Row::new("", ["trusted", "planted", "recall", "precision", "found"])];
        let total = self.total().unwrap_or_default();
        let of_types = scores.iter().map(|(name, score)| (&**name, score, of_type(name)));
        for (name, score, [trusted, found]) in of_types.chain([("all", &total, all)]) {
            let (recall, precision) = (percent(score.recall()), percent(score.precision()));
            rows.push(Row::new(name, [trusted, grouped(score.planted), recall, precision, found]));
        }
        page.table(&rows);
    }

    fn busiest(&self, page: &mut Page) {
        if self.counts.busiest.is_empty() {
            return;
        }
        page.head("Busiest streams");
        let mut rows = vec![Row::new("", ["messages", "in the window to"])];
        for (messages, stream, end) in &self.counts.busiest {
            rows.push(Row::new(stream.to_string(), [grouped(*messages), clock(*end)]));
        }
        page.table(&rows);
    }

    fn cost(&self, page: &mut Page, settings: &Settings) {
        page.head("Cost");
        let (wall, cpu) = (self.wall.as_secs_f64(), self.usage.cpu_seconds);
        // The figures are of this run: the elapsed time is its own, so the events must be too.
        let read = self.fates.read.saturating_sub(self.before);
        let rate = |seconds: f64| grouped((read as f64 / seconds.max(0.001)) as u64);
        let (processes, each) = match settings.processes {
            1 => ("1 process".to_owned(), ""),
            number => (format!("{number} processes"), " each"),
        };
        page.say(&format!(
            "{} in {wall:.2} s, which is {} a second, and {} a second of processor time ({cpu:.2} s). {} MiB of \
             memory at most, in {processes} with {}{each}.",
            count(read, "event"),
            rate(wall),
            rate(cpu),
            self.usage.peak_rss_bytes >> 20,
            count(settings.workers as u64, "worker thread"),
        ));
    }

    fn places(&self, page: &mut Page, settings: &Settings) {
        page.head("Results");
        for output in outputs(settings) {
            page.say(&format!("written to {output}"));
        }
        let database = settings.outputs.iter().find_map(|output| match output {
            Output::Sqlite(path) => Some(path.display()),
            Output::JsonLines(_) | Output::Parquet(_) | Output::ParquetObjects(_) => None,
        });
        if let Some(database) = database {
            page.say("To look at them, for example:");
            page.say(&format!("  sqlite3 {database} 'SELECT * FROM moments'"));
        }
        page.say("What the words mean: docs/glossary.md");
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
