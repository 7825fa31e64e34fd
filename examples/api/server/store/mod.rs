//! The stores that answers come from.

pub(crate) mod across;
pub(crate) mod archive;
pub(crate) mod embedded;
pub(crate) mod servers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use telemetra::core::EventTime;
use telemetra::http::{Feed, KeyChanges, Known, Position, Routes};
use utoipa::{IntoParams, ToSchema};

pub(crate) use super::model::NotResumed;
use super::model::{Message, Metrics, MomentInfo, StreamInfo, Time};
use super::operations::{Letter, LettersQuery, Operations};
use across::{AcrossQuery, LinesQuery, Point};

/// An answer that may take a while.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// All that the service reads.
///
/// # Contract
///
/// * **Whole.** What is said of one stream in one answer is as of one event time, or of a later one in parts that come from tables.
/// * **No step back.** A snapshot or an overview contains what [`feed`](Self::feed) returned before it was asked for.
/// * **In order.** The feed tells of a stream in the order of time; who has a stream as of T needs what it tells after T, and no more.
pub(crate) trait Store: Send + Sync {
    /// The event time that all answers have reached.
    fn as_of(&self) -> Answer<'_, Option<EventTime>>;

    /// The parts that it is made of, and what is wrong with each.
    fn components(&self) -> Answer<'_, Vec<Component>>;

    /// A page of streams, and how many there are in all.
    fn streams<'a>(&'a self, query: &'a StreamQuery) -> Answer<'a, (Vec<StreamInfo>, u64)>;

    /// One stream.
    fn stream<'a>(&'a self, id: &'a str) -> Answer<'a, Option<StreamInfo>>;

    /// The windows of a stream, oldest first: of those asked for the newest `limit`, and whether there are more. `None` if there
    /// is no such stream.
    fn metrics<'a>(
        &'a self,
        id: &'a str,
        query: &'a MetricsQuery,
    ) -> Answer<'a, Option<(Vec<Metrics>, bool)>>;

    /// The moments of a stream, newest first: of those asked for the first `limit`, and whether there are more. `None` if there
    /// is no such stream.
    fn moments<'a>(
        &'a self,
        id: &'a str,
        query: &'a MomentQuery,
    ) -> Answer<'a, Option<(Vec<MomentInfo>, bool)>>;

    /// The moments of all streams: of those asked for the first `limit`, and whether there are more.
    fn all_moments<'a>(&'a self, query: &'a AcrossQuery) -> Answer<'a, (Vec<MomentInfo>, bool)>;

    /// The windows of several streams that are not older than memory reaches, by stream, oldest first.
    fn lines<'a>(&'a self, query: &'a LinesQuery) -> Answer<'a, Vec<Point>>;

    /// A stream as of `latest` or later, with its windows that ended within `history` milliseconds, and their moments; empty if it is not known yet.
    fn snapshot<'a>(&'a self, id: &'a str, history: u64, latest: Option<EventTime>) -> Answer<'a, Snapshot>;

    /// All streams as of `latest` or later, and their open moments.
    fn overview(&self, latest: Option<EventTime>) -> Answer<'_, Overview>;

    /// The rows of one stream or of all that changed after a position, each once.
    fn changes_since<'a>(&'a self, id: Option<&'a str>, from: &'a Position) -> Answer<'a, Since>;

    /// The run that a client means who names a time and none; `None` if there is no position yet.
    fn run(&self) -> Answer<'_, Option<Arc<str>>>;

    /// The state of the parts that make the answers.
    fn operations(&self) -> Answer<'_, Operations>;

    /// The dead letters: of those asked for the first `limit`, and whether there are more.
    fn letters<'a>(&'a self, query: &'a LettersQuery) -> Answer<'a, (Vec<Letter>, bool)>;

    /// Tells what changes from now on.
    fn feed(&self) -> Box<dyn Feed>;

    /// The rows of all tables as the pipeline has them in memory, where it is in this process.
    fn view(&self) -> Option<Routes> {
        None
    }
}

/// The changes after a position.
pub(crate) enum Since {
    /// In this order; after it is known what is known.
    Known { as_of: Option<EventTime>, updates: Vec<Update>, known: Position },
    /// It cannot be said, and only a snapshot will do.
    Refused(NotResumed),
}

/// The changes of one stream at one time, and the position after them.
pub(crate) struct Update {
    pub(crate) stream_id: String,
    pub(crate) time: EventTime,
    pub(crate) messages: Vec<Message>,
    pub(crate) at: Position,
}

impl Update {
    /// As it is passed on.
    pub(crate) fn into_changes(mut self) -> KeyChanges {
        let last = self.messages.pop().map(|message| message.at(&self.at));
        // Numbers, texts and lists: there is nothing in a message that JSON cannot say.
        let json = |message| serde_json::to_string(&message).ok();
        let messages = self.messages.into_iter().chain(last).filter_map(json).collect();
        KeyChanges { key: self.stream_id.into(), time: self.time, messages, at: self.at }
    }
}

