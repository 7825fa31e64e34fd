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
    index: String,
    docs: String,
    openapi: Value,
}

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let title_html = title.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        Self {
            index: include_str!("../page/index.html").replace("{{title}}", &title_html),
            docs: include_str!("../page/docs.html").replace("{{title}}", &title_html),
            openapi: document(title),
        }
    }
}

macro_rules! files {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../page/", $name)))),+]
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const FILES: &[(&str, &str, &str)] = files! {
    "style.css": STYLE,
    "app.js": SCRIPT,
    "connection.js": SCRIPT,
    "state.js": SCRIPT,
    "svg.js": SCRIPT,
    "format.js": SCRIPT,
    "list.js": SCRIPT,
    "pulse.js": SCRIPT,
    "flow.js": SCRIPT,
    "emotes.js": SCRIPT,
    "sentiment.js": SCRIPT,
    "revenue.js": SCRIPT,
    "timeline.js": SCRIPT,
    "docs.css": STYLE,
    "docs.js": SCRIPT,
};

/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<App> {
    let pages = Router::new()
        .route(
            "/",
            get(async |State(app): State<App>| file("text/html; charset=utf-8", app.page.index.clone())),
        )
        .route(
            "/docs",
            get(async |State(app): State<App>| file("text/html; charset=utf-8", app.page.docs.clone())),
        )
        .route("/openapi.json", get(async |State(app): State<App>| Json(app.page.openapi.clone())))
        .route("/favicon.svg", get(async || file("image/svg+xml", include_str!("../page/favicon.svg"))));
    FILES.iter().fold(pages, |pages, &(name, kind, text)| {
        pages.route(&format!("/page/{name}"), get(async move || file(kind, text)))
    })
}

fn file(kind: &'static str, text: impl IntoResponse) -> Response {
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
