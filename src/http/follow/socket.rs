//! A follower by WebSocket.

use std::time::Instant;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use tokio::time::timeout;

use super::open::Live;
use super::session::{Connection, End, follow};
use super::{FollowRequest, Position};
use crate::http::limits::Limits;
use crate::http::observe::Protocol;

struct Socket {
    socket: WebSocket,
    limits: Limits,
    /// When the client last said something.
    received_at: Instant,
}

pub(super) async fn serve(socket: WebSocket, live: Live, request: FollowRequest) {
    let limits = live.settings().limits.clone();
    let mut connection = Socket { socket, limits, received_at: Instant::now() };
    let end = follow(&mut connection, &live, &request).await;
    if let Some((code, reason)) = end.code() {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // To one who does not read, it may not get through.
        let _ = timeout(connection.limits.send_timeout, connection.socket.send(close)).await;
    }
}

impl Socket {
    async fn send_frame(&mut self, frame: Message) -> Result<(), End> {
        match timeout(self.limits.send_timeout, self.socket.send(frame)).await {
            Ok(sent) => sent.map_err(|_| End::Gone),
            Err(_) => Err(End::Slow(
                "too slow: a message was not accepted in time; connect again with `since`".into(),
            )),
        }
    }
}

impl Connection for Socket {
    const PROTOCOL: Protocol = Protocol::WebSocket;

    async fn send(&mut self, text: Utf8Bytes, _at: Option<&Position>) -> Result<(), End> {
        self.send_frame(Message::Text(text)).await
    }

    async fn receive(&mut self) -> Result<(), End> {
        match self.socket.recv().await {
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
            // Whatever it is, it is a sign of life.
            Some(Ok(_)) => {
                self.received_at = Instant::now();
                Ok(())
            }
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.received_at.elapsed() > self.limits.pong_timeout {
            return Err(End::Silent);
        }
        self.send_frame(Message::Ping(Default::default())).await
    }
}
