//! One WebSocket: a snapshot, or what changed since the client was last here, and then each change as it comes.

use std::collections::HashMap;
use std::time::Instant;

use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket};
use telemetra::core::EventTime;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, interval, timeout};

use super::app::App;
use super::hub;
use super::model::{Message, Time};

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Wish {
    /// `None` for all.
    pub(crate) stream: Option<String>,
    /// The time up to which it knows everything, and of which life of the service it knows it.
    pub(crate) since: Option<EventTime>,
    pub(crate) life: Option<String>,
    /// How much of the past it wants, in milliseconds.
    pub(crate) history: u64,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client went, or its connection broke.
    Gone,
    Stopping,
    /// It took too long to accept what it is sent.
    Slow(String),
    /// It did not answer a ping.
    Silent,
    /// The feed ended or had a gap, or the store did not answer.
    Again(&'static str),
}

impl End {
    /// Status codes as RFC 6455 has them; 4008 is ours.
    fn frame(&self) -> Option<(u16, &str)> {
        match self {
            Self::Gone => None,
            Self::Stopping => Some((1001, "the service stops; connect again")),
            Self::Slow(why) => Some((4008, why)),
            Self::Silent => Some((1002, "no ping was answered")),
            Self::Again(why) => Some((1012, why)),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Stopping => "stopping",
            Self::Slow(_) => "slow",
            Self::Silent => "silent",
            Self::Again(_) => "again",
        }
    }
}

pub(crate) async fn serve(mut socket: WebSocket, app: App, wish: Wish) {
    metrics::gauge!("telemetra_api_websocket_clients").increment(1.0);
    let mut session =
        Session { app: &app, socket: &mut socket, known: Known::default(), heard: Instant::now() };
    let Err(end) = session.run(&wish).await;
    tracing::debug!(?end, stream = wish.stream, "a websocket ended");
    metrics::counter!("telemetra_api_websocket_ends_total", "reason" => end.name()).increment(1);
    metrics::gauge!("telemetra_api_websocket_clients").decrement(1.0);
    if let Some((code, reason)) = end.frame() {
        let close = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
        // To one who does not read, it may not get through.
        let _ = timeout(app.limits.send, socket.send(close)).await;
    }
}

/// Up to which time a client knows each stream. What the feed tells of times up to then is in what it was sent at first.
#[derive(Default)]
struct Known {
    all: Option<EventTime>,
    by_stream: HashMap<String, EventTime>,
}

impl Known {
    fn has(&self, frame: &hub::Frame) -> bool {
        Some(frame.time) <= self.all
            || self.by_stream.get(&*frame.stream_id).is_some_and(|known| frame.time <= *known)
    }
}

struct Session<'a> {
    app: &'a App,
    socket: &'a mut WebSocket,
    known: Known,
    /// When the client last said something.
    heard: Instant,
}

impl Session<'_> {
    async fn run(&mut self, wish: &Wish) -> Result<std::convert::Infallible, End> {
        // In this order: what changes in between is told twice, and told apart by its time.
        let mut news = self.app.hub.listen(wish.stream.as_deref());
        let failed = |error: anyhow::Error| {
            tracing::warn!("could not begin a websocket: {error:#}");
            End::Again("the store of answers cannot be reached; connect again")
        };
        for message in self.beginning(wish).await.map_err(failed)? {
            self.say(&message).await?;
        }
        let mut heartbeat = interval(self.app.limits.heartbeat);
        heartbeat.reset();
        self.follow(&mut news, &mut heartbeat).await
    }

    /// What the client is told first.
    async fn beginning(&mut self, wish: &Wish) -> anyhow::Result<Vec<Message>> {
        let (store, life) = (&self.app.store, || self.app.life.clone());
        let same_life = wish.life.as_ref().is_none_or(|life| *life == self.app.life);
        if let Some(since) = wish.since.filter(|_| same_life)
            && let Some(updates) = store.changes_since(wish.stream.as_deref(), since).await?
        {
            self.known.all = Some(since);
            let as_of = store.as_of().await?.map(Time);
            let mut messages = vec![Message::Resumed { life: life(), since: Time(since), as_of }];
            for update in updates {
                self.known.by_stream.insert(update.stream_id, update.time);
                messages.extend(update.messages);
            }
            return Ok(messages);
        }
        Ok(vec![match &wish.stream {
            Some(id) => {
                let snapshot = store.snapshot(id, wish.history, self.app.hub.told()).await?;
                self.known.all = snapshot.updated;
                Message::Snapshot {
                    life: life(),
                    as_of: snapshot.as_of.map(Time),
                    stream: snapshot.stream,
                    metrics: snapshot.metrics,
                    moments: snapshot.moments,
                }
            }
            None => {
                let all = store.overview(self.app.hub.told()).await?;
                self.known.by_stream = all.known;
                let (as_of, streams, moments) = (all.as_of.map(Time), all.streams, all.moments);
                Message::Overview { life: life(), as_of, streams, moments }
            }
        }])
    }

    async fn follow(
        &mut self,
        news: &mut Receiver<hub::Frame>,
        heartbeat: &mut Interval,
    ) -> Result<std::convert::Infallible, End> {
        let mut stopped = std::pin::pin!(self.app.stopped());
        loop {
            tokio::select! {
                told = news.recv() => match told {
                    Ok(frame) if self.known.has(&frame) => {}
                    Ok(frame) => self.send(frame.text).await?,
                    Err(RecvError::Lagged(missed)) => return Err(End::Slow(format!(
                        "too slow: {missed} messages were missed; connect again with `since`"
                    ))),
                    Err(RecvError::Closed) => return Err(End::Again("updates were lost; connect again")),
                },
                said = self.socket.recv() => match said {
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    // Whatever it is, it is a sign of life.
                    Some(Ok(_)) => self.heard = Instant::now(),
                },
                _ = heartbeat.tick() => {
                    if self.heard.elapsed() > self.app.limits.pong {
                        return Err(End::Silent);
                    }
                    let as_of = self.app.progress.borrow().as_of.map(Time);
                    self.say(&Message::Heartbeat { as_of }).await?;
                    self.send_frame(Frame::Ping(Default::default())).await?;
                }
                () = &mut stopped => return Err(End::Stopping),
            }
        }
    }

    async fn say(&mut self, message: &Message) -> Result<(), End> {
        match serde_json::to_string(message) {
            Ok(text) => self.send(text.into()).await,
            Err(_) => Ok(()),
        }
    }

    async fn send(&mut self, text: Utf8Bytes) -> Result<(), End> {
        metrics::counter!("telemetra_api_websocket_messages_total").increment(1);
        self.send_frame(Frame::Text(text)).await
    }

    async fn send_frame(&mut self, frame: Frame) -> Result<(), End> {
        match timeout(self.app.limits.send, self.socket.send(frame)).await {
            Ok(sent) => sent.map_err(|_| End::Gone),
            Err(_) => Err(End::Slow(
                "too slow: a message was not accepted in time; connect again with `since`".into(),
            )),
        }
    }
}
