//! Rows of a range as a Parquet file, which is sent while it is written: a page of rows is in memory at a time.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use telemetra::core::{EventTime, ExternalError, Table, Value};
use telemetra::http::openapi::{BadParameter, NoToken, Unavailable};
use telemetra::http::{Params, Problem};
use telemetra::livestream::{moment_layout, summary_layout};
use telemetra::sinks::ParquetRows;
use tokio::sync::mpsc::{self, Receiver};
use utoipa::IntoParams;

use super::streams::{id, moment_filter};
use super::{UnknownStream, failed, no_stream};
use crate::server::app::App;
use crate::server::model::{Metrics, MomentInfo, Time};
use crate::server::store::{Answer, Cursor, MetricsQuery, MomentFilter, MomentQuery};

const TYPE: &str = "application/vnd.apache.parquet";

/// The windows that are exported.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it is what the document says")]
pub(crate) struct RangeQuery {
    /// Not before this time.
    #[param(value_type = Option<Time>)]
    from: Option<EventTime>,
    /// Before this time.
    #[param(value_type = Option<Time>)]
    to: Option<EventTime>,
}

/// The windows of a stream as Parquet
///
/// All windows that end from `from` on and before `to`, newest first, with the columns of the table `chat_summary_minute`. The
/// file is sent while it is written. If it cannot be finished the connection is cut: a file without its end is none.
#[utoipa::path(
    get, path = "/streams/{id}/metrics.parquet", operation_id = "metricsParquet", tag = "answers",
    params(
        ("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."),
        RangeQuery,
    ),
    responses(
        (status = 200, description = "The windows.", body = [u8], content_type = "application/vnd.apache.parquet"),
        UnknownStream, BadParameter, NoToken, Unavailable
    )
)]
pub(crate) async fn metrics(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Result<Response, Problem> {
    let id = id(path)?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    params.done()?;
    let query = Some(MetricsQuery { from, to, resolution: 1000, limit: 5_000 });
    send(Windows { app, id: id.clone(), query }, &id, "windows").await
}

/// The moments of a stream as Parquet
///
/// All moments that start from `from` on and before `to`, newest first, with the columns of the table `moments`. The file is sent
/// while it is written. If it cannot be finished the connection is cut: a file without its end is none.
#[utoipa::path(
    get, path = "/streams/{id}/moments.parquet", operation_id = "momentsParquet", tag = "answers",
    params(
        ("id" = String, Path, min_length = 1, max_length = 256, example = "midnight_arcade", description = "The stream's id."),
        MomentFilter,
    ),
    responses(
        (status = 200, description = "The moments.", body = [u8], content_type = "application/vnd.apache.parquet"),
        UnknownStream, BadParameter, NoToken, Unavailable
    )
)]
pub(crate) async fn moments(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Result<Response, Problem> {
    let id = id(path)?;
    let filter = moment_filter(&mut params)?;
    params.done()?;
    let query = Some(MomentQuery { filter, cursor: None, limit: 1_000 });
    send(Moments { app, id: id.clone(), query }, &id, "moments").await
}

/// Rows that are exported, page by page.
trait Pages: Send + 'static {
    type Row: Send + Sync;

    fn table() -> Arc<Table>;

    /// The next page; `None` after the last, and where there is no such stream.
    fn next(&mut self) -> Answer<'_, Option<Vec<Self::Row>>>;

    /// Puts the values of the table's columns.
    fn put(&self, row: &Self::Row, put: &mut dyn FnMut(Value<'_>));
}

struct Windows {
    app: App,
    id: String,
    /// The next page; `None` after the last.
    query: Option<MetricsQuery>,
}

impl Pages for Windows {
    type Row = Metrics;

    fn table() -> Arc<Table> {
        Arc::clone(summary_layout().table())
    }

    fn next(&mut self) -> Answer<'_, Option<Vec<Metrics>>> {
        Box::pin(async {
            let Some(query) = self.query.take() else { return Ok(None) };
            let Some((mut rows, more)) = self.app.store.metrics(&self.id, &query).await? else {
                return Ok(None);
            };
            let before = rows.first().filter(|_| more).map(|first| first.window_end.0);
            self.query = before.map(|before| MetricsQuery { to: Some(before), ..query });
            rows.reverse();
            Ok(Some(rows))
        })
    }

    fn put(&self, row: &Metrics, put: &mut dyn FnMut(Value<'_>)) {
        // Numbers and texts: there is nothing in them that JSON cannot say.
        let emotes = serde_json::to_string(&row.top_emotes).unwrap_or_default();
        let amounts = serde_json::to_string(&row.transaction_amount).unwrap_or_default();
        put(Value::Text(&self.id));
        put(Value::Time(row.window_start.0));
        put(Value::Time(row.window_end.0));
        put(Value::Unsigned(row.chat_count));
        put(Value::Float(row.chat_rate));
        put(Value::Unsigned(row.unique_chatters));
        put(Value::Unsigned(row.positive_count));
        put(Value::Unsigned(row.negative_count));
        put(Value::or_null(row.sentiment_score.map(Value::Float)));
        put(Value::Json(&emotes));
        put(Value::or_null(row.avg_viewers.map(Value::Float)));
        put(Value::or_null(row.peak_viewers.map(Value::Unsigned)));
        put(Value::Unsigned(row.viewer_events));
        put(Value::Unsigned(row.transaction_count));
        put(Value::Json(&amounts));
        put(Value::Unsigned(row.revision.into()));
        put(Value::Time(row.updated_at.0));
    }
}

struct Moments {
    app: App,
    id: String,
    /// The next page; `None` after the last.
    query: Option<MomentQuery>,
}

impl Pages for Moments {
    type Row = MomentInfo;

    fn table() -> Arc<Table> {
        Arc::clone(moment_layout().table())
    }

    fn next(&mut self) -> Answer<'_, Option<Vec<MomentInfo>>> {
        Box::pin(async {
            let Some(query) = self.query.take() else { return Ok(None) };
            let Some((rows, more)) = self.app.store.moments(&self.id, &query).await? else { return Ok(None) };
            let cursor = rows.last().filter(|_| more).map(Cursor::after);
            self.query = cursor.map(|cursor| MomentQuery { cursor: Some(cursor), ..query });
            Ok(Some(rows))
        })
    }

    fn put(&self, row: &MomentInfo, put: &mut dyn FnMut(Value<'_>)) {
        let context = serde_json::to_string(&row.context).unwrap_or_default();
        put(Value::Text(&row.moment_id));
        put(Value::Text(&row.stream_id));
        put(Value::Text(&row.moment_type));
        put(Value::Text(&row.detection_method));
        put(Value::Time(row.started_at.0));
        put(Value::Time(row.peak_at.0));
        put(Value::or_null(row.ended_at.map(|ended| Value::Time(ended.0))));
        put(Value::Float(row.value));
        put(Value::Float(row.threshold));
        put(Value::Float(row.score));
        put(Value::Float(row.baseline_mean));
        put(Value::Float(row.baseline_stddev));
        put(Value::Unsigned(row.baseline_samples));
        put(Value::or_null(row.chance.map(Value::Float)));
        put(Value::Unsigned(row.revision.into()));
        put(Value::Json(&context));
        put(Value::Time(row.updated_at.0));
    }
}

/// The bytes that were written and not yet sent.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The parts of a file, or why there will be no more.
struct Parts(Receiver<io::Result<Bytes>>);

impl Stream for Parts {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// Answers with a file. What is wrong with the first page is still told as a problem.
async fn send<P: Pages>(mut pages: P, id: &str, what: &str) -> Result<Response, Problem> {
    let first = pages.next().await.map_err(failed)?.ok_or_else(|| no_stream(id))?;
    let out = Written::default();
    let file = ParquetRows::new(out.clone(), &P::table()).map_err(|error| failed(error.into()))?;
    // One part waits while another is on its way.
    let (parts, sent) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = write(pages, first, file, out, &parts).await {
            tracing::warn!("could not finish a file for a client: {error:#}");
            let _ = parts.send(Err(io::Error::other("the file could not be finished"))).await;
        }
    });
    let safe: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect();
    let headers = [
        (header::CONTENT_TYPE, TYPE.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{safe}-{what}.parquet\"")),
    ];
    Ok((headers, Body::from_stream(Parts(sent))).into_response())
}

async fn write<P: Pages>(
    mut pages: P,
    first: Vec<P::Row>,
    file: ParquetRows<Written>,
    out: Written,
    parts: &mpsc::Sender<io::Result<Bytes>>,
) -> anyhow::Result<()> {
    let (mut page, mut file) = (Some(first), file);
    while let Some(rows) = page {
        if !rows.is_empty() {
            file.group(&rows, |row, put| pages.put(row, put))?;
        }
        drop(rows);
        // Without anybody to send it to, nothing more is read.
        if parts.send(Ok(out.take())).await.is_err() {
            return Ok(());
        }
        page = pages.next().await?;
    }
    file.finish().map_err(|error: ExternalError| anyhow::Error::from(error))?;
    let _ = parts.send(Ok(out.take())).await;
    Ok(())
}
