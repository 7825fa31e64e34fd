//! The messages to followers: a snapshot, or what changed since the client was last here, and then each change as it comes.

use std::sync::Arc;

use telemetra::core::EventTime;
use telemetra::http::{
    Beginning, Failure, Feed, Follow, FollowRequest, KeyChanges, Known, Pending, Position,
};
use tokio::sync::watch;

use super::app::Progress;
use super::model::{Message, Time};
use super::store::{NotResumed, Overview, Since, Snapshot, Store};

/// The changes of a store.
pub(crate) struct Changes {
    store: Arc<dyn Store>,
    progress: watch::Receiver<Progress>,
}

impl Changes {
    pub(crate) fn new(store: Arc<dyn Store>, progress: watch::Receiver<Progress>) -> Self {
        Self { store, progress }
    }

    /// The changes after a position, or why they are not known.
    async fn resume(
        &self,
        request: &FollowRequest,
        from: &Position,
    ) -> anyhow::Result<Result<Beginning, NotResumed>> {
        let (as_of, updates, known) = match self.store.changes_since(request.key.as_deref(), from).await? {
            Since::Known { as_of, updates, known } => (as_of, updates, known),
            Since::Refused(why) => return Ok(Err(why)),
        };
        let resumed = Message::Resumed {
            life: known.run().to_owned(),
            since: Time(from.complete().unwrap_or_default()),
            as_of: as_of.map(Time),
            cursor: from.to_string(),
        };
        let mut messages = vec![(serde_json::to_string(&resumed)?, Some(from.clone()))];
        for update in updates {
            let KeyChanges { messages: texts, at, .. } = update.into_changes();
            let last = texts.len().saturating_sub(1);
            let texts = texts.into_iter().enumerate();
            messages.extend(texts.map(|(n, text)| (text, (n == last).then(|| at.clone()))));
        }
        let known = Known { all: Some(known), ..Known::default() };
        Ok(Ok(Beginning { messages, known }))
    }

    /// All of a stream, or what is newest of all.
    async fn snapshot(
        &self,
        request: &FollowRequest,
        told: Option<EventTime>,
        not_resumed: Option<NotResumed>,
    ) -> anyhow::Result<Beginning> {
        let run = async |at: &Option<Position>| match at {
            Some(at) => anyhow::Ok(at.run().to_owned()),
            None => Ok(self.store.run().await?.as_deref().unwrap_or_default().to_owned()),
        };
        let (message, known, at) = match &request.key {
            Some(id) => {
                let Snapshot { as_of, at, stream, metrics, moments } =
                    self.store.snapshot(id, request.history, told).await?;
                let (run, as_of, cursor) =
                    (run(&at).await?, as_of.map(Time), at.as_ref().map(ToString::to_string));
                let message =
                    Message::Snapshot { life: run, as_of, stream, metrics, moments, cursor, not_resumed };
                (message, Known { all: at.clone(), ..Known::default() }, at)
            }
            None => {
                let Overview { as_of, at, known, streams, moments } = self.store.overview(told).await?;
                let (run, as_of, cursor) =
                    (run(&at).await?, as_of.map(Time), at.as_ref().map(ToString::to_string));
                let message = Message::Overview { life: run, as_of, streams, moments, cursor, not_resumed };
                (message, known, at)
            }
        };
        Ok(Beginning { messages: vec![(serde_json::to_string(&message)?, at)], known })
    }
}

impl Follow for Changes {
    fn begin<'a>(
        &'a self,
        request: &'a FollowRequest,
        told: Option<EventTime>,
    ) -> Pending<'a, Result<Beginning, Failure>> {
        Box::pin(async move {
            let refused = match &request.from {
                None => None,
                Some(from) => match self.resume(request, from).await? {
                    Ok(beginning) => return Ok(beginning),
                    Err(why) => Some(why),
                },
            };
            Ok(self.snapshot(request, told, refused).await?)
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
