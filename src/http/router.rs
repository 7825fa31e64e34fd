//! The router over a live view, and its settings.
//!
//! A request reads snapshots of the view and waits for nothing else, so it costs the pipeline at most a copy
//! of one key's pointers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use telemetra_core::{Data, EventTime, Key};
use telemetra_ops::PipelineStatus;
use telemetra_sinks::LiveReader;

use super::changes::Changes;
use super::follow::Live;
use super::openapi;
use super::problem::Problem;
use super::routes::{health, live, moments, tables};
use super::settings::Settings;
use super::view::View;

/// Creates the routes over a live view, with the default settings; [`Routes::build`] makes the router. See
/// [the module](super) for the paths and an example.
///
/// The answers contain what the view holds: windows and moments within its horizon, and rows of other types. A view
/// holds one grouping; for several groupings, create a router for each view and nest it under a path of its own.
///
/// A request reads snapshots of the view and never waits for the pipeline.
#[must_use]
pub fn router<S: Data, K: Key>(reader: LiveReader<S, K>) -> Routes {
    Routes {
        view: Arc::new(reader),
        settings: Settings::new(),
        checks: BTreeMap::new(),
        progress: Box::new(|| None),
        metrics: None,
    }
}

/// A check of a part of the service: the fault, or `None` if the part works.
type Check = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// A builder of the router over a live view, made by [`router`]: its settings, health checks and metrics. By default
/// it has no authentication, no checks and no metrics.
pub struct Routes {
    view: Arc<dyn View>,
    settings: Settings,
    checks: BTreeMap<String, Check>,
    progress: Box<dyn Fn() -> Option<EventTime> + Send + Sync>,
    metrics: Option<Box<dyn Fn() -> String + Send + Sync>>,
}

impl Routes {
    /// Sets authentication, origins, limits and the observer. Default: [`Settings::new`].
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds a component to `/health`. `check` returns what is wrong with the component, or `None` if it works. It is
    /// called for each request of `/health` on a thread of the async runtime, and must not block. A second check
    /// of the same name replaces the first.
    #[must_use]
    pub fn check(
        mut self,
        name: impl Into<String>,
        check: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.insert(name.into(), Box::new(check));
        self
    }

    /// Sets the function that returns the event time that the pipeline has reached, for `/ready`, for example
    /// [`PipelineStatus::durable`]. Default: `/ready` uses the event time of the live view alone, which does not
    /// advance while no row changes.
    #[must_use]
    pub fn progress(mut self, progress: impl Fn() -> Option<EventTime> + Send + Sync + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Sets the function that returns the status of the pipeline, for `/health` and `/ready`. If it returns `None`,
    /// the pipeline counts as stopped, and `/health` answers 503. It adds the [check](Self::check) `pipeline` and
    /// sets [`progress`](Self::progress).
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use telemetra::http::Routes;
    /// use telemetra::ops::Running;
    ///
    /// fn routes(routes: Routes, running: Arc<Mutex<Option<Running>>>) -> Routes {
    ///     routes.pipeline(move || running.lock().ok()?.as_ref().map(Running::status))
    /// }
    /// ```
    #[must_use]
    pub fn pipeline(self, status: impl Fn() -> Option<PipelineStatus> + Send + Sync + 'static) -> Self {
        let status = Arc::new(status);
        let failed = Arc::clone(&status);
        let failure = move || match failed() {
            Some(status) => status.failure,
            None => Some("it was stopped".to_owned()),
        };
        self.check("pipeline", failure).progress(move || status().map(|status| status.durable))
    }

    /// Adds `/metrics`, which answers with the text that `render` returns, in the exposition format of
    /// Prometheus. It is called for each request.
    #[must_use]
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Box::new(render));
        self
    }

    /// Builds the router: the routes with all layers of [`Settings::layered`]. It can be nested under any path of a
    /// router of your own. Unknown paths are answered by 404 as a [`Problem`].
    pub fn build<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let settings = self.settings.clone();
        let with_metrics = self.metrics.is_some();
        let view = Arc::clone(&self.view);
        let app = App(Arc::new(Inner {
            live: Live::new(Arc::new(Changes::new(view)), settings.clone()),
            reached: Mutex::new((None, Instant::now())),
            routes: self,
        }));
        let mut guarded = Router::new()
            .route("/tables", get(tables::list))
            .route("/tables/{table}/keys", get(tables::keys))
            .route("/tables/{table}/keys/{key}", get(tables::rows))
            .route("/moments", get(moments::list))
            .route("/live", get(live::all))
            .route("/live/{key}", get(live::one));
        if with_metrics {
            guarded = guarded.route("/metrics", get(health::metrics));
        }
        let router = settings
            .guarded(guarded)
            .route("/health", get(health::health))
            .route("/ready", get(health::ready))
            .route("/openapi.json", get(openapi::document))
            .fallback(async || Problem::of(StatusCode::NOT_FOUND))
            .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED));
        settings.layered(router).with_state(app)
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("settings", &self.settings)
            .field("checks", &self.checks.keys())
            .field("has_metrics", &self.metrics.is_some())
            .finish_non_exhaustive()
    }
}

/// The state that all handlers share.
#[derive(Clone)]
pub(super) struct App(Arc<Inner>);

struct Inner {
    routes: Routes,
    live: Live,
    /// The time that answers had reached, and when that was first seen.
    reached: Mutex<(Option<EventTime>, Instant)>,
}

impl App {
    pub(super) fn view(&self) -> &dyn View {
        &*self.0.routes.view
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.routes.settings
    }

    pub(super) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(super) fn has_metrics(&self) -> bool {
        self.0.routes.metrics.is_some()
    }

    pub(super) fn metrics(&self) -> Option<String> {
        self.0.routes.metrics.as_ref().map(|render| render())
    }

    /// The parts of the service, and what is wrong with each.
    pub(super) fn checks(&self) -> impl Iterator<Item = (&String, Option<String>)> {
        self.0.routes.checks.iter().map(|(name, check)| (name, check()))
    }

    /// The time that answers have reached, and when that was first seen.
    pub(super) fn reached(&self) -> (Option<EventTime>, Instant) {
        // Before its first time a pipeline has reached none, and at its end there is no more to reach.
        let is_time = |time: &EventTime| (EventTime(1)..EventTime::MAX).contains(time);
        let progress = (self.0.routes.progress)().filter(is_time);
        let now = self.view().as_of().max(progress);
        let mut reached = self.0.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if now > reached.0 {
            *reached = (now, Instant::now());
        }
        *reached
    }
}

/// Logs why something could not be answered, which is not for strangers.
pub(super) fn failed(error: &super::Failure) -> Problem {
    tracing::warn!("could not answer a request: {error:#}");
    Problem::unavailable()
}
