//! The events of a service, for its metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::settings::Settings;

/// An event of a service, as the observer of [`Settings::observe`] receives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// A request was answered.
    Answered {
        /// The route, with its parameters in braces; `other` if there is none.
        path: &'a str,
        /// The method.
        method: &'a str,
        /// The status.
        status: u16,
        /// The time from the request until the answer began.
        took: Duration,
    },
    /// A follower connected.
    Followed {
        /// By which protocol.
        by: Protocol,
    },
    /// A message was sent to a follower.
    Sent {
        /// By which protocol.
        by: Protocol,
    },
    /// A follower disconnected, or was disconnected.
    Left {
        /// By which protocol.
        by: Protocol,
        /// The reason: `gone` (the client closed the connection, or it broke), `stopping` (the service stops), `slow`
        /// (the client read too slowly), `silent` (it did not answer a ping), or `again` (changes were lost, and the
        /// client has to connect again).
        why: &'static str,
    },
}

/// A protocol by which changes are followed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A WebSocket.
    WebSocket,
    /// Server-sent events.
    Events,
}

pub(super) type Observer = Arc<dyn Fn(&Observed<'_>) + Send + Sync>;

/// Tells of each request.
pub(super) async fn count(State(settings): State<Settings>, request: Request, next: Next) -> Response {
    if settings.observer.is_none() {
        return next.run(request).await;
    }
    let started = Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    settings.notify(&Observed::Answered {
        path: path.as_ref().map_or("other", MatchedPath::as_str),
        method: method.as_str(),
        status: response.status().as_u16(),
        took: started.elapsed(),
    });
    response
}
