//! The generator's.

use super::Flag;
use crate::common::parse::{boolean, number, ratio, real, span};
use crate::common::settings::put;

pub(super) const FLAGS: &[Flag] = &[
    Flag::new("seed", "N", "the same seed makes the same events [1]", |s, v| {
        put(&mut s.generator.seed, number(v, 0..=u64::MAX))
    }),
    Flag::new("minutes", "N", "event time to make [30]", |s, v| {
        put(&mut s.generator.duration_ms, number(v, 1..=44_640).map(|minutes: u64| minutes * 60_000))
    }),
    Flag::new("streams", "N", "how many streams [1000]", |s, v| {
        put(&mut s.generator.streams, number(v, 1..=1_000_000))
    }),
    Flag::new("partitions", "N", "how many partitions [4]", |s, v| {
        put(&mut s.generator.partitions, number(v, 1..=4096))
    }),
    Flag::new("events", "N", "chat messages in all [1000 a second]", |s, v| {
        put(&mut s.events, number(v, 0..=u64::MAX).map(Some))
    }),
    Flag::new("plant", "", "plant moments to be found [on]", |s, v| put(&mut s.plant, boolean(v))),
    Flag::new("zipf-exponent", "X", "how unequal streams are [0.9]", |s, v| {
        put(&mut s.generator.zipf_exponent, real(v))
    }),
    Flag::new("users-per-stream", "N", "different users in one stream [2000]", |s, v| {
        put(&mut s.generator.users_per_stream, number(v, 1..=10_000_000))
    }),
    Flag::new(
        "viewer-interval",
        "TIME",
        "how often a stream reports its viewers, 0 for never [15s]",
        |s, v| put(&mut s.generator.viewer_interval_ms, span(v)),
    ),
    Flag::new("transaction-ratio", "SHARE", "transactions per message [0.01]", |s, v| {
        put(&mut s.generator.transaction_ratio, real(v))
    }),
    Flag::new("disorder", "TIME", "how late events arrive on average [800ms]", |s, v| {
        put(&mut s.generator.disorder_mean_ms, span(v))
    }),
    Flag::new("late-ratio", "SHARE", "events that are late [0.005]", |s, v| {
        put(&mut s.generator.late_ratio, ratio(v))
    }),
    Flag::new("too-late-ratio", "SHARE", "events that are too late [0.0005]", |s, v| {
        put(&mut s.generator.too_late_ratio, ratio(v))
    }),
    Flag::new("duplicate-ratio", "SHARE", "events that come twice [0.001]", |s, v| {
        put(&mut s.generator.duplicate_ratio, ratio(v))
    }),
    Flag::new("malformed-ratio", "SHARE", "records that are damaged [0.0005]", |s, v| {
        put(&mut s.generator.malformed_ratio, ratio(v))
    }),
    Flag::new("future-ratio", "SHARE", "events far in the future [0.0001]", |s, v| {
        put(&mut s.generator.future_ratio, ratio(v))
    }),
];
