//! The dashboard, the documentation and the OpenAPI document, compiled into the program.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::app::App;
use super::document::document;

/// The pages that have the service's title in them.
pub(crate) struct Page {
    overview: String,
    stream: String,
    pub(super) ops: String,
    docs: String,
    openapi: Value,
}

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let title_html = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let titled = |page: &str| page.replace("{{title}}", &title_html);
        Self {
            overview: titled(include_str!("../page/index.html")),
            stream: titled(include_str!("../page/stream.html")),
            ops: titled(include_str!("../page/ops.html")),
            docs: titled(include_str!("../page/docs.html")),
            openapi: document(title),
        }
    }
}

macro_rules! files {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../page/", $name)))),+]
    };
}

pub(super) const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const FILES: &[(&str, &str, &str)] = files! {
    "style.css": STYLE,
    "overview.css": STYLE,
    "charts.css": STYLE,
    "ops.css": STYLE,
    "app.js": SCRIPT,
    "ask.js": SCRIPT,
    "baseline.js": SCRIPT,
    "broadcasts.js": SCRIPT,
    "chart.js": SCRIPT,
    "compare.js": SCRIPT,
    "charts.js": SCRIPT,
    "chosen.js": SCRIPT,
    "connection.js": SCRIPT,
    "emotes.js": SCRIPT,
    "exports.js": SCRIPT,
    "format.js": SCRIPT,
    "found.js": SCRIPT,
    "list.js": SCRIPT,
    "markers.js": SCRIPT,
    "metrics.js": SCRIPT,
    "letters.js": SCRIPT,
    "moments.js": SCRIPT,
    "ops.js": SCRIPT,
    "overview.js": SCRIPT,
    "past.js": SCRIPT,
    "pulse.js": SCRIPT,
    "range.js": SCRIPT,
    "revenue.js": SCRIPT,
    "sentiment.js": SCRIPT,
    "state.js": SCRIPT,
    "svg.js": SCRIPT,
    "tiles.js": SCRIPT,
    "timeline.js": SCRIPT,
    "url.js": SCRIPT,
    "when.js": SCRIPT,
    "words.js": SCRIPT,
    "docs.css": STYLE,
    "docs.js": SCRIPT,
};

/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<App> {
    let pages = Router::new()
        .route("/", get(async |State(app): State<App>| file(HTML, app.page.overview.clone())))
        .route("/stream", get(async |State(app): State<App>| file(HTML, app.page.stream.clone())))
        .route("/docs", get(async |State(app): State<App>| file(HTML, app.page.docs.clone())))
        .route("/openapi.json", get(async |State(app): State<App>| Json(app.page.openapi.clone())))
        .route("/favicon.svg", get(async || file("image/svg+xml", include_str!("../page/favicon.svg"))));
    FILES.iter().fold(pages, |pages, &(name, kind, text)| {
        pages.route(&format!("/page/{name}"), get(async move || file(kind, text)))
    })
}

pub(super) fn file(kind: &'static str, text: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        // The program may be another by the next visit.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
