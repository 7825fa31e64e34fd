//! The routes and what is around them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use telemetra::core::EventTime;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use super::guard::{self, Token};
use super::hub::Hub;
use super::limits::Limits;
use super::observe::{self, Recorder};
use super::origin::Origins;
use super::page::Page;
use super::problem::{self, Problem};
use super::routes::{broadcasts, health, live, moments, ops, overview, streams};
use super::store::Store;

/// The settings that handlers need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// What the service calls itself.
    pub(crate) title: String,
    pub(crate) origins: Origins,
    /// What every client has to know; `None`: anybody may ask.
    pub(crate) token: Option<Token>,
    pub(crate) limits: Limits,
}

/// What all handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) hub: Hub,
    pub(crate) options: Options,
    pub(crate) limits: Limits,
    pub(crate) page: Page,
    pub(crate) recorder: Recorder,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) stopping: watch::Receiver<bool>,
    /// Tells this life of the service from others: what is resumed in another would be a mixture.
    pub(crate) life: String,
}

/// How far the store has come, and when it got there.
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
    pub(crate) fn new(store: Arc<dyn Store>, options: Options, stopping: watch::Receiver<bool>) -> Self {
        let now = Progress { as_of: None, since: Instant::now() };
        let (reached, progress) = watch::channel(now);
        let life = format!("{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
        let app = Self(Arc::new(Inner {
            hub: Hub::new(options.limits.waiting),
            limits: options.limits.clone(),
            page: Page::new(&options.title),
            recorder: Recorder::shared(),
            store,
            options,
            progress,
            stopping,
            life,
        }));
        let feed = app.store.feed();
        let (hub, progress) = (app.clone(), app.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = hub.hub.run(feed) => {}
                () = hub.stopped() => {}
            }
        });
        tokio::spawn(async move {
            tokio::select! {
                () = watch_progress(&progress, &reached) => {}
                () = progress.stopped() => {}
            }
        });
        app
    }

    /// Waits for the order to stop.
    pub(crate) async fn stopped(&self) {
        told(self.stopping.clone()).await;
    }
}

/// Waits for the order to stop.
pub(crate) async fn told(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever could tell is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
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
    let request_id = HeaderName::from_static("x-request-id");
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, app.limits.answer);
    let guarded = Router::new()
        .route("/streams", get(streams::list))
        .route("/streams/{id}", get(streams::one))
        .route("/streams/{id}/metrics", get(streams::metrics))
        .route("/streams/{id}/moments", get(streams::moments))
        .route("/streams/{id}/broadcasts", get(broadcasts::list))
        .route("/moments", get(moments::list))
        .route("/overview", get(overview::overview))
        .route("/live", get(live::all))
        .route("/live/{id}", get(live::one))
        .route("/metrics", get(observe::render))
        .route("/ops", get(ops::operations))
        .route("/ops/dead-letters", get(ops::letters))
        .route_layer(from_fn_with_state(app.clone(), guard::token))
        .route_layer(from_fn_with_state(app.clone(), ops::page));
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .merge(guarded)
        .merge(super::page::routes())
        .fallback(async || Problem::of(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(RequestBodyLimitLayer::new(app.limits.body))
        .layer(timeout)
        .layer(CompressionLayer::new())
        .layer(cors(&app.options.origins))
        .layer(from_fn(problem::render))
        .layer(from_fn(observe::count))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(app)
}

/// What is around each line of the log about a request: at every level, as a line without it says nothing.
fn span(request: &Request) -> tracing::Span {
    let (method, path) = (request.method(), request.uri().path());
    let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    tracing::error_span!("request", %method, path, id)
}

fn cors(origins: &Origins) -> CorsLayer {
    let known = origins.clone();
    let allowed = if origins.all {
        AllowOrigin::any()
    } else {
        AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| known.has(origin)))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::AUTHORIZATION])
        .expose_headers([HeaderName::from_static("x-request-id")])
        .max_age(Duration::from_secs(3600))
}
