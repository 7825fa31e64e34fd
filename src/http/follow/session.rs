//! The session of one follower: a beginning, then each change.

use std::convert::Infallible;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, interval};

use super::hub::Frame;
use super::open::Live;
use super::{Failure, FollowRequest, Known, Position};
use crate::http::observe::{Observed, Protocol};

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client went, or its connection broke.
    Gone,
    Stopping,
    /// It took too long to accept what it is sent.
    Slow(String),
    /// It did not answer a ping.
    Silent,
    /// The feed ended or had a gap, or the source did not answer.
    Again(&'static str),
}

impl End {
    /// Status codes as RFC 6455 has them; 4008 is ours.
    pub(super) fn code(&self) -> Option<(u16, &str)> {
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

/// A connection to a follower.
pub(super) trait Connection: Send {
    const PROTOCOL: Protocol;

    /// Sends a message. `at` is where to go on after it.
    fn send(
        &mut self,
        text: Utf8Bytes,
        at: Option<&Position>,
    ) -> impl Future<Output = Result<(), End>> + Send;

    /// Waits for a sign of life. Cancelling it loses nothing.
    fn receive(&mut self) -> impl Future<Output = Result<(), End>> + Send;

    /// Asks for a sign of life.
    fn ping(&mut self) -> impl Future<Output = Result<(), End>> + Send;
}

/// Serves one follower until it ends, and returns why.
pub(super) async fn follow(connection: &mut impl Connection, live: &Live, request: &FollowRequest) -> End {
    let by = by(connection);
    live.settings().notify(&Observed::Followed { by });
    let Err(end) = (Session { live, connection, known: Known::default() }).run(request).await;
    tracing::debug!(?end, key = request.key, "a follower ended");
    live.settings().notify(&Observed::Left { by, why: end.name() });
    end
}

fn by<C: Connection>(_: &C) -> Protocol {
    C::PROTOCOL
}

struct Session<'a, C> {
    live: &'a Live,
    connection: &'a mut C,
    known: Known,
}

impl<C: Connection> Session<'_, C> {
    async fn run(&mut self, request: &FollowRequest) -> Result<Infallible, End> {
        // In this order: what changes in between comes twice, and its time says so.
        let mut changes = self.live.hub().listen(request.key.as_deref());
        let failed = |error: Failure| {
            tracing::warn!("could not begin to send to a follower: {error:#}");
            End::Again("the answers cannot be had now; connect again")
        };
        let latest = self.live.hub().latest();
        let beginning = self.live.source().begin(request, latest).await.map_err(failed)?;
        self.known = beginning.known;
        for (text, at) in beginning.messages {
            self.send(text.into(), at.as_ref()).await?;
        }
        let mut heartbeat = interval(self.live.settings().limits.heartbeat);
        heartbeat.reset();
        self.go_on(&mut changes, &mut heartbeat).await
    }

    async fn go_on(
        &mut self,
        changes: &mut Receiver<Frame>,
        heartbeat: &mut Interval,
    ) -> Result<Infallible, End> {
        let settings = self.live.settings().clone();
        let mut stopped = std::pin::pin!(settings.stopped());
        loop {
            tokio::select! {
                frame = changes.recv() => match frame {
                    Ok(frame) if self.known.has(&frame.key, frame.time) => {}
                    Ok(frame) => {
                        let (text, at) = self.placed(frame);
                        self.send(text, at.as_ref()).await?;
                    }
                    Err(RecvError::Lagged(missed)) => return Err(End::Slow(format!(
                        "too slow: {missed} messages were missed; connect again with `since`"
                    ))),
                    Err(RecvError::Closed) => return Err(End::Again("updates were lost; connect again")),
                },
                received = self.connection.receive() => received?,
                _ = heartbeat.tick() => {
                    let text = self.live.source().heartbeat();
                    self.send(text.into(), None).await?;
                    self.connection.ping().await?;
                }
                () = &mut stopped => return Err(End::Stopping),
            }
        }
    }

    /// A message, and where this follower goes on after it: of some shards it may know more than the feed has
    /// told, from its beginning. Then the cursor in the message is another one, too.
    fn placed(&self, frame: Frame) -> (Utf8Bytes, Option<Position>) {
        let Frame { text, at: Some(at), .. } = frame else { return (frame.text, None) };
        let Some(known) = self.known.all.as_ref().filter(|known| !known.is_behind(&at)) else {
            return (text, Some(at));
        };
        let (cursor, merged) = (format!("\"cursor\":\"{at}\""), at.and(known));
        let text = match text.rfind(&cursor) {
            None => text,
            Some(place) => {
                let (before, after) = (&text[..place], &text[place + cursor.len()..]);
                format!("{before}\"cursor\":\"{merged}\"{after}").into()
            }
        };
        (text, Some(merged))
    }

    async fn send(&mut self, text: Utf8Bytes, at: Option<&Position>) -> Result<(), End> {
        self.connection.send(text, at).await?;
        self.live.settings().notify(&Observed::Sent { by: C::PROTOCOL });
        Ok(())
    }
}
