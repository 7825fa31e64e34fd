//! Followers of changes, by WebSocket and by server-sent events, over any source of changes.
//!
//! There is one feed of changes, whose messages are written as JSON once and shared by all followers. A
//! follower is sent a beginning, which is a snapshot or what changed since it was last there, and then each
//! change that the beginning does not have. Each may have a bounded number of messages waiting; one that
//! falls behind is disconnected, so that it holds up nobody, and can go on where it was.

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

/// Why a source of changes could not answer. It is logged; the client is told to try again.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A pending answer of a source of changes.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of changes that clients follow by [`Live`]. [`router`](crate::http::router) has one over a live
/// view; implement it to serve changes from elsewhere.
///
/// # Contract
///
/// * **Told is known.** A beginning has all that the feed told before it was asked for.
/// * **In order.** The feed tells of a key in the order of time, at most once for each time. Of several keys with
///   one time it tells in the order of keys, if positions among them are to be resumed without repetition.
pub trait Follow: Send + Sync + 'static {
    /// What a follower is sent first. A position of another life means nothing: it is answered as if there were
    /// none. `told` is the greatest time that the feed has told.
    fn begin<'a>(
        &'a self,
        wish: &'a Wish,
        told: Option<EventTime>,
    ) -> Pending<'a, Result<Beginning, Failure>>;

    /// What a follower is sent at each heartbeat, as JSON.
    fn heartbeat(&self) -> String;

    /// Tells what changes from now on.
    fn feed(&self) -> Box<dyn Feed>;
}

/// Makes the id of a life of a source, for its [positions](Position). What is resumed in another life would be
/// a mixture of two.
#[must_use]
pub fn new_life() -> Arc<str> {
    format!("{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0)).into()
}

/// The changes of a source, one after the other.
pub trait Feed: Send {
    /// The next news; `None` when there will be no more.
    fn next(&mut self) -> Pending<'_, Option<News>>;
}

/// What a [`Feed`] tells.
#[derive(Clone, Debug)]
pub enum News {
    /// Something changed.
    Told(Told),
    /// Changes were lost: all followers have to begin again.
    Gap,
}

/// The changes of one key at one time.
#[derive(Clone, Debug)]
pub struct Told {
    /// The key.
    pub key: Arc<str>,
    /// The event time at which they took effect.
    pub time: EventTime,
    /// The messages about them, as JSON without line breaks.
    pub messages: Vec<String>,
    /// Where a follower goes on after the last of them.
    pub at: Position,
}

/// What a follower asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The key; `None` for all.
    pub key: Option<String>,
    /// Where it was: it knows everything up to there. `None` if it knows nothing.
    pub from: Option<Position>,
    /// How much of the past it wants in a snapshot, in milliseconds.
    pub history: u64,
}

/// What a follower is sent first.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// The messages, as JSON without line breaks, and where to go on after each; `None` where a client that
    /// loses its connection has to begin again.
    pub messages: Vec<(String, Option<Position>)>,
    /// What is known after them: of this the feed's messages are left out.
    pub known: Known,
}

/// Up to which time a follower knows each key.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// All keys up to there.
    pub all: Option<Position>,
    /// Single keys up to a later time.
    pub by_key: HashMap<Arc<str>, EventTime>,
}

impl Known {
    /// Whether it has what was told of a key at a time.
    #[must_use]
    pub fn has(&self, key: &str, time: EventTime) -> bool {
        self.all.as_ref().is_some_and(|position| position.has(key, time))
            || self.by_key.get(key).is_some_and(|known| time <= *known)
    }
}
