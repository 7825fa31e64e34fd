//! The changes of a live view, as messages to followers.

use std::sync::Arc;

use serde::Serialize;
use telemetra_core::{EventTime, Shape};
use telemetra_sinks::{Notice, Subscription, Update};
use utoipa::ToSchema;

use super::follow::{
    Beginning, Failure, Feed, FeedItem, Follow, FollowRequest, KeyChanges, Known, Pending, Position,
    new_run_id,
};
use super::row::{ChangeBody, RowBody};
use super::time::Time;
use super::view::{Held, View};

/// The number of updates that may wait: a whole window of very many keys.
const WAITING: usize = 1 << 16;

/// A message to a follower: one text frame of a WebSocket, or one server-sent event. Its field `type` is the kind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Message {
    /// The rows as of a time, which replace all earlier messages.
    Snapshot {
        /// The position after this message; null before there are any rows.
        cursor: Option<String>,
        as_of: Option<Time>,
        rows: Vec<RowBody>,
    },
    /// The confirmation that the client resumes from its cursor. The changes after the cursor follow: each row once,
    /// as it is now, or as it was when it was withdrawn.
    Resumed {
        /// The cursor that the client sent.
        cursor: String,
        as_of: Option<Time>,
    },
    /// The changes of the rows of one key at one event time.
    Changes {
        key: String,
        /// The event time at which the changes took effect.
        time: Time,
        /// The position after this message.
        cursor: String,
        changes: Vec<ChangeBody>,
    },
    /// A message at regular intervals, also if nothing changes.
    Heartbeat { as_of: Option<Time> },
}

impl Message {
    fn json(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string(self)?)
    }
}

/// The changes of a live view.
pub(super) struct Changes {
    view: Arc<dyn View>,
    run: Arc<str>,
}

impl Changes {
    pub(super) fn new(view: Arc<dyn View>) -> Self {
        Self { view, run: new_run_id() }
    }

    /// The position at which all is known up to a time.
    fn at(&self, time: EventTime) -> Position {
        Position::new(Arc::clone(&self.run), time)
    }

    /// The changes after a position, up to a time that all keys have reached; `None` if not all of that is
    /// held. What is newer comes by the feed.
    fn resume(
        &self,
        key: Option<&str>,
        from: &Position,
        as_of: EventTime,
    ) -> Result<Option<Beginning>, Failure> {
        let Some(since) = from.complete() else { return Ok(None) };
        let keys = match key {
            Some(key) => vec![Arc::from(key)],
            None => self.view.keys().into_iter().map(|(key, _)| key).collect(),
        };
        let mut updates = Vec::new();
        for key in keys {
            let Some(changes) = self.view.changes_since(&key, since) else { return Ok(None) };
            updates.extend(changes);
        }
        // Where there is no key, there is still the question whether all changes are known.
        if self.view.known_since().is_none_or(|known| since < known) || since > as_of {
            return Ok(None);
        }
        updates.retain(|update| update.time <= as_of && !from.has(&update.subject, update.time));
        updates.sort_by(|a, b| (a.time, &a.subject).cmp(&(b.time, &b.subject)));
        let resumed = Message::Resumed { cursor: from.to_string(), as_of: Some(as_of.into()) };
        let mut messages = vec![(resumed.json()?, Some(from.clone()))];
        for update in &updates {
            messages.extend(message(&*self.view, &self.run, update)?.map(|(text, at)| (text, Some(at))));
        }
        Ok(Some(Beginning { messages, known: Known { all: Some(self.at(as_of)), ..Known::default() } }))
    }

    /// The rows of a key or of all, as of a time that all keys have reached. A row that changed after it is
    /// not among them: it comes by the feed.
    fn snapshot(
        &self,
        key: Option<&str>,
        history: u64,
        as_of: Option<EventTime>,
    ) -> Result<Beginning, Failure> {
        let keys = match key {
            Some(key) => vec![Arc::from(key)],
            None => self.view.keys().into_iter().map(|(key, _)| key).collect(),
        };
        let mut rows = Vec::new();
        if let Some(as_of) = as_of {
            for key in keys {
                let held = self.view.rows(&key, &|_| true).unwrap_or_default();
                let recent = recent(held, as_of, as_of.minus(history));
                rows.extend(recent.iter().map(RowBody::new).collect::<Result<Vec<_>, _>>()?);
            }
        }
        let all = as_of.map(|as_of| self.at(as_of));
        let cursor = all.as_ref().map(Position::to_string);
        let text = Message::Snapshot { cursor, as_of: as_of.map(Time), rows }.json()?;
        Ok(Beginning { messages: vec![(text, all.clone())], known: Known { all, ..Known::default() } })
    }
}

