//! What the live view tells, as the service says it.

use telemetra::http::{Feed, News, Pending};
use telemetra::sinks::{Notice, Subscription};

use crate::server::model::Message;
use crate::server::store::Update;

pub(super) fn update(update: &telemetra::sinks::Update) -> Update {
    let message = |change| Message::of(&update.subject, change, update.time);
    Update {
        stream_id: update.subject.to_string(),
        time: update.time,
        messages: update.changes.iter().filter_map(message).collect(),
    }
}

pub(super) struct LiveFeed(pub(super) Subscription);

impl Feed for LiveFeed {
    fn next(&mut self) -> Pending<'_, Option<News>> {
        Box::pin(async {
            Some(match self.0.recv_async().await? {
                Notice::Changed(changes) => News::Told(update(&changes).told()),
                Notice::Missed(_) => News::Gap,
            })
        })
    }
}
