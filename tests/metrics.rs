//! The metrics of a pipeline: all that are promised, under the names and labels that are promised.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory;
use telemetra::livestream::{self, JsonDecoder, default_rules};
use telemetra::ops::metric::{self, Kind, Metric};
use telemetra::prelude::*;
use telemetra::sinks::JsonLines;

/// A chat message.
fn message(stream: &str, time: EventTime) -> String {
    format!(
        r#"{{"event_id":"{time}","timestamp":"{time}","stream_id":"{stream}","user_id":"u","username":"u","message":"hi"}}"#
    )
}

/// The lines of an exposition: name and labels to value.
type Series = BTreeMap<(String, BTreeMap<String, String>), f64>;

fn parse(text: &str) -> Series {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
            let labels = labels.map(|label| {
                let (name, value) = label.split_once("=\"").unwrap();
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
            ((name.to_owned(), labels.collect()), value.parse().unwrap())
        })
        .collect()
}

fn value(series: &Series, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: BTreeMap<_, _> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let found = series.get(&(name.to_owned(), labels.clone()));
    *found.unwrap_or_else(|| panic!("{name} {labels:?} is not told in {series:#?}"))
}

/// The metric that a name in an exposition is of.
fn metric_of(name: &str) -> &'static Metric {
    let is_it = |metric: &&Metric| {
        let rest = name.strip_prefix(metric.name);
        let parts: &[&str] =
            if metric.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        rest.is_some_and(|rest| parts.contains(&rest))
    };
    metric::ALL.iter().find(is_it).unwrap_or_else(|| panic!("{name} is in no list"))
}

// One recorder serves the process, so this is one test.
#[test]
fn a_pipeline_tells_everything_that_is_listed_and_goes_on_counting_in_its_next_life() {
    let seconds = metrics_exporter_prometheus::Matcher::Prefix("telemetra_".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &[0.1, 1.0, 1000.0]).unwrap();
    let handle = builder.install_recorder().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Ten minutes of two streams, in a partition of which each tenth record is damaged.
    let records = (0..600).map(|n| match n % 10 {
        9 => "damaged".to_owned(),
        _ => message(if n % 2 == 0 { "ada" } else { "bob" }, EventTime(1_767_225_600_000 + n * 1000)),
    });
    let source = Memory::default().partition("p", records);
    let pipeline = || {
        livestream::pipeline()
            .name("counted")
            .operator_times(true)
            .spill(SpillConfig::new(folder.path().join("spill")))
            .rules(default_rules(3.0).unwrap())
            .source(source.clone(), JsonDecoder::mixed())
            .sink(JsonLines::new(folder.path().join("a")))
            .sink(JsonLines::new(folder.path().join("b")))
            .checkpoints(Directory::new(folder.path().join("checkpoints")), Duration::from_secs(60))
    };
    let report = pipeline().start().unwrap().wait().unwrap();
    assert_eq!((report.fates.read, report.fates.malformed), (600, 60));
    let told = parse(&handle.render());

    let mut names = BTreeSet::new();
    for (name, labels) in told.keys() {
        let metric = metric_of(name);
        names.insert(metric.name);
        let expected: BTreeSet<_> =
            metric.labels.iter().copied().chain(name.ends_with("_bucket").then_some("le")).collect();
        assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "of {name}");
        assert_eq!(labels["pipeline"], "counted");
    }
    let missing: Vec<_> =
        metric::ALL.iter().map(|metric| metric.name).filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "not told: {missing:?}");

    let of = ("pipeline", "counted");
    for fate in Fate::ALL {
        let count = value(&told, "telemetra_events_total", &[of, ("fate", fate.as_str())]);
        assert_eq!(count, report.fates.of(fate) as f64, "{fate}");
    }
    assert_eq!(value(&told, "telemetra_pipeline_up", &[of]), 0.0, "it has ended");
    assert_eq!(value(&told, "telemetra_frontier_lag_seconds", &[of]), 0.0, "everything is durable");
    assert_eq!(value(&told, "telemetra_partition_lag_records", &[of, ("partition", "p")]), 0.0);
    assert_eq!(value(&told, "telemetra_state_keys", &[of, ("worker", "0")]), 2.0);
    assert!(value(&told, "telemetra_state_panes", &[of, ("worker", "0")]) > 60.0);
    assert!(value(&told, "telemetra_state_bytes", &[of, ("worker", "0")]) > 60.0);
    for sink in ["json_lines", "json_lines 2"] {
        let sink = [of, ("sink", sink), ("shard", "0")];
        let changes = value(&told, "telemetra_sink_changes_total", &sink);
        assert_eq!(value(&told, "telemetra_sink_apply_rows_sum", &sink), changes);
        assert!(changes > 100.0);
        assert!(value(&told, "telemetra_sink_apply_duration_seconds_count", &sink) > 0.0);
    }
    let checkpoints = value(&told, "telemetra_checkpoints_total", &[of]);
    assert!(checkpoints > 0.0);
    assert_eq!(value(&told, "telemetra_checkpoint_duration_seconds_count", &[of]), checkpoints);
    assert!(value(&told, "telemetra_checkpoint_bytes_sum", &[of]) > 100.0);
    let busy = |operator: &str| {
        value(&told, "telemetra_operator_busy_seconds_total", &[of, ("worker", "0"), ("operator", operator)])
    };
    assert!(busy("Ingest") > 0.0 && busy("windows chat_summary_minute") > 0.0);

    // A second run in the same process: what its checkpoint knows was counted in the first.
    let again = pipeline().start().unwrap().wait().unwrap();
    let told = parse(&handle.render());
    let read = value(&told, "telemetra_events_total", &[of, ("fate", "on_time")]);
    assert_eq!(again.fates.on_time, report.fates.on_time, "restored");
    let reread = read - report.fates.on_time as f64;
    assert!(
        (0.0..report.fates.on_time as f64).contains(&reread),
        "{reread} were read again, all were {read}"
    );
}
