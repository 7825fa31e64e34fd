//! The opening of a follower's connection: the choice of the protocol, and the checks before it.

use std::fmt;
use std::sync::{Arc, Once};

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::hub::Hub;
use super::{Follow, FollowRequest, Position, events, socket};
use crate::http::guard;
use crate::http::problem::Problem;
use crate::http::settings::Settings;

/// The name of what is spoken. Clients that send a token among the subprotocols have to be answered with
/// another.
const PROTOCOL: &str = "telemetra";
/// Clients have nothing to say but pongs.
const LONGEST_MESSAGE: usize = 4096;

/// The extractor for axum of a possible WebSocket upgrade, for [`Live::open`]: an error if the request does not ask
/// for a WebSocket.
pub type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// A hub that sends the changes of one source to all its followers, by WebSocket and by server-sent events. It reads
/// the feed of the source once, however many followers there are. Clones are handles on the same hub.
///
/// A follower first receives a beginning ([`Follow::begin`]), then each change that the beginning does not contain, and
/// a heartbeat every [`Limits::heartbeat`](crate::http::Limits::heartbeat). A follower that does not read fast enough
/// (`queue`, `queue_all` and `send_timeout` in the limits) is disconnected.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    source: Arc<dyn Follow>,
    settings: Settings,
    hub: Hub,
    started: Once,
}

impl Live {
    /// Creates a hub without followers. Its feed starts with the first follower, or by [`start`](Self::start).
    #[must_use]
    pub fn new(source: Arc<dyn Follow>, settings: Settings) -> Self {
        let hub = Hub::new(&settings.limits);
        Self(Arc::new(Inner { source, settings, hub, started: Once::new() }))
    }

    /// Starts to read the feed, which otherwise starts with the first follower. Call it if the feed of the source
    /// takes long to start. Further calls have no effect.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(&self) {
        self.0.started.call_once(|| {
            let (this, feed) = (Arc::clone(&self.0), self.0.source.feed());
            tokio::spawn(async move {
                tokio::select! {
                    () = this.hub.run(feed) => {}
                    () = this.settings.stopped() => {}
                }
            });
        });
    }

    pub(super) fn source(&self) -> &dyn Follow {
        &*self.0.source
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Answers a request to follow `key`, or all keys with `None`: by a WebSocket if the request asks for one, or by
    /// server-sent events if it accepts `text/event-stream`. The follower resumes from `from`, or begins with a
    /// snapshot that covers `history` milliseconds of event time. For server-sent events a header `Last-Event-ID`
    /// takes precedence over `from`; an invalid header is ignored, as a browser cannot correct it.
    ///
    /// # Errors
    ///
    /// A problem with status 403 if a page of another origin asks for a WebSocket, and with 426 if the
    /// request asks for neither.
    pub fn open(
        &self,
        headers: &HeaderMap,
        upgrade: Upgrade,
        key: Option<String>,
        from: Option<Position>,
        history: u64,
    ) -> Result<Response, Problem> {
        guard::origin(&self.0.settings, headers)?;
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        let request = |from| FollowRequest { key: key.clone(), from, history };
        match upgrade {
            Ok(upgrade) => {
                self.start();
                let upgrade = upgrade
                    .protocols([PROTOCOL])
                    .max_message_size(LONGEST_MESSAGE)
                    .max_frame_size(LONGEST_MESSAGE);
                let (live, request) = (self.clone(), request(from));
                Ok(upgrade.on_upgrade(move |socket| socket::serve(socket, live, request)))
            }
            Err(_) if accepts_events(headers) => {
                self.start();
                Ok(events::serve(self.clone(), request(last.or(from))))
            }
            Err(_) => Err(Problem::of(StatusCode::UPGRADE_REQUIRED)),
        }
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let kinds = lists.flat_map(|list| list.split(','));
    kinds.filter_map(|kind| kind.split(';').next()).any(|kind| kind.trim() == "text/event-stream")
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}
