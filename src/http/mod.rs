//! An HTTP API for the results of a pipeline, as a router for axum: tables, moments, and live changes by WebSocket
//! and by server-sent events. Feature `http`.
//!
//! [`router`] takes the reader of a [`LiveView`](crate::sinks::LiveView) of any types of key, summary and row, and
//! makes an [`axum::Router`] that can be nested beside routes of your own. All answers come from memory, so they reach
//! back as far as the horizon of the view; older rows are in a database, if the pipeline has a sink for one.
//!
//! ```
//! use std::time::Duration;
//! use telemetra::prelude::*;
//!
//! # #[derive(serde::Deserialize)] struct Reading { device: String, time: EventTime }
//! # impl Event for Reading {
//! #     type Key = String;
//! #     fn time(&self) -> EventTime { self.time }
//! #     fn key(&self) -> &str { &self.device }
//! # }
//! let view = LiveView::<u64>::new(Duration::from_secs(3600));
//! let api = telemetra::http::router(view.reader()).build();
//! let service: axum::Router = axum::Router::new().nest("/devices", api);
//! let running = Pipeline::<Reading>::new()
//!     .source(MemorySource::default().partition("readings", [r#"{"device": "d1", "time": 0}"#]), SerdeJson::new())
//!     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
//!     .sink(view)
//!     .start()?;
//! # running.wait()?;
//! # Ok::<(), PipelineError>(())
//! ```
//!
//! | path | answers |
//! |---|---|
//! | `GET /tables` | the tables and their columns |
//! | `GET /tables/{table}/keys` | the keys of which a table has rows |
//! | `GET /tables/{table}/keys/{key}` | the rows of a key, newest first, by range of time, in pages |
//! | `GET /moments` | moments, newest first, by key, type, score, chance and time, in pages |
//! | `GET /live`, `/live/{key}` | changes of all keys or of one, by WebSocket or `text/event-stream`: a snapshot, then each change |
//! | `GET /health` | the components and their errors; status 503 if one does not work |
//! | `GET /ready` | whether the event time of the answers advances; status 503 if not |
//! | `GET /metrics` | the text that [`Routes::metrics`] returns, if it is set |
//! | `GET /openapi.json` | the OpenAPI document, with the columns of the tables |
//!
//! All paths but `/health`, `/ready` and `/openapi.json` need the bearer token, if [one is set](Settings::token). An
//! error is `application/problem+json` (RFC 9457): see [`Problem`].
//!
//! # Following changes
//!
//! The first message to a follower is a snapshot; each later message has the changes of one key at one event time, and a
//! `cursor`. A client whose connection broke passes its last cursor as `?cursor=…` (a browser does the same for
//! server-sent events by the header `Last-Event-ID`) and receives each later change exactly once. If the changes since
//! the cursor are no longer in memory, for example after a restart of the service, it receives a snapshot instead. A
//! client that reads too slowly is disconnected, so that it does not delay the others, and can resume in the same way.
//!
//! # Parts for other services
//!
//! The parts of the router can be used alone, for a service with routes of another kind. [`Settings`] puts limits,
//! problems and the token around any router, [`Live`] lets clients follow any source of changes ([`Follow`]),
//! [`Params`] reads query parameters strictly, and [`serve()`] limits connections.

mod changes;
mod follow;
mod guard;
mod layers;
mod limits;
mod observe;
pub mod openapi;
mod origin;
mod params;
mod problem;
mod router;
mod routes;
mod row;
mod serve;
mod settings;
mod table;
mod time;
mod view;

pub use follow::{
    Beginning, Failure, Feed, FeedItem, Follow, FollowRequest, KeyChanges, Known, Live, Pending, Position,
    Upgrade, new_run_id,
};
pub use guard::Token;
pub use limits::Limits;
pub use observe::{Observed, Protocol};
pub use origin::Origins;
pub use params::Params;
pub use problem::{Problem, ProblemBody};
pub use router::{Routes, router};
pub use routes::health::{Component, ComponentStatus, Health, HealthStatus, Readiness, ReadinessStatus};
pub use serve::serve;
pub use settings::Settings;
pub use time::Time;
