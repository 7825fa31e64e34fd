//! Event times in answers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use telemetra_core::EventTime;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An event time that is written as RFC 3339, in UTC.
///
/// ```
/// use telemetra::core::EventTime;
/// use telemetra::http::Time;
/// assert_eq!(serde_json::to_string(&Time(EventTime(1_500))).unwrap(), r#""1970-01-01T00:00:01.500Z""#);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(
    /// The time.
    pub EventTime,
);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Default for Time {
    fn default() -> Self {
        Self(EventTime::MIN)
    }
}

impl From<EventTime> for Time {
    fn from(time: EventTime) -> Self {
        Self(time)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let format = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));
        let description = Some("A time of the events' own clock, in RFC 3339.");
        ObjectBuilder::new().schema_type(Type::String).format(format).description(description).into()
    }
}

impl ToSchema for Time {}
