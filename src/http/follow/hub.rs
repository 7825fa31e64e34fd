//! The distribution of one feed to all followers: each message is written as JSON once and shared.
//!
//! There is a ring buffer for each key that somebody follows, and one for the followers of all keys. A ring
//! has a fixed size, so a slow follower costs nothing but its own place: it finds that the ring has
//! overwritten what it has not read, and is disconnected.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use telemetra_core::EventTime;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::{Feed, FeedItem, KeyChanges, Position};
use crate::http::limits::Limits;

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) key: Arc<str>,
    pub(super) time: EventTime,
    pub(super) text: Utf8Bytes,
    /// The position to go on from after it, if it is the last about the key at the time.
    pub(super) at: Option<Position>,
}

pub(super) struct Hub {
    /// The rings by key; `None` is all keys. Those without a follower go when the next one comes.
    rings: Mutex<HashMap<Option<Arc<str>>, Sender<Frame>>>,
    waiting: usize,
    waiting_all: usize,
    /// The greatest time that the feed has returned, in milliseconds and one more; 0 before.
    latest: AtomicU64,
}

impl Hub {
    pub(super) fn new(limits: &Limits) -> Self {
        let (waiting, waiting_all) = (limits.queue.max(1), limits.queue_all.max(1));
        Self { rings: Mutex::default(), waiting, waiting_all, latest: AtomicU64::new(0) }
    }

    fn rings(&self) -> MutexGuard<'_, HashMap<Option<Arc<str>>, Sender<Frame>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to the changes of one key, or of all, from now on.
    pub(super) fn listen(&self, key: Option<&str>) -> Receiver<Frame> {
        let mut rings = self.rings();
        if let Some(ring) = rings.get(&key.map(Arc::from)) {
            return ring.subscribe();
        }
        rings.retain(|_, ring| ring.receiver_count() > 0);
        let (ring, listener) = channel(if key.is_some() { self.waiting } else { self.waiting_all });
        rings.insert(key.map(Arc::from), ring);
        listener
    }

    /// The greatest time that the feed has returned.
    pub(super) fn latest(&self) -> Option<EventTime> {
        self.latest.load(Ordering::Acquire).checked_sub(1).map(EventTime)
    }

    /// Sends the changes of the feed to the followers, until it ends.
    pub(super) async fn run(&self, mut feed: Box<dyn Feed>) {
        while let Some(news) = feed.next().await {
            match news {
                FeedItem::Changes(changes) => self.send(changes),
                FeedItem::Gap => {
                    tracing::warn!("updates were lost: all followers have to begin again");
                    self.rings().clear();
                }
            }
        }
        self.rings().clear();
    }

    fn send(&self, changes: KeyChanges) {
        // Before it is sent: a follower that comes in between asks for it.
        self.latest.fetch_max(changes.time.0.saturating_add(1), Ordering::AcqRel);
        let listened = |key| self.rings().get(key).filter(|ring| ring.receiver_count() > 0).cloned();
        let rings = [listened(&Some(Arc::clone(&changes.key))), listened(&None)];
        if rings.iter().all(Option::is_none) {
            return;
        }
        let last = changes.messages.len().saturating_sub(1);
        for (n, text) in changes.messages.into_iter().enumerate() {
            let (key, at) = (Arc::clone(&changes.key), (n == last).then(|| changes.at.clone()));
            let frame = Frame { key, time: changes.time, text: text.into(), at };
            for ring in rings.iter().flatten() {
                // It fails if the last follower has just gone.
                let _ = ring.send(frame.clone());
            }
        }
    }
}
