//! The settings of a service, and the layers that they put around a router.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::watch;

use super::guard::{self, Token};
use super::layers;
use super::limits::Limits;
use super::observe::{Observed, Observer};
use super::origin::Origins;

/// The settings of a service over HTTP: authentication, allowed origins, limits, and an observer for metrics. Pass
/// them to [`Routes::settings`](super::Routes::settings), or put them around a router of your own by
/// [`guarded`](Self::guarded) and [`layered`](Self::layered). Clones may serve several routers.
///
/// ```
/// use telemetra::http::{Limits, Settings, Token};
///
/// let settings = Settings::new()
///     .token(Token::new("s3cret").ok_or("no token")?)
///     .limits(Limits { page: 100, ..Limits::default() });
/// assert!(!format!("{settings:?}").contains("s3cret"));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Default)]
pub struct Settings {
    pub(super) title: Option<String>,
    pub(super) origins: Origins,
    pub(super) token: Option<Token>,
    pub(super) limits: Limits,
    pub(super) problems: Option<String>,
    pub(super) observer: Option<Observer>,
    pub(super) stopping: Option<watch::Receiver<bool>>,
}

impl Settings {
    /// Creates the default settings: no authentication, pages of the service's own origin only, and the
    /// default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the title of the OpenAPI document. Default: `Telemetra`.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the origins whose pages may use the service: for CORS, and for the check of a WebSocket's
    /// `Origin`, to which browsers do not apply CORS. Default: the service's own origin.
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the bearer token that every client has to send; a request without it is answered by 401. Default: no
    /// token, so every client is answered.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets the limits. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the prefix of the field `type` of [problems](super::Problem), to which the name of the kind is appended:
    /// the prefix `/docs#` gives `/docs#unknown-key`. Default: `urn:telemetra:problem:`.
    #[must_use]
    pub fn problems(mut self, prefix: impl Into<String>) -> Self {
        self.problems = Some(prefix.into());
        self
    }

    /// Sets a function that is called for each request, and each message to a follower, for metrics: see
    /// [`Observed`](super::Observed). It must not block. Default: none.
    #[must_use]
    pub fn observe(mut self, observer: impl Fn(&Observed<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets the channel that stops the service: when its value becomes true, or its sender is dropped, followers are
    /// notified and their connections end. Default: none, so open connections of followers keep a server from
    /// shutting down gracefully.
    #[must_use]
    pub fn stopping(mut self, stopping: watch::Receiver<bool>) -> Self {
        self.stopping = Some(stopping);
        self
    }

    /// Returns the limits.
    #[must_use]
    pub fn get_limits(&self) -> &Limits {
        &self.limits
    }

    /// Puts the routes of a router behind the [token](Self::token): requests without it are answered by 401. Without a
    /// token all requests pass.
    pub fn guarded<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        router.route_layer(from_fn_with_state(self.clone(), guard::token))
    }

    /// Puts the layers around a router: request ids, problems as bodies of errors, CORS, compression, and the limits
    /// [`Limits::body`] and [`Limits::answer_timeout`]. Call it last: the layers do not apply to routes that are
    /// added afterwards. CORS allows other origins the methods GET and HEAD only.
    pub fn layered<S: Clone + Send + Sync + 'static>(&self, router: Router<S>) -> Router<S> {
        layers::around(self, router)
    }

    pub(super) fn notify(&self, observed: &Observed<'_>) {
        if let Some(observer) = &self.observer {
            observer(observed);
        }
    }

    /// Waits for the order to stop.
    pub(super) async fn stopped(&self) {
        match &self.stopping {
            Some(stopping) => stopped(stopping.clone()).await,
            None => std::future::pending().await,
        }
    }
}

/// Waits for the order to stop.
pub(super) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that whoever could tell is gone.
    let _ = stopping.wait_for(|stop| *stop).await;
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, origins, token, limits, problems, observer, stopping } = self;
        f.debug_struct("Settings")
            .field("title", title)
            .field("origins", origins)
            .field("token", token)
            .field("limits", limits)
            .field("problems", problems)
            .field("is_observed", &observer.is_some())
            .field("is_stopped_by_order", &stopping.is_some())
            .finish()
    }
}
