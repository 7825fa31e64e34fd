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

use super::{Feed, News, Position, Told};
use crate::http::limits::Limits;

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) key: Arc<str>,
    pub(super) time: EventTime,
    pub(super) text: Utf8Bytes,
    /// Where to go on after it, if it is the last about the key at the time.
    pub(super) at: Option<Position>,
}

pub(super) struct Hub {
    /// The rings by key; `None` is all keys. Those without a follower go when the next one comes.
    rings: Mutex<HashMap<Option<Arc<str>>, Sender<Frame>>>,
    waiting: usize,
    waiting_all: usize,
    /// The greatest time told, in milliseconds and one more; 0 before.
    told: AtomicU64,
}

impl Hub {
    pub(super) fn new(limits: &Limits) -> Self {
        let (waiting, waiting_all) = (limits.waiting.max(1), limits.waiting_all.max(1));
        Self { rings: Mutex::default(), waiting, waiting_all, told: AtomicU64::new(0) }
    }

    fn rings(&self) -> MutexGuard<'_, HashMap<Option<Arc<str>>, Sender<Frame>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told from now on of one key, or of all.
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

    /// The greatest time of which something was told.
    pub(super) fn told(&self) -> Option<EventTime> {
        self.told.load(Ordering::Acquire).checked_sub(1).map(EventTime)
    }

    /// Passes on what the feed tells, until it ends.
    pub(super) async fn run(&self, mut feed: Box<dyn Feed>) {
        while let Some(news) = feed.next().await {
            match news {
                News::Told(told) => self.tell(told),
                News::Gap => {
                    tracing::warn!("updates were lost: all followers have to begin again");
                    self.rings().clear();
                }
            }
        }
        self.rings().clear();
    }

    fn tell(&self, told: Told) {
        // Before it is told: who comes in between asks for it.
        self.told.fetch_max(told.time.0.saturating_add(1), Ordering::AcqRel);
        let listened = |key| self.rings().get(key).filter(|ring| ring.receiver_count() > 0).cloned();
        let rings = [listened(&Some(Arc::clone(&told.key))), listened(&None)];
        if rings.iter().all(Option::is_none) {
            return;
        }
        let last = told.messages.len().saturating_sub(1);
        for (n, text) in told.messages.into_iter().enumerate() {
            let (key, at) = (Arc::clone(&told.key), (n == last).then(|| told.at.clone()));
            let frame = Frame { key, time: told.time, text: text.into(), at };
            for ring in rings.iter().flatten() {
                // It fails if the last follower has just gone.
                let _ = ring.send(frame.clone());
            }
        }
    }
}
