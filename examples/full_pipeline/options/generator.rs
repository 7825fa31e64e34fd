//! The generator's.

use super::Flag;
use crate::common::generator::{Flags, Generates};
use crate::common::parse::{boolean, number};
use crate::common::settings::put;
use crate::settings::Settings;

impl Generates for Settings {
    fn generator(&mut self) -> &mut telemetra::livestream::generate::GeneratorConfig {
        &mut self.generator
    }
}

pub(super) const FLAGS: &[Flag] = &[
    Flag::new("seed", "N", "the same seed makes the same events [1]", |s, v| {
        put(&mut s.generator.seed, number(v, 0..=u64::MAX))
    }),
    Flag::new("minutes", "N", "how many minutes of events to make up [30]", |s, v| {
        put(&mut s.generator.duration_ms, number(v, 1..=44_640).map(|minutes: u64| minutes * 60_000))
    })
    .sets("duration_ms"),
    Flag::new("streams", "N", "how many streams [1000]", |s, v| {
        put(&mut s.generator.streams, number(v, 1..=1_000_000))
    }),
    Flag::new("partitions", "N", "how many partitions [4]", |s, v| {
        put(&mut s.generator.partitions, number(v, 1..=4096))
    }),
    Flag::new("events", "N", "chat messages in all [1000 a second]", |s, v| {
        put(&mut s.events, number(v, 0..=u64::MAX).map(Some))
    })
    .sets("events_per_second"),
    Flag::new("plant", "", "plant moments for the pipeline to find [as many as fit]", |s, v| {
        put(&mut s.plant, boolean(v).map(Some))
    })
    .sets("planted"),
    Flags::ZIPF_EXPONENT,
    Flags::USERS_PER_STREAM,
    Flags::VIEWER_INTERVAL,
    Flags::TRANSACTION_RATIO,
    Flags::DISORDER,
    Flags::LATE_RATIO,
    Flags::TOO_LATE_RATIO,
    Flags::DUPLICATE_RATIO,
    Flags::MALFORMED_RATIO,
    Flags::FUTURE_RATIO,
];
