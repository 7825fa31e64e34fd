//! The usual mistakes of who builds a pipeline: each is one error at the start, which says what, where, and what to do.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetra::core::source::Channel as Pushed;
use telemetra::ops::{LastPlan, WindowKind};
use telemetra::prelude::*;

#[derive(Clone, Debug, Deserialize)]
struct Reading {
    device: String,
    time: EventTime,
    celsius: f64,
}

impl Event for Reading {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.device
    }
}

fn pipeline() -> Pipeline<Reading> {
    Pipeline::new()
        .source(MemorySource::default().partition("p", ["{}"]), SerdeJson::new())
        .sink(MemorySink::new())
}

/// The one error of a start that cannot work, with its causes.
fn error<L: LastPlan<Reading>>(pipeline: Pipeline<Reading, L>) -> String {
    let Err(error) = pipeline.start() else { panic!("it starts") };
    chain(&error)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn says(error: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(error.contains(part), "`{part}` is not in: {error}"));
}

/// A row with whatever table a test wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Alert(String);

impl Row for Alert {
    fn table() -> Table {
        Table::new("alerts").key(Column::new("device", ColumnKind::Text))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.0));
    }
}

fn table(change: impl FnOnce(Table) -> Table) -> String {
    error(pipeline().table_of(change(Table::new("alerts").key(Column::new("device", ColumnKind::Text)))))
}

#[test]
fn windows_and_groupings() {
    let group = |windows: WindowKind| error(pipeline().group("by_device", windows, |a| a.count("readings")));
    says(&group(sessions(Duration::ZERO)), &["`sessions`", "a gap of 0", "give a longer gap"]);
    says(
        &group(sliding(minutes(1), seconds(7))),
        &["`window`", "cannot be cut into panes", "a multiple of the slide"],
    );
    says(&group(tumbling(Duration::ZERO)), &["`window`", "above zero"]);
    says(&group(tumbling(minutes(1)).early(Duration::ZERO)), &["`early`", "have no end", "the time between"]);
    says(&group(tumbling(minutes(1)).early(minutes(1))), &["`early`", "have ended", "less than the size"]);
    says(
        &group(tumbling(Duration::from_micros(1500))),
        &["`window`", "whole number of milliseconds", "round it"],
    );

    let named = pipeline().group("by_device", tumbling(minutes(1)), |a| a.count("readings"));
    says(
        &error(named.key_columns(["device", "site"])),
        &["`key_columns`", "has 1 columns, and 2 names", "name each"],
    );
    let twice = pipeline().group("by_device", tumbling(minutes(1)), |a| a.count("readings")).group(
        "by_device",
        tumbling(minutes(5)),
        |a| a.count("readings"),
    );
    says(&error(twice), &["two tables are called `by_device`", "a table of its own"]);
    let columns = pipeline().group("t", tumbling(minutes(1)), |a| (a.count("n"), a.mean("n", |r| r.celsius)));
    says(&error(columns), &["table t", "two columns are called `n`", "a name of its own"]);
    let percents = pipeline().group("t", tumbling(minutes(1)), |a| {
        (a.count("n"), a.quantiles("celsius", [0.5, 99.0], |r| r.celsius))
    });
    says(&error(percents), &["`quantiles`", "`celsius` asks for the fraction 99", "is 0.99"]);
    let savepoint = pipeline().from_savepoint("friday");
    says(&error(savepoint), &["`friday`", "without checkpoints", "by `checkpoints`"]);
    let reserved = pipeline().group("telemetra_rows", tumbling(minutes(1)), |a| a.count("n"));
    says(&error(reserved), &["begin with `telemetra_`", "take another name"]);
}

#[test]
fn rules() {
    let detector = || ZScore::new(3.0).unwrap();
    let of_sessions = pipeline().group("visits", sessions(minutes(5)), |a| a.count("readings"));
    let of_sessions = of_sessions.count_moments("busy", detector(), |count| *count);
    says(
        &error(of_sessions),
        &["`rules`", "`visits` groups by sessions", "add a grouping by tumbling or sliding"],
    );
    let twice = pipeline().group("by_device", tumbling(minutes(1)), |a| a.count("readings"));
    let twice =
        twice
            .count_moments("busy", detector(), |count| *count)
            .count_moments("busy", detector(), |count| *count);
    says(&error(twice), &["`rules`", "two rules make moments of the type `busy`", "a type of its own"]);
    says(&chain(&ZScore::new(f64::NAN).unwrap_err()), &["threshold"]);
}

#[test]
fn tables() {
    says(
        &table(|table| table.key(Column::nullable("at", ColumnKind::Time))),
        &["key column `at` may be null", "Column::new"],
    );
    says(&table(|table| table.index(["level"])), &["is over `level`, which it has not", "name a column"]);
    says(&table(|table| table.by_day("at")), &["`by_day` names no column of time", "of the kind `Time`"]);
    says(
        &table(|table| table.renamed("my alerts")),
        &["`my alerts` cannot be the name of a table", "letters, digits"],
    );
    says(&error(pipeline().table_of(Table::new("alerts"))), &["it has no key column", "add one by `key`"]);
}

#[test]
fn publishing_what_no_sink_knows_of() {
    let grouped = pipeline().group("by_device", tumbling(minutes(1)), |a| a.count("readings"));
    let running =
        grouped.extend(|group| group.publish(group.summaries.clone().map(|(key, _)| Alert(key)))).start();
    let error = running.and_then(Running::wait).unwrap_err();
    says(&chain(&error), &["`alerts` is published, and no sink knows of it", "declare it: `.table("]);
}

#[test]
fn checkpoints_workers_and_channels() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Directory::new(folder.path());
    let grouped = || pipeline().group("by_device", tumbling(minutes(1)), |a| a.count("readings"));
    says(
        &error(grouped().checkpoints(store(), seconds(90))),
        &["`checkpoints`", "not a multiple of the panes", "round it"],
    );
    says(&error(grouped().workers(0)), &["workers"]);
    says(&error(grouped().cluster(2, vec!["a:1".into(), "b:2".into()])), &["`process`", "no process 2 of 2"]);
    says(&error(grouped().max_watermark_drift(Duration::from_millis(1))), &["max_watermark_drift"]);
    let sharded = grouped().sharded_sink(0, |_| MemorySink::new());
    says(&error(sharded), &["`sharded_sink`", "there is no shard", "at least one"]);
    let Err(full) = Pushed::<Reading>::typed("service", 0) else { panic!("a channel of nothing") };
    says(&chain(&full), &["channel capacity", "let it hold at least one"]);
}

/// A record without the event's time is no start-up error: it is a dead letter with the reason of serde.
#[test]
fn a_record_without_an_event_time_is_a_letter_that_says_so() {
    let sink = MemorySink::new();
    let source = MemorySource::default().partition("p", [r#"{"device": "d", "celsius": 1.0}"#]);
    let pipeline = Pipeline::<Reading>::new().source(source, SerdeJson::new()).sink(sink.clone());
    let report =
        pipeline.group("by_device", tumbling(minutes(1)), |a| a.count("n")).start().unwrap().wait().unwrap();
    assert_eq!(report.fates.malformed, 1);
    says(&sink.dead_letters()[0].reason, &["missing field `time`"]);
}
