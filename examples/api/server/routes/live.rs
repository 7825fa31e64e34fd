use axum::extract::rejection::PathRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::streams::id;
use crate::server::app::App;
use crate::server::guard;
use crate::server::live::{Wish, serve};
use crate::server::params::Params;
use crate::server::problem::Problem;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// The name of what is spoken. Clients that send a token among the subprotocols have to be answered with another.
const PROTOCOL: &str = "telemetra";
/// Clients have nothing to say but pongs.
const LONGEST_MESSAGE: usize = 4096;

/// `WS /live`: all streams.
pub(crate) async fn all(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(app, &headers, None, params, upgrade)
}

/// `WS /live/{id}`: one stream, also one that is not there yet.
pub(crate) async fn one(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    begin(app, &headers, Some(id(path)?), params, upgrade)
}

fn begin(
    app: App,
    headers: &HeaderMap,
    stream: Option<String>,
    mut params: Params,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let wish = Wish {
        since: params.time("since")?,
        life: params.text("life")?,
        history: params.number("history", 0..=86_400, 600)? * 1000,
        stream,
    };
    params.done()?;
    guard::origin(&app, headers)?;
    let upgrade = upgrade.map_err(|_| Problem::of(StatusCode::UPGRADE_REQUIRED))?;
    let upgrade =
        upgrade.protocols([PROTOCOL]).max_message_size(LONGEST_MESSAGE).max_frame_size(LONGEST_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, app, wish)))
}
