//! Settings of the generator that cannot work, and how finds are scored against what it planted.

use std::sync::Arc;

use telemetra::core::{EventTime, Micro, Moment};
use telemetra::livestream::StreamId;
use telemetra::livestream::generate::{Generator, GeneratorConfig, score};
use telemetra::livestream::testkit::Workload;

#[test]
fn bad_settings_are_refused_by_name() {
    let refused = |config: GeneratorConfig| Generator::new(config).unwrap_err().to_string();
    let default = GeneratorConfig::default;
    let cases = [
        (GeneratorConfig { streams: 0, ..default() }, "generator.streams"),
        (GeneratorConfig { partitions: 0, ..default() }, "generator.partitions"),
        (GeneratorConfig { zipf_exponent: f64::NAN, ..default() }, "generator.zipf_exponent"),
        (GeneratorConfig { malformed_ratio: -0.1, ..default() }, "generator.malformed_ratio"),
        (GeneratorConfig { malformed_ratio: 0.7, late_ratio: 0.7, ..default() }, "the sum is 1.4"),
        (GeneratorConfig { duration_ms: 1500, ..default() }, "give whole seconds"),
        (GeneratorConfig { duration_ms: 60_000, ..default() }, "leave no time for moments after a warm-up"),
        (GeneratorConfig { events_per_second: 1.0, ..default() }, "need as many streams with enough traffic"),
        (GeneratorConfig { late_delay_ms: (5, 1), ..default() }, "give the lesser first"),
        (GeneratorConfig { start: EventTime::LATEST, ..default() }, "generator.start"),
        (GeneratorConfig { raids_per_hour: -1.0, ..default() }, "generator.raids_per_hour"),
        (
            GeneratorConfig { stream_ids: vec!["a".into(), "a".into()], ..default() },
            "two streams are called `a`",
        ),
        (GeneratorConfig { stream_ids: vec!["stream_0002".into()], ..default() }, "are called `stream_0002`"),
        (
            GeneratorConfig { streams: 1, stream_ids: vec!["a".into(), "b".into()], ..default() },
            "there are 2 for 1 streams",
        ),
        (GeneratorConfig { emotes: vec![String::new()], ..default() }, "generator.emotes"),
    ];
    for (config, expected) in cases {
        let error = refused(config);
        assert!(error.contains(expected), "{error}");
    }
    let read: GeneratorConfig =
        serde_json::from_str(r#"{"streams": 7, "planted": {"chat_spikes": 1}}"#).unwrap();
    assert_eq!((read.streams, read.planted.chat_spikes, read.partitions), (7, 1, 4));
    assert!(serde_json::from_str::<GeneratorConfig>(r#"{"stream": 7}"#).is_err(), "a misspelt setting");
    assert!(Workload::standard().streams(0).records().is_err());
}

#[test]
fn scores_hold_found_moments_against_planted_ones() {
    let truth = Generator::new(GeneratorConfig::default()).unwrap().ground_truth();
    let planted = &truth.planted;
    let found = |stream_id: &StreamId, moment_type: &Arc<str>, from: EventTime, to: EventTime| Moment {
        key: stream_id.clone(),
        moment_type: Arc::clone(moment_type),
        started_at: from,
        peak_at: to,
        last_at: to,
        open: false,
        detection_method: "test".into(),
        value: Micro(0),
        threshold: Micro(0),
        score: Micro(0),
        baseline_mean: Micro(0),
        baseline_stddev: Micro(0),
        baseline_samples: 0,
        windows: 1,
        comparable: true,
        chance: None,
        carried: Arc::default(),
    };
    let spike = planted.iter().find(|p| &*p.moment_type == "chat_spike").unwrap();
    let (stream, of_type, start, end) =
        (&spike.stream_id, &spike.moment_type, spike.started_at, spike.ended_at);
    let moments = [
        found(stream, of_type, start.plus(10_000), start.plus(30_000)),
        found(stream, of_type, end.plus(59_000), end.plus(80_000)),
        found(stream, of_type, end.plus(60_000), end.plus(80_000)),
        found(&StreamId::new("another"), of_type, start, end),
        found(stream, &"viewer_drop".into(), start, end),
        found(stream, &"not_planted".into(), start, end),
    ];
    let scores = score(&truth, &moments, 60_000);
    assert_eq!(scores.len(), 5, "the planted types alone");
    let spikes = scores["chat_spike"];
    assert_eq!((spikes.planted, spikes.recalled, spikes.found, spikes.correct), (8, 1, 4, 2));
    assert_eq!((spikes.recall(), spikes.precision()), (Some(0.125), Some(0.5)));
    assert_eq!((scores["viewer_drop"].found, scores["viewer_drop"].correct), (1, 0));
    let exact: Vec<Moment<StreamId>> =
        planted.iter().map(|p| found(&p.stream_id, &p.moment_type, p.started_at, p.ended_at)).collect();
    assert!(score(&truth, &exact, 0).values().all(|s| s.recall() == Some(1.0) && s.precision() == Some(1.0)));
}
