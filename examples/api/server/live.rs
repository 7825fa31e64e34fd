//! What followers are told: a snapshot, or what changed since the client was last here, and then each change as it comes.

use std::sync::Arc;

use telemetra::core::EventTime;
use telemetra::http::{Beginning, Failure, Feed, Follow, Known, Pending, Position, Wish, new_life};
use tokio::sync::watch;

use super::app::Progress;
use super::model::{Message, Time};
use super::store::Store;

/// The changes of a store.
pub(crate) struct Changes {
    store: Arc<dyn Store>,
    progress: watch::Receiver<Progress>,
    life: Arc<str>,
}

impl Changes {
    pub(crate) fn new(store: Arc<dyn Store>, progress: watch::Receiver<Progress>) -> Self {
        Self { store, progress, life: new_life() }
    }

    fn at(&self, time: EventTime) -> Position {
        Position { life: Arc::clone(&self.life), time, key: None }
    }

    /// What changed after a position; `None` if that is not known.
    async fn resume(&self, wish: &Wish, from: &Position) -> anyhow::Result<Option<Beginning>> {
        // First: what is newer comes by the feed.
        let (Some(since), Some(as_of)) = (from.complete(), self.store.as_of().await?) else {
            return Ok(None);
        };
        let Some(updates) = self.store.changes_since(wish.key.as_deref(), since).await? else {
            return Ok(None);
        };
        let resumed = Message::Resumed {
            life: self.life.to_string(),
            since: Time(from.time),
            as_of: Some(Time(as_of)),
        };
        let mut messages = vec![(serde_json::to_string(&resumed)?, Some(from.clone()))];
        let mut told: Vec<_> = updates.iter().map(|update| update.told()).collect();
        told.retain(|told| told.time <= as_of && !from.has(&told.key, told.time));
        told.sort_by(|a, b| (a.time, &a.key).cmp(&(b.time, &b.key)));
        for update in told {
            let last = update.messages.len().saturating_sub(1);
            let at = Position { key: Some(update.key), ..self.at(update.time) };
            let messages_ = update.messages.into_iter().enumerate();
            messages.extend(messages_.map(|(n, text)| (text, (n == last).then(|| at.clone()))));
        }
        let known = Known { all: Some(self.at(as_of)), ..Known::default() };
        Ok(Some(Beginning { messages, known }))
    }

    /// All of a stream, or what is newest of all.
    async fn snapshot(&self, wish: &Wish, told: Option<EventTime>) -> anyhow::Result<Beginning> {
        let life = self.life.to_string();
        let (message, known, at) = match &wish.key {
            Some(id) => {
                let snapshot = self.store.snapshot(id, wish.history, told).await?;
                let all = snapshot.updated.map(|time| self.at(time));
                let message = Message::Snapshot {
                    life,
                    as_of: snapshot.as_of.map(Time),
                    stream: snapshot.stream,
                    metrics: snapshot.metrics,
                    moments: snapshot.moments,
                };
                (message, Known { all: all.clone(), ..Known::default() }, all)
            }
            None => {
                let all = self.store.overview(told).await?;
                let by_key = all.known.into_iter().map(|(id, time)| (id.into(), time)).collect();
                let (as_of, streams, moments) = (all.as_of.map(Time), all.streams, all.moments);
                let at = all.as_of.map(|time| self.at(time));
                (Message::Overview { life, as_of, streams, moments }, Known { all: None, by_key }, at)
            }
        };
        Ok(Beginning { messages: vec![(serde_json::to_string(&message)?, at)], known })
    }
}

impl Follow for Changes {
    fn life(&self) -> Arc<str> {
        Arc::clone(&self.life)
    }

    fn begin<'a>(
        &'a self,
        wish: &'a Wish,
        told: Option<EventTime>,
    ) -> Pending<'a, Result<Beginning, Failure>> {
        Box::pin(async move {
            if let Some(from) = &wish.from
                && let Some(beginning) = self.resume(wish, from).await?
            {
                return Ok(beginning);
            }
            Ok(self.snapshot(wish, told).await?)
        })
    }

    fn heartbeat(&self) -> String {
        let as_of = self.progress.borrow().as_of.map(Time);
        serde_json::to_string(&Message::Heartbeat { as_of }).unwrap_or_default()
    }

    fn feed(&self) -> Box<dyn Feed> {
        self.store.feed()
    }
}
