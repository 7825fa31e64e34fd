//! From one feed to all who listen: each message is written as JSON once and shared.
//!
//! The idea: a ring for each stream that somebody follows, and one for those who follow all. A ring has a fixed size, so a slow
//! listener costs nothing but its own place: it finds that the ring has passed it, and is sent away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use telemetra::core::EventTime;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::store::{Feed, News, Update};

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) stream_id: Arc<str>,
    pub(crate) time: EventTime,
    pub(crate) text: Utf8Bytes,
}

/// What may wait for one who follows all streams: a whole window of many of them.
const WAITING_ALL: usize = 1 << 14;

pub(crate) struct Hub {
    /// The rings by stream; `None` is all streams. Those without a listener go when the next one comes.
    rings: Mutex<HashMap<Option<Arc<str>>, Sender<Frame>>>,
    waiting: usize,
    /// The greatest time told, in milliseconds and one more; 0 before.
    told: AtomicU64,
}

impl Hub {
    pub(crate) fn new(waiting: usize) -> Self {
        Self { rings: Mutex::default(), waiting, told: AtomicU64::new(0) }
    }

    fn rings(&self) -> MutexGuard<'_, HashMap<Option<Arc<str>>, Sender<Frame>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is told from now on of one stream, or of all.
    pub(crate) fn listen(&self, stream: Option<&str>) -> Receiver<Frame> {
        let mut rings = self.rings();
        if let Some(ring) = rings.get(&stream.map(Arc::from)) {
            return ring.subscribe();
        }
        rings.retain(|_, ring| ring.receiver_count() > 0);
        let (ring, listener) = channel(if stream.is_some() { self.waiting } else { WAITING_ALL });
        rings.insert(stream.map(Arc::from), ring);
        listener
    }

    /// The greatest time of which something was told.
    pub(crate) fn told(&self) -> Option<EventTime> {
        self.told.load(Ordering::Acquire).checked_sub(1).map(EventTime)
    }

    /// Passes on what the feed tells, until it ends.
    pub(crate) async fn run(&self, mut feed: Box<dyn Feed>) {
        while let Some(news) = feed.next().await {
            match news {
                News::Update(update) => self.tell(update),
                News::Gap => {
                    tracing::warn!("updates were lost: all WebSockets have to begin again");
                    self.rings().clear();
                }
            }
        }
        self.rings().clear();
    }

    fn tell(&self, update: Update) {
        // Before it is told: who comes in between asks for it.
        self.told.fetch_max(update.time.0 + 1, Ordering::AcqRel);
        let stream_id: Arc<str> = update.stream_id.into();
        let listened = |key| self.rings().get(key).filter(|ring| ring.receiver_count() > 0).cloned();
        let rings = [listened(&Some(Arc::clone(&stream_id))), listened(&None)];
        if rings.iter().all(Option::is_none) {
            return;
        }
        for message in &update.messages {
            // Numbers, texts and lists: there is nothing in it that JSON cannot say.
            let Ok(text) = serde_json::to_string(message) else { continue };
            let frame = Frame { stream_id: Arc::clone(&stream_id), time: update.time, text: text.into() };
            for ring in rings.iter().flatten() {
                // It fails if the last listener has just gone.
                let _ = ring.send(frame.clone());
            }
        }
    }
}
