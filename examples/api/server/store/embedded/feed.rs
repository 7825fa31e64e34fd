//! What the live view tells, as the service says it.

use std::sync::Arc;

use telemetra::http::{Feed, News, Pending, Position};
use telemetra::sinks::{Notice, Subscription};

use crate::server::model::Message;
use crate::server::store::Update;

pub(super) fn update(life: &Arc<str>, update: &telemetra::sinks::Update) -> Update {
    let message = |change| Message::of(&update.subject, change, update.time);
    Update {
        stream_id: update.subject.to_string(),
        time: update.time,
        messages: update.changes.iter().filter_map(message).collect(),
        at: Position::new(Arc::clone(life), update.time).after(Arc::clone(&update.subject), update.time),
    }
}

pub(super) struct LiveFeed {
    pub(super) changes: Subscription,
    pub(super) life: Arc<str>,
}

impl Feed for LiveFeed {
    fn next(&mut self) -> Pending<'_, Option<News>> {
        Box::pin(async {
            Some(match self.changes.recv_async().await? {
                Notice::Changed(changes) => News::Told(update(&self.life, &changes).told()),
                Notice::Missed(_) => News::Gap,
            })
        })
    }
}
