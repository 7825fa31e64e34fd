//! Spans of event time as whole milliseconds, which the engine calculates with.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ConfigError;

/// A span in milliseconds, rounded down, and at most the greatest `u64`.
pub fn of(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A span in milliseconds.
///
/// # Errors
///
/// If it is not a whole number of milliseconds.
pub fn whole(setting: &str, span: Duration) -> Result<u64, ConfigError> {
    let millis = of(span);
    if Duration::from_millis(millis) != span {
        let detail = format!("{span:?} is not a whole number of milliseconds");
        return Err(ConfigError::new(setting, detail, "round it"));
    }
    Ok(millis)
}

/// Serialises a span as a number of milliseconds.
pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    of(*span).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// Serialises an optional span as a number of milliseconds.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, of};

    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(of).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<u64>::deserialize(deserializer).map(|millis| millis.map(Duration::from_millis))
    }
}
