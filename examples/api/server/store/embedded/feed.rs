//! What the live view tells, as the service says it.

use std::future::Future;
use std::pin::Pin;

use telemetra::sinks::{Notice, Subscription};

use crate::server::model::Message;
use crate::server::store::{Feed, News, Update};

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
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<News>> + Send + '_>> {
        Box::pin(async {
            Some(match self.0.recv_async().await? {
                Notice::Changed(changes) => News::Update(update(&changes)),
                Notice::Missed(_) => News::Gap,
            })
        })
    }
}
