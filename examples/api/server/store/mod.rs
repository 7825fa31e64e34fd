//! Where answers come from.

pub(crate) mod across;
pub(crate) mod archive;
pub(crate) mod embedded;
pub(crate) mod servers;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use telemetra::core::EventTime;

use super::model::{Message, Metrics, MomentInfo, StreamInfo};
use super::operations::{Letter, LettersQuery, Operations};
use across::{AcrossQuery, LinesQuery, Point};

/// An answer that may take a while.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;

/// All that the service reads.
///
/// # Contract
///
/// * **Whole.** What is said of one stream in one answer is as of one event time, or of a later one in parts that come from tables.
/// * **Seen when told.** A snapshot or an overview has what [`feed`](Self::feed) told before it was asked for.
/// * **In order.** The feed tells of a stream in the order of time; who has a stream as of T needs what it tells after T, and no more.
pub(crate) trait Store: Send + Sync {
    /// The event time that all answers have reached.
    fn as_of(&self) -> Answer<'_, Option<EventTime>>;

    /// What it is made of, and what is wrong with each part.
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

    /// A stream, with all that was told up to `told`, and with its windows that ended within `history` milliseconds, and their moments; empty if it is not known yet.
    fn snapshot<'a>(&'a self, id: &'a str, history: u64, told: Option<EventTime>) -> Answer<'a, Snapshot>;

    /// All streams, with all that was told up to `told`, and their open moments.
    fn overview(&self, told: Option<EventTime>) -> Answer<'_, Overview>;

    /// What changed in one stream or in all after a time, in the order of time; `None` if that is not known, and only a snapshot
    /// will do.
    fn changes_since<'a>(&'a self, id: Option<&'a str>, since: EventTime) -> Answer<'a, Option<Vec<Update>>>;

    /// How what makes the answers is doing.
    fn operations(&self) -> Answer<'_, Operations>;

    /// What was not counted: of the letters asked for the first `limit`, and whether there are more.
    fn letters<'a>(&'a self, query: &'a LettersQuery) -> Answer<'a, (Vec<Letter>, bool)>;

    /// Tells what changes from now on.
    fn feed(&self) -> Box<dyn Feed>;
}

/// Tells what changes.
pub(crate) trait Feed: Send {
    /// The next news; `None` when there will be no more.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<News>> + Send + '_>>;
}

pub(crate) enum News {
    Update(Update),
    /// Something was missed: who follows has to begin again.
    Gap,
}

/// The changes of one stream at one time.
pub(crate) struct Update {
    pub(crate) stream_id: String,
    pub(crate) time: EventTime,
    pub(crate) messages: Vec<Message>,
}

/// One stream: with all of its changes up to `updated`, and none after.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) as_of: Option<EventTime>,
    pub(crate) updated: Option<EventTime>,
    pub(crate) stream: Option<StreamInfo>,
    pub(crate) metrics: Vec<Metrics>,
    pub(crate) moments: Vec<MomentInfo>,
}

/// All streams: each with all of its changes up to the time that is `known` of it, and none after.
pub(crate) struct Overview {
    pub(crate) as_of: Option<EventTime>,
    pub(crate) known: HashMap<String, EventTime>,
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

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Rate,
    Viewers,
    Name,
}

#[derive(Clone, Debug)]
pub(crate) struct StreamQuery {
    pub(crate) order: Order,
    pub(crate) live: bool,
    /// In lower case.
    pub(crate) search: Option<String>,
    pub(crate) offset: u64,
    pub(crate) limit: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct MetricsQuery {
    /// By the end of the window, without `to`.
    pub(crate) from: Option<EventTime>,
    pub(crate) to: Option<EventTime>,
    /// Windows that end at a multiple of so many milliseconds.
    pub(crate) resolution: u64,
    pub(crate) limit: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct MomentQuery {
    pub(crate) moment_type: Option<String>,
    /// By the start of the moment, without `to`.
    pub(crate) from: Option<EventTime>,
    pub(crate) to: Option<EventTime>,
    pub(crate) open: bool,
    /// The greatest chance, if there is a limit.
    pub(crate) max_chance: Option<f64>,
    /// After this one.
    pub(crate) cursor: Option<Cursor>,
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

/// A page that was found newest first, as it is told.
fn oldest_first<T>((mut rows, more): (Vec<T>, bool)) -> (Vec<T>, bool) {
    rows.reverse();
    (rows, more)
}
