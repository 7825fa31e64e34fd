//! Questions across all streams: their moments in one list, and their recent past as lines.

use std::fmt;
use std::str::FromStr;

use telemetra::core::EventTime;
use utoipa::{IntoParams, ToSchema};

use super::{Cursor, MomentFilter};
use crate::server::model::MomentInfo;

/// `newest` (the default): by start, the newest first. `strongest`: by `score` without its sign, the greatest first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Ranking {
    /// By start, the newest first.
    Newest,
    /// By the score without its sign, the greatest first.
    Strongest,
}

/// The query for the moments of all streams.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AcrossQuery {
    #[param(rename = "order", required = false, inline)]
    pub(crate) ranking: Ranking,
    /// Only of this stream. An unknown one has no moments.
    #[param(max_length = 256, pattern = "^[^\\u0000]*$")]
    pub(crate) stream_id: Option<String>,
    #[param(ignore)]
    pub(crate) filter: MomentFilter,
    /// The rows after the page that had this as its `next_cursor`, in the order of that page.
    #[param(
        value_type = Option<String>,
        pattern = "^([0-9]{1,19}|s([0-6][0-9a-f]{2}|7[0-9a-e][0-9a-f]|7f[0-9a-e])[0-9a-f]{13})-[0-9a-f]{32}$"
    )]
    pub(crate) cursor: Option<Place>,
    /// The greatest number of moments in the answer.
    #[param(required = false, minimum = 1, maximum = 1_000, default = 50)]
    pub(crate) limit: usize,
}

/// A place in a list of moments of all streams.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Newest(Cursor),
    Strongest { strength: f64, moment_id: String },
}

impl Place {
    pub(crate) fn after(moment: &MomentInfo, ranking: Ranking) -> Self {
        match ranking {
            Ranking::Newest => Self::Newest(Cursor::after(moment)),
            Ranking::Strongest => {
                Self::Strongest { strength: moment.score.abs(), moment_id: moment.moment_id.clone() }
            }
        }
    }

    pub(crate) fn ranking(&self) -> Ranking {
        match self {
            Self::Newest(_) => Ranking::Newest,
            Self::Strongest { .. } => Ranking::Strongest,
        }
    }
}

/// A score is written by its bits, so that it is exactly the one that the tables have.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(cursor) => cursor.fmt(f),
            Self::Strongest { strength, moment_id } => write!(f, "s{:016x}-{moment_id}", strength.to_bits()),
        }
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let Some(rest) = text.strip_prefix('s') else { return text.parse().map(Self::Newest) };
        let (bits, moment_id) = rest.split_once('-').ok_or(())?;
        let is_hex = |text: &str| text.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        if bits.len() != 16 || !is_hex(bits) || moment_id.len() != 32 || !is_hex(moment_id) {
            return Err(());
        }
        let strength = u64::from_str_radix(bits, 16).map(f64::from_bits).map_err(drop)?;
        let place = Self::Strongest { strength, moment_id: moment_id.to_owned() };
        if strength.is_finite() && strength >= 0.0 { Ok(place) } else { Err(()) }
    }
}

impl serde::Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of which streams the recent past is asked for.
#[derive(Clone, Debug)]
pub(crate) struct LinesQuery {
    pub(crate) ids: Vec<String>,
    /// By the end of the window.
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
    /// Windows that end at a multiple of so many milliseconds.
    pub(crate) step: u64,
}

/// The value of one window in a line.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub(crate) struct Point {
    pub(crate) stream_id: String,
    pub(crate) window_end: crate::server::model::Time,
    pub(crate) chat_rate: f64,
    pub(crate) avg_viewers: Option<f64>,
}
