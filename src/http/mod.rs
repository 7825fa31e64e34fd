//! A router over a live view, to mount in anybody's axum service: tables, moments, and live changes by
//! WebSocket and by server-sent events. Feature `http`.
//!
//! [`router`] takes the reader of a [`LiveView`](crate::sinks::LiveView) of any types of key, summary and row, and
//! makes an [`axum::Router`] that can be nested beside routes of your own:
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
//! | `GET /live`, `/live/{key}` | changes, by WebSocket or `text/event-stream`: a snapshot, then each change |
//! | `GET /health`, `/ready` | what works, and whether answers move on |
//! | `GET /metrics` | what [`Routes::metrics`] returns, if it is set |
//! | `GET /openapi.json` | the OpenAPI document, with the columns of the tables |
//!
//! The parts are there for a service of another kind: [`Settings`] puts limits, problems and the token around
//! any router, [`Live`] lets clients follow any source of changes, [`Params`] reads parameters strictly, and
//! [`serve()`] limits connections.

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
