//! A follower by server-sent events (`text/event-stream`).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::Utf8Bytes;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Duration, timeout};

use super::open::Live;
use super::session::{Connection, End, follow};
use super::{FollowRequest, Position};
use crate::http::observe::Protocol;

/// The events of one follower.
struct Events(Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

struct Line {
    events: Sender<Event>,
    patience: Duration,
}

/// Answers with the events. A task of their own sends them, and ends when the client goes.
pub(super) fn serve(live: Live, request: FollowRequest) -> Response {
    // What waits is in the ring of the hub, not here.
    let (events, sent) = channel(1);
    tokio::spawn(async move {
        let mut line = Line { events, patience: live.settings().limits.send_timeout };
        let end = follow(&mut line, &live, &request).await;
        // Browsers connect again by themselves; the reason is for those who look.
        if let Some((_, why)) = end.code() {
            let _ = line.say(Event::default().comment(why)).await;
        }
    });
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Nginx passes each event on at once.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Sse::new(Events(sent))).into_response()
}

impl Line {
    async fn say(&mut self, event: Event) -> Result<(), End> {
        match timeout(self.patience, self.events.send(event)).await {
            Ok(sent) => sent.map_err(|_| End::Gone),
            Err(_) => Err(End::Slow("too slow: a message was not accepted in time; connect again".into())),
        }
    }
}

impl Connection for Line {
    const PROTOCOL: Protocol = Protocol::Events;

    async fn send(&mut self, text: Utf8Bytes, at: Option<&Position>) -> Result<(), End> {
        let event = Event::default().data(&*text);
        self.say(match at {
            Some(at) => event.id(at.to_string()),
            None => event,
        })
        .await
    }

    /// The client says nothing; it goes.
    async fn receive(&mut self) -> Result<(), End> {
        self.events.closed().await;
        Err(End::Gone)
    }

    async fn ping(&mut self) -> Result<(), End> {
        Ok(())
    }
}
