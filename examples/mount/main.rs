//! A service of your own that has the routes over a live view beside its own: `POST /readings` takes events,
//! and everything below `/devices` is the library's.
//!
//! ```sh
//! cargo run --example mount
//! curl -d '{"device": "d1", "time": 60000, "celsius": 21.5}' localhost:8080/readings
//! curl localhost:8080/devices/tables
//! curl -N -H 'Accept: text/event-stream' localhost:8080/devices/live
//! ```

#[path = "../common/mod.rs"]
mod common;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use telemetra::core::aggregate::Mean;
use telemetra::http;
use telemetra::prelude::*;

use common::log;
use common::screen::ProgressLine;

#[derive(Clone, Debug, serde::Deserialize)]
struct Reading {
    device: String,
    time: EventTime,
    celsius: f64,
}

impl Event for Reading {
    type Key = String;

    fn time(&self) -> EventTime {
        self.time
    }

    fn key(&self) -> &str {
        &self.device
    }
}

/// The whole service, and the pipeline in it.
fn service() -> anyhow::Result<(Router, Arc<Mutex<Running>>)> {
    let (readings, source, decoder) = Channel::<Reading>::typed("readings", 10_000)?;
    let view = LiveView::<(u64, Mean)>::new(Duration::from_secs(3600));
    let api = http::router(view.reader());
    let running = Pipeline::<Reading>::new()
        .source(source, decoder)
        .group("device_minute", tumbling(minutes(1)), |a| {
            (a.count("readings"), a.mean("celsius", |r| r.celsius))
        })
        .key_columns(["device"])
        .gauge_moments("departure", ZScore::new(6.0)?, Micro::SCALE, |(_, celsius)| celsius.rounded())
        .sink(view)
        .start()?;

    let running = Arc::new(Mutex::new(running));
    let status = Arc::clone(&running);
    let devices = api.pipeline(move || status.lock().ok().map(|running| running.status())).build();
    let take = async move |Json(reading): Json<Reading>| match readings.push_async(reading).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((Router::new().route("/readings", post(take)).nest("/devices", devices), running))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let line = ProgressLine::new(true);
    let _otlp = log::start("mount", Some(tracing::Level::INFO), log::Format::Text, &line);
    let (service, _running) = service()?;
    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, service).await?;
    Ok(())
}
