//! The changes of the live view as messages of the service.

use std::sync::Arc;

use telemetra::http::{Feed, FeedItem, Pending, Position};
use telemetra::sinks::{Notice, Subscription};

use crate::server::model::Message;
use crate::server::store::Update;

pub(super) fn update(run: &Arc<str>, update: &telemetra::sinks::Update) -> Update {
    let message = |change| Message::of(&update.subject, change, update.time);
    Update {
        stream_id: update.subject.to_string(),
        time: update.time,
        messages: update.changes.iter().filter_map(message).collect(),
        at: Position::new(Arc::clone(run), update.time).after(Arc::clone(&update.subject), update.time),
    }
}

pub(super) struct LiveFeed {
    pub(super) changes: Subscription,
    pub(super) run: Arc<str>,
}

impl Feed for LiveFeed {
    fn next(&mut self) -> Pending<'_, Option<FeedItem>> {
        Box::pin(async {
            Some(match self.changes.recv_async().await? {
                Notice::Changed(changes) => FeedItem::Changes(update(&self.run, &changes).into_changes()),
                Notice::Missed(_) => FeedItem::Gap,
            })
        })
    }
}
