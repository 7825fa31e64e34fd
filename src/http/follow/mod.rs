//! Followers of changes, by WebSocket and by server-sent events, over any source of changes.
//!
//! There is one feed of changes, whose messages are written as JSON once and shared by all followers. A
//! follower first receives a beginning, which is a snapshot or the changes since its last position, and then
//! each change that the beginning does not contain. The number of messages that wait for a follower is
//! bounded; one that falls behind is disconnected, so that it delays nobody, and can resume from its
//! position.

mod events;
mod hub;
mod open;
mod position;
mod session;
mod socket;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use telemetra_core::EventTime;

pub use open::{Live, Upgrade};
pub use position::Position;
pub(super) use position::unhex;

/// The error of a source of changes ([`Follow`]). It is logged, and the client is disconnected with the advice to
/// connect again.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A boxed future that a method of [`Follow`] or [`Feed`] returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of changes by key, which clients follow by [`Live`] over WebSockets or server-sent events.
/// [`router`](crate::http::router) has an implementation over a live view; implement this trait to serve changes of
/// another store, for example of a database that another process writes.
///
/// # Contract
///
/// * **Beginnings are complete.** A beginning contains everything that the feed returned before it was asked
///   for.
/// * **In order.** The feed returns the changes of a key in the order of time, at most once for each time.
/// * **By key within a time.** The feed returns the changes of several keys at one time in the order of the keys. A
///   feed that does not is allowed, but a client that resumes within such a time gets some changes twice.
pub trait Follow: Send + Sync + 'static {
    /// Returns the first messages to a follower: a snapshot, or the changes since its position. A position of
    /// another run of the source must be treated as if there were none. `latest` is the greatest time that the
    /// feed has returned.
    fn begin<'a>(
        &'a self,
        request: &'a FollowRequest,
        latest: Option<EventTime>,
    ) -> Pending<'a, Result<Beginning, Failure>>;

    /// Returns the message that a follower is sent at each heartbeat, as JSON.
    fn heartbeat(&self) -> String;

    /// Starts a feed of the changes from now on.
    fn feed(&self) -> Box<dyn Feed>;
}

/// Returns a new id for one run of a source of changes, for its [positions](Position). A source needs a new id
/// whenever event times of earlier positions are no longer valid, such as after a restart without stored state.
#[must_use]
pub fn new_run_id() -> Arc<str> {
    format!("{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0)).into()
}

/// A stream of the changes of a source.
///
/// # Contract
///
/// * **Gaps are reported.** If changes were lost, the next item is [`FeedItem::Gap`].
pub trait Feed: Send {
    /// Waits for the next change; `None` when there will be no more.
    fn next(&mut self) -> Pending<'_, Option<FeedItem>>;
}

/// An item of a [`Feed`].
#[derive(Clone, Debug)]
pub enum FeedItem {
    /// The changes of one key.
    Changes(KeyChanges),
    /// Changes were lost: all followers have to begin again.
    Gap,
}

/// The changes of one key at one event time, as messages.
#[derive(Clone, Debug)]
pub struct KeyChanges {
    /// The key.
    pub key: Arc<str>,
    /// The event time at which the changes took effect.
    pub time: EventTime,
    /// The messages to followers about the changes, each as JSON without line breaks.
    pub messages: Vec<String>,
    /// The position after the last message, from which a follower resumes.
    pub at: Position,
}

/// The request of a follower: what to follow, and from where.
#[derive(Clone, Debug)]
pub struct FollowRequest {
    /// The key to follow; `None` for all.
    pub key: Option<String>,
    /// The position to resume from: the follower knows everything up to there. `None` if it knows nothing.
    pub from: Option<Position>,
    /// The span of event time before now that a snapshot should cover, in milliseconds.
    pub history: u64,
}

/// The first messages to a follower: a snapshot, or the changes since its position.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// The messages, each as JSON without line breaks, with the position from which a client resumes after the
    /// message. With `None`, a client whose connection breaks after that message has to begin again.
    pub messages: Vec<(String, Option<Position>)>,
    /// The event times up to which the follower knows each key after these messages. Earlier changes of the feed are not sent to it.
    pub known: Known,
}

/// The event times up to which a follower knows each key.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The position up to which the follower knows all keys.
    pub all: Option<Position>,
    /// The keys that the follower knows up to a later time than `all`.
    pub by_key: HashMap<Arc<str>, EventTime>,
}

impl Known {
    /// Returns whether the follower knows the changes of a key at a time.
    #[must_use]
    pub fn has(&self, key: &str, time: EventTime) -> bool {
        self.all.as_ref().is_some_and(|position| position.has(key, time))
            || self.by_key.get(key).is_some_and(|known| time <= *known)
    }
}
