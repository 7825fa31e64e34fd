//! The messages to followers.

use serde::{Deserialize, Serialize};
use telemetra::core::{Action, Change, EventTime, Moment, SummaryRow};
use telemetra::http::Position;
use telemetra::livestream::{self, StreamId, StreamSummary};
use utoipa::ToSchema;

use super::model::{Metrics, MomentInfo, StreamInfo, StreamRow, Time};

/// A message to a follower, one a text frame or event; `type` tells which.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// A window was published, or published again as late events changed it.
    Metrics {
        stream_id: String,
        /// T: the event time at which it took effect. All of a stream up to T is then known.
        time: Time,
        /// The number of times that the row was published before.
        revision: u32,
        kind: WindowKind,
        metrics: Metrics,
        /// The cursor from which a client resumes, after the last message of a stream and time.
        cursor: Option<String>,
    },
    /// A moment was found, went on, ended, or turned out to be none.
    Moment {
        stream_id: String,
        /// T: the event time at which it took effect. All of a stream up to T is then known.
        time: Time,
        /// The number of times that the row was published before.
        revision: u32,
        kind: MomentKind,
        moment: MomentInfo,
        /// The cursor from which a client resumes, after the last message of a stream and time.
        cursor: Option<String>,
    },
    /// The title, the category or the state of a stream changed.
    Stream {
        stream_id: String,
        /// T: the event time at which it took effect. All of a stream up to T is then known.
        time: Time,
        stream: StreamRow,
        /// The cursor from which a client resumes, after the last message of a stream and time.
        cursor: Option<String>,
    },
    /// All that is known of one stream; it replaces what a client knew.
    Snapshot {
        /// The id that all valid cursors have: of this run of the service, or of the tables where these have a log of changes.
        life: String,
        as_of: Option<Time>,
        /// The stream; null until its first event.
        stream: Option<StreamInfo>,
        metrics: Vec<Metrics>,
        moments: Vec<MomentInfo>,
        /// The cursor from which a client resumes; null while there is none.
        cursor: Option<String>,
        /// The reason that a snapshot is sent instead of the changes since a cursor; null to a client that sent no cursor.
        not_resumed: Option<NotResumed>,
    },
    /// All streams with their newest windows, and all open moments; it replaces what a client knew.
    Overview {
        /// The id that all valid cursors have: of this run of the service, or of the tables where these have a log of changes.
        life: String,
        as_of: Option<Time>,
        streams: Vec<StreamInfo>,
        moments: Vec<MomentInfo>,
        /// The cursor from which a client resumes; null while there is none.
        cursor: Option<String>,
        /// The reason that a snapshot is sent instead of the changes since a cursor; null to a client that sent no cursor.
        not_resumed: Option<NotResumed>,
    },
    /// The changes after the cursor follow: each row once, as it is now, or as it was when it was withdrawn.
    Resumed {
        /// The id that all valid cursors have: of this run of the service, or of the tables where these have a log of changes.
        life: String,
        /// The time up to which all was known.
        since: Time,
        as_of: Option<Time>,
        /// The cursor that the client sent.
        cursor: String,
    },
    /// All is well, also if nothing changes.
    Heartbeat { as_of: Option<Time> },
}

/// Why a client that asked to go on is sent a snapshot: `other_life` if its cursor is of another run of the service, or of
/// tables that were written anew since; `too_old` if what was withdrawn after it is not known any more; `too_much` if so much
/// changed that a snapshot is shorter; `not_kept` if the pipeline keeps no log of changes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotResumed {
    OtherLife,
    TooOld,
    TooMuch,
    NotKept,
}

/// The kind of change of a window: `corrected` if late events changed it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WindowKind {
    Published,
    Corrected,
    Withdrawn,
}

impl WindowKind {
    pub(crate) fn of(withdrawn: bool, revision: u32) -> Self {
        match revision {
            _ if withdrawn => Self::Withdrawn,
            0 => Self::Published,
            _ => Self::Corrected,
        }
    }
}

/// The kind of change of a moment: `withdrawn` if late events made it untrue.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MomentKind {
    Opened,
    Updated,
    Closed,
    Withdrawn,
}

impl MomentKind {
    pub(crate) fn of(withdrawn: bool, is_open: bool, revision: u32) -> Self {
        match (withdrawn, is_open, revision) {
            (true, ..) => Self::Withdrawn,
            (_, true, 0) => Self::Opened,
            (_, true, _) => Self::Updated,
            (_, false, _) => Self::Closed,
        }
    }
}

impl Message {
    /// The content of a change; `None` for rows that only the tables have.
    pub(crate) fn of(stream: &str, change: &Change, time: EventTime) -> Option<Self> {
        let (stream_id, revision) = (stream.to_owned(), change.revision);
        let withdrawn = change.action == Action::Withdraw;
        if let Some(row) = change.row::<SummaryRow<StreamId, StreamSummary>>() {
            let kind = WindowKind::of(withdrawn, revision);
            let metrics = Metrics::new(&row.summary, revision, time);
            return Some(Self::Metrics {
                stream_id,
                time: time.into(),
                revision,
                kind,
                metrics,
                cursor: None,
            });
        }
        if let Some(moment) = change.row::<Moment<StreamId>>() {
            let kind = MomentKind::of(withdrawn, moment.open, revision);
            let moment = MomentInfo::new(moment, revision, time);
            return Some(Self::Moment { stream_id, time: time.into(), revision, kind, moment, cursor: None });
        }
        let row = change.row::<livestream::StreamRow>()?;
        Some(Self::Stream { stream_id, time: time.into(), stream: row.into(), cursor: None })
    }

    /// The same with the place where a client goes on after it.
    pub(crate) fn at(mut self, position: &Position) -> Self {
        if let Self::Metrics { cursor, .. } | Self::Moment { cursor, .. } | Self::Stream { cursor, .. } =
            &mut self
        {
            *cursor = Some(position.to_string());
        }
        self
    }
}