/// One stream: with all of its changes up to a position, and none after.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) as_of: Option<EventTime>,
    pub(crate) at: Option<Position>,
    pub(crate) stream: Option<StreamInfo>,
    pub(crate) metrics: Vec<Metrics>,
    pub(crate) moments: Vec<MomentInfo>,
}

/// All streams: each with all of its changes up to what is `known` of it, and none after.
pub(crate) struct Overview {
    pub(crate) as_of: Option<EventTime>,
    pub(crate) at: Option<Position>,
    pub(crate) known: Known,
    pub(crate) streams: Vec<StreamInfo>,
    pub(crate) moments: Vec<MomentInfo>,
}

/// A part of the store, and what is wrong with it.
pub(crate) struct Component {
    pub(crate) name: &'static str,
    pub(crate) error: Option<String>,
}

impl Component {
    pub(crate) fn new(name: &'static str, checked: anyhow::Result<()>) -> Self {
        Self { name, error: checked.err().map(|error| format!("{error:#}")) }
    }
}

/// The order of streams: by the newest window's messages (the default) or viewers, greatest first, or by the id.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Order {
    Rate,
    Viewers,
    Name,
}

#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    #[param(required = false, inline)]
    pub(crate) order: Order,
    /// Only those that are live. A stream that has been silent for ten minutes is not.
    #[param(required = false, default = false)]
    pub(crate) live: bool,
    /// Only those with this in id, name, title or category, in any case.
    // In lower case.
    pub(crate) search: Option<String>,
    /// The number of streams to pass over.
    #[param(required = false, maximum = 1_000_000, default = 0)]
    pub(crate) offset: u64,
    /// The greatest number of streams in the answer.
    #[param(required = false, minimum = 1, maximum = 500, default = 50)]
    pub(crate) limit: u64,
}

#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MetricsQuery {
    /// Not before this time.
    // By the end of the window, without `to`.
    #[param(value_type = Option<Time>)]
    pub(crate) from: Option<EventTime>,
    /// Before this time.
    #[param(value_type = Option<Time>)]
    pub(crate) to: Option<EventTime>,
    /// Only windows that end at a multiple of so many seconds. With the length of a window they share no event; no window is
    /// a mixture of others.
    // In milliseconds here.
    #[param(required = false, minimum = 1, maximum = 86_400, default = 1)]
    pub(crate) resolution: u64,
    /// The greatest number of windows in the answer.
    #[param(required = false, minimum = 1, maximum = 5_000, default = 360)]
    pub(crate) limit: usize,
}

/// The filter for moments, whether of one stream or of all.
#[derive(Clone, Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MomentFilter {
    /// Only of this type.
    #[param(
        rename = "type",
        min_length = 1,
        max_length = 128,
        pattern = "^[^\\u0000]+$",
        example = "chat_spike"
    )]
    pub(crate) moment_type: Option<String>,
    /// Not before this time.
    // By the start of the moment, without `to`.
    #[param(value_type = Option<Time>)]
    pub(crate) from: Option<EventTime>,
    /// Before this time.
    #[param(value_type = Option<Time>)]
    pub(crate) to: Option<EventTime>,
    /// Only those that are open.
    #[param(required = false, default = false)]
    pub(crate) open: bool,
    /// Only those with a `chance` of at most this; 0.1 leaves a list of which about a tenth is chance. With 1, all.
    // `None` if there is no limit.
    #[param(minimum = 0, maximum = 1, default = 1)]
    pub(crate) max_chance: Option<f64>,
}

/// The query for the moments of a stream.
#[derive(Clone, Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MomentQuery {
    #[param(ignore)]
    pub(crate) filter: MomentFilter,
    /// The rows after the page that had this as its `next_cursor`.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}-[0-9a-f]{32}$")]
    pub(crate) cursor: Option<Cursor>,
    /// The greatest number of moments in the answer.
    #[param(required = false, minimum = 1, maximum = 1_000, default = 100)]
    pub(crate) limit: usize,
}

/// A place in a list of moments, newest first: several may begin at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) started_at: EventTime,
    pub(crate) moment_id: String,
}

impl Cursor {
    pub(crate) fn after(moment: &MomentInfo) -> Self {
        Self { started_at: moment.started_at.0, moment_id: moment.moment_id.clone() }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.started_at.0, self.moment_id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (started_at, moment_id) = text.split_once('-').ok_or(())?;
        let is_id =
            moment_id.len() == 32 && moment_id.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        let is_number = !started_at.is_empty() && started_at.bytes().all(|byte| byte.is_ascii_digit());
        let started_at = started_at.parse().ok().filter(|_| is_id && is_number).ok_or(())?;
        Ok(Self { started_at: EventTime(started_at), moment_id: moment_id.to_owned() })
    }
}

impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of rows of which one more than `limit` was asked for: so many, and whether there are more.
fn page<T>(mut rows: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

/// A page that was found newest first, as it is answered.
fn oldest_first<T>((mut rows, more): (Vec<T>, bool)) -> (Vec<T>, bool) {
    rows.reverse();
    (rows, more)
}
