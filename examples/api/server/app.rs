//! The routes and what is around them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use telemetra::core::EventTime;
use telemetra::http::{Limits, Live, Origins, Problem, Settings, Token};
use tokio::sync::watch;
use tokio::time::Instant;

use super::live::Changes;
use super::observe::{self, Recorder};
use super::page::Page;
use super::routes::{broadcasts, export, health, live, moments, ops, overview, streams};
use super::store::Store;

/// The settings that handlers need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The name of the service.
    pub(crate) title: String,
    pub(crate) origins: Origins,
    /// The token that every client has to send; `None`: anybody may ask.
    pub(crate) token: Option<Token>,
    pub(crate) limits: Limits,
}

impl Options {
    /// As the library takes them.
    fn settings(&self, stopping: watch::Receiver<bool>) -> Settings {
        let settings = Settings::new()
            .title(self.title.as_str())
            .origins(self.origins.clone())
            .limits(self.limits.clone())
            .problems("/docs#")
            .observe(observe::observed)
            .stopping(stopping);
        match &self.token {
            Some(token) => settings.token(token.clone()),
            None => settings,
        }
    }
}

/// The state that all handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) live: Live,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) page: Page,
    pub(crate) recorder: Recorder,
    pub(crate) progress: watch::Receiver<Progress>,
}

/// The progress of the store, and when it was reached.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) as_of: Option<EventTime>,
    pub(crate) since: Instant,
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// The service over a store, with its tasks started. `stopping` ends them.
    pub(crate) fn new(store: Arc<dyn Store>, options: Options, mut stopping: watch::Receiver<bool>) -> Self {
        let (reached, progress) = watch::channel(Progress { as_of: None, since: Instant::now() });
        let settings = options.settings(stopping.clone());
        let changes = Changes::new(Arc::clone(&store), progress.clone());
        let live = Live::new(Arc::new(changes), settings.clone());
        // At once, as some stores take a while until they tell.
        live.start();
        let app = Self(Arc::new(Inner {
            page: Page::new(&options.title),
            limits: options.limits,
            recorder: Recorder::shared(),
            store,
            live,
            settings,
            progress,
        }));
        let watched = app.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = watch_progress(&watched, &reached) => {}
                // An error means that whoever could tell is gone.
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
        app
    }
}

/// Looks again and again how far the store has come.
async fn watch_progress(app: &App, reached: &watch::Sender<Progress>) {
    loop {
        match app.store.as_of().await {
            Ok(as_of) => {
                reached.send_if_modified(|progress| {
                    let moved = progress.as_of != as_of;
                    if moved {
                        *progress = Progress { as_of, since: Instant::now() };
                    }
                    moved
                });
            }
            Err(error) => tracing::debug!("could not see how far the answers are: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// The service as a router, so that a host can put it anywhere and a test can call it.
pub(crate) fn app(app: App) -> Router {
    let guarded = Router::new()
        .route("/streams", get(streams::list))
        .route("/streams/{id}", get(streams::one))
        .route("/streams/{id}/metrics", get(streams::metrics))
        .route("/streams/{id}/moments", get(streams::moments))
        .route("/streams/{id}/metrics.parquet", get(export::metrics))
        .route("/streams/{id}/moments.parquet", get(export::moments))
        .route("/streams/{id}/broadcasts", get(broadcasts::list))
        .route("/moments", get(moments::list))
        .route("/overview", get(overview::overview))
        .route("/live", get(live::all))
        .route("/live/{id}", get(live::one))
        .route("/metrics", get(observe::render))
        .route("/ops", get(ops::operations))
        .route("/ops/dead-letters", get(ops::letters));
    let settings = app.settings.clone();
    // The page of operations asks for the token itself.
    let guarded = settings.guarded(guarded).route_layer(from_fn_with_state(app.clone(), ops::page));
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .merge(guarded)
        .merge(super::page::routes())
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "unknown-path", "there is nothing at this path; see /docs")
        })
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED));
    let view = app.store.view();
    let router = settings.layered(router).with_state(app);
    match view {
        Some(view) => router.nest("/view", view.settings(settings).build()),
        None => router,
    }
}