/// Of the rows of a key as of a time: the newest window, those that ended since then, and those that describe
/// the present.
fn recent(mut rows: Vec<Held>, as_of: EventTime, since: EventTime) -> Vec<Held> {
    rows.retain(|held| held.time <= as_of);
    let is_window = |held: &Held| held.row.table().row_shape() == Shape::Windows;
    let newest = rows.iter().filter(|held| is_window(held)).filter_map(|held| held.row.time()).max();
    rows.retain(|held| {
        let time = held.row.time();
        time.is_none_or(|time| time >= since) || (is_window(held) && time == newest)
    });
    rows
}

/// The message about an update, and where it is; `None` if it is of rows that the view does not keep, as a
/// client that comes back could not be sent what it missed of them.
fn message(view: &dyn View, run: &Arc<str>, update: &Update) -> Result<Option<(String, Position)>, Failure> {
    let held = update.changes.iter().filter(|change| view.keeps(&*change.row));
    let changes: Vec<_> =
        held.map(|change| ChangeBody::new(change, update.time)).collect::<Result<_, _>>()?;
    if changes.is_empty() {
        return Ok(None);
    }
    let (time, key) = (update.time, Arc::clone(&update.subject));
    let at = Position::new(Arc::clone(run), time).after(key, time);
    let (key, cursor) = (update.subject.to_string(), at.to_string());
    let text = Message::Changes { key, time: time.into(), cursor, changes }.json()?;
    Ok(Some((text, at)))
}

impl Follow for Changes {
    fn begin<'a>(
        &'a self,
        request: &'a FollowRequest,
        _latest: Option<EventTime>,
    ) -> Pending<'a, Result<Beginning, Failure>> {
        Box::pin(async {
            // Before all else: what is read then is at least as of that time, and what comes after it is told
            // by the feed, to which the follower listens already.
            let as_of = self.view.as_of();
            let key = request.key.as_deref();
            let from = request.from.as_ref().filter(|from| from.run() == &*self.run && from.shards() == 1);
            if let (Some(from), Some(as_of)) = (from, as_of)
                && let Some(beginning) = self.resume(key, from, as_of)?
            {
                return Ok(beginning);
            }
            self.snapshot(key, request.history, as_of)
        })
    }

    fn heartbeat(&self) -> String {
        // Two words and a time: there is nothing in it that JSON cannot say.
        Message::Heartbeat { as_of: self.view.as_of().map(Time) }.json().unwrap_or_default()
    }

    fn feed(&self) -> Box<dyn Feed> {
        let (view, run) = (Arc::clone(&self.view), Arc::clone(&self.run));
        let changes = view.subscribe(WAITING);
        Box::new(Updates { changes, view, run })
    }
}

struct Updates {
    changes: Subscription,
    view: Arc<dyn View>,
    run: Arc<str>,
}

impl Feed for Updates {
    fn next(&mut self) -> Pending<'_, Option<FeedItem>> {
        Box::pin(async {
            loop {
                let update = match self.changes.recv_async().await? {
                    Notice::Changed(update) => update,
                    Notice::Missed(_) => return Some(FeedItem::Gap),
                };
                match message(&*self.view, &self.run, &update) {
                    Ok(Some((text, at))) => {
                        let (key, time) = (Arc::clone(&update.subject), update.time);
                        return Some(FeedItem::Changes(KeyChanges { key, time, messages: vec![text], at }));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        // Left out, it would be a gap that nobody sees.
                        tracing::error!("a change cannot be sent: {error:#}");
                        return Some(FeedItem::Gap);
                    }
                }
            }
        })
    }
}
