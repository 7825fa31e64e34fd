//! The settings of generated events, defined once for several programs.

use std::marker::PhantomData;

use telemetra::livestream::generate::{Generator, GeneratorConfig, Planting};
use telemetra::prelude::ConfigError;

use super::parse::{number, ratio, real, span};
use super::settings::{Setting, put};

/// Settings of a program that generates events.
pub(crate) trait Generates: 'static {
    fn generator(&mut self) -> &mut GeneratorConfig;
}

/// The flags of a program with the settings `S`.
pub(crate) struct Flags<S>(PhantomData<S>);

impl<S: Generates> Flags<S> {
    pub(crate) const ZIPF_EXPONENT: Setting<S> = Setting::new(
        "zipf-exponent",
        "X",
        "how unequal streams are: the exponent of Zipf's law, 0 for equal ones [0.9]",
        |s, v| put(&mut s.generator().zipf_exponent, real(v)),
    );
    pub(crate) const USERS_PER_STREAM: Setting<S> =
        Setting::new("users-per-stream", "N", "different users in one stream [2000]", |s, v| {
            put(&mut s.generator().users_per_stream, number(v, 1..=10_000_000))
        });
    pub(crate) const VIEWER_INTERVAL: Setting<S> = Setting::new(
        "viewer-interval",
        "TIME",
        "how often a stream reports its viewers, 0 for never [15s]",
        |s, v| put(&mut s.generator().viewer_interval_ms, span(v)),
    );
    pub(crate) const TRANSACTION_RATIO: Setting<S> =
        Setting::new("transaction-ratio", "SHARE", "transactions per message [0.01]", |s, v| {
            put(&mut s.generator().transaction_ratio, real(v))
        });
    pub(crate) const DISORDER: Setting<S> =
        Setting::<S>::new("disorder", "TIME", "how late events arrive on average [800ms]", |s, v| {
            put(&mut s.generator().disorder_mean_ms, span(v))
        })
        .sets("disorder_mean_ms");
    pub(crate) const LATE_RATIO: Setting<S> =
        Setting::new("late-ratio", "SHARE", "events that are late [0.005]", |s, v| {
            put(&mut s.generator().late_ratio, ratio(v))
        });
    pub(crate) const TOO_LATE_RATIO: Setting<S> =
        Setting::new("too-late-ratio", "SHARE", "events that are too late [0.0005]", |s, v| {
            put(&mut s.generator().too_late_ratio, ratio(v))
        });
    pub(crate) const DUPLICATE_RATIO: Setting<S> =
        Setting::new("duplicate-ratio", "SHARE", "events that come twice [0.001]", |s, v| {
            put(&mut s.generator().duplicate_ratio, ratio(v))
        });
    pub(crate) const MALFORMED_RATIO: Setting<S> =
        Setting::new("malformed-ratio", "SHARE", "records that are damaged [0.0005]", |s, v| {
            put(&mut s.generator().malformed_ratio, ratio(v))
        });
    pub(crate) const FUTURE_RATIO: Setting<S> =
        Setting::new("future-ratio", "SHARE", "events far in the future [0.0001]", |s, v| {
            put(&mut s.generator().future_ratio, ratio(v))
        });
}

/// The generator with these settings. Planted moments that do not fit are an error if they were requested,
/// and are otherwise left out.
pub(crate) fn made(config: &GeneratorConfig, plant: Option<bool>) -> Result<Generator, ConfigError> {
    // Faults other than those of the moments are reported first.
    let bare = Planting {
        warm_up_ms: config.planted.warm_up_ms,
        duration_ms: config.planted.duration_ms,
        ..Planting::none()
    };
    let plain = Generator::new(GeneratorConfig { planted: bare.clone(), ..config.clone() })?;
    match plant {
        Some(false) => Ok(plain),
        Some(true) => Generator::new(config.clone()),
        None => Ok(as_many_as_fit(config, bare).unwrap_or(plain)),
    }
}

const COUNTS: [fn(&mut Planting) -> &mut u32; 5] = [
    |planting| &mut planting.chat_spikes,
    |planting| &mut planting.viewer_surges,
    |planting| &mut planting.viewer_drops,
    |planting| &mut planting.donation_surges,
    |planting| &mut planting.sentiment_shifts,
];

/// Plants the requested moments, or as many of them as there are streams with enough traffic for. `bare` are
/// the same settings without moments.
fn as_many_as_fit(config: &GeneratorConfig, bare: Planting) -> Option<Generator> {
    if let Ok(whole) = Generator::new(config.clone()) {
        return Some(whole);
    }
    let mut wanted = config.planted.clone();
    let (mut config, mut made) = (GeneratorConfig { planted: bare, ..config.clone() }, None);
    for count in COUNTS {
        for tried in (1..=*count(&mut wanted)).rev() {
            *count(&mut config.planted) = tried;
            if let Ok(generator) = Generator::new(config.clone()) {
                made = Some(generator);
                break;
            }
            *count(&mut config.planted) = 0;
        }
    }
    made
}
