//! The tables that the pipeline writes to SQLite, read.

mod across;
mod letters;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};
use telemetra::core::{EventTime, SignedTime};

use super::{Cursor, MetricsQuery, MomentFilter, MomentQuery, oldest_first, page};
use crate::server::model::{Metrics, MomentInfo, Time};

/// The number of connections that are kept.
const KEPT: usize = 8;

/// Reads a database, with a connection for each question that is asked at the same time.
#[derive(Clone)]
pub(crate) struct Archive(Arc<Inner>);

struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Archive {
    pub(crate) fn new(path: &Path) -> Self {
        Self(Arc::new(Inner { path: path.to_owned(), idle: Mutex::default() }))
    }

    /// Runs a question on a thread where it may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let ask = move || {
            let idle = || this.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = idle().pop();
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = kept.map_or_else(|| Connection::open_with_flags(&this.0.path, flags), Ok);
            let answer = connection.and_then(|connection| {
                let answer = question(&connection)?;
                let mut idle = idle();
                if idle.len() < KEPT {
                    idle.push(connection);
                }
                Ok(answer)
            });
            answer.with_context(|| format!("could not read the database {}", this.0.path.display()))
        };
        tokio::task::spawn_blocking(ask).await.context("the reader of the database failed")?
    }

    pub(crate) async fn check(&self) -> Result<()> {
        self.ask(|connection| connection.query_row("SELECT count(*) FROM telemetra_progress", [], |_| Ok(())))
            .await
    }

    pub(crate) async fn metrics(
        &self,
        id: &str,
        query: &MetricsQuery,
    ) -> Result<Option<(Vec<Metrics>, bool)>> {
        let mut filter = Filter::of(id);
        filter.and("window_end >= ?", query.from.map(millis));
        filter.and("window_end < ?", query.to.map(millis));
        filter.and("window_end % ? = 0", i64::try_from(query.resolution).ok());
        let sql = filter.select("chat_summary_minute", "window_start DESC", query.limit);
        let limit = query.limit;
        let found = self.ask(move |connection| {
            let windows = rows(connection, &sql, &filter, metrics)?;
            Ok(if windows.is_empty() && !is_known(connection, &filter)? { None } else { Some(windows) })
        });
        Ok(found.await?.map(|windows| oldest_first(page(windows, limit))))
    }

    pub(crate) async fn moments(
        &self,
        id: &str,
        query: &MomentQuery,
    ) -> Result<Option<(Vec<MomentInfo>, bool)>> {
        let mut filter = Filter::of(id);
        filter.moments(&query.filter);
        if let Some(Cursor { started_at, moment_id }) = &query.cursor {
            filter.and("(started_at, moment_id) < (?, ?)", Some(millis(*started_at)));
            filter.values.push(Value::Text(moment_id.clone()));
        }
        let sql = filter.select("moments", "started_at DESC, moment_id DESC", query.limit);
        let limit = query.limit;
        let found = self.ask(move |connection| {
            let moments = rows(connection, &sql, &filter, moment)?;
            Ok(if moments.is_empty() && !is_known(connection, &filter)? { None } else { Some(moments) })
        });
        Ok(found.await?.map(|moments| page(moments, limit)))
    }
}

/// Conditions, and the values in them. The first value is the stream's id.
struct Filter {
    conditions: Vec<&'static str>,
    values: Vec<Value>,
}

impl Filter {
    fn of(id: &str) -> Self {
        Self { conditions: vec!["stream_id = ?"], values: vec![Value::Text(id.to_owned())] }
    }

    fn and(&mut self, condition: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(value.into());
        }
    }

    fn moments(&mut self, asked: &MomentFilter) {
        self.and("started_at >= ?", asked.from.map(millis));
        self.and("started_at < ?", asked.to.map(millis));
        self.and("moment_type = ?", asked.moment_type.clone());
        self.and("(ended_at IS NULL) = ?", asked.open.then_some(1));
        self.and("chance <= ?", asked.max_chance);
    }

    /// One row more than asked for, so that it can be said whether there are more.
    fn select(&self, table: &str, order: &str, limit: usize) -> String {
        let conditions = self.conditions.join(" AND ");
        format!("SELECT * FROM {table} WHERE {conditions} ORDER BY {order} LIMIT {}", limit + 1)
    }
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    filter: &Filter,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(params_from_iter(&filter.values), read)?.collect()
}

fn is_known(connection: &Connection, filter: &Filter) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM streams WHERE stream_id = ?1)
        OR EXISTS (SELECT 1 FROM chat_summary_minute WHERE stream_id = ?1)
        OR EXISTS (SELECT 1 FROM viewer_timeseries WHERE stream_id = ?1)";
    connection.prepare_cached(sql)?.query_row([&filter.values[0]], |row| row.get(0))
}

fn millis(time: EventTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Time> {
    Ok(Time(SignedTime(row.get(column)?).or_epoch()))
}

/// A count, which SQLite holds as a signed number.
fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn metrics(row: &Row<'_>) -> rusqlite::Result<Metrics> {
    Ok(Metrics {
        window_start: time(row, "window_start")?,
        window_end: time(row, "window_end")?,
        chat_count: count(row, "chat_count")?,
        chat_rate: row.get("chat_rate")?,
        unique_chatters: count(row, "unique_chatters")?,
        positive_count: count(row, "positive_count")?,
        negative_count: count(row, "negative_count")?,
        sentiment_score: row.get("sentiment_score")?,
        top_emotes: json(row, "top_emotes")?,
        avg_viewers: row.get("avg_viewers")?,
        peak_viewers: row.get::<_, Option<i64>>("peak_viewers")?.map(i64::unsigned_abs),
        viewer_events: count(row, "viewer_events")?,
        transaction_count: count(row, "transaction_count")?,
        transaction_amount: json(row, "transaction_amount")?,
        revision: row.get("revision")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn moment(row: &Row<'_>) -> rusqlite::Result<MomentInfo> {
    let ended_at = row.get::<_, Option<i64>>("ended_at")?;
    Ok(MomentInfo {
        moment_id: row.get("moment_id")?,
        stream_id: row.get("stream_id")?,
        moment_type: row.get("moment_type")?,
        detection_method: row.get("detection_method")?,
        started_at: time(row, "started_at")?,
        peak_at: time(row, "peak_at")?,
        ended_at: ended_at.map(|time| Time(EventTime(time.unsigned_abs()))),
        value: row.get("value")?,
        threshold: row.get("threshold")?,
        score: row.get("score")?,
        baseline_mean: row.get("baseline_mean")?,
        baseline_stddev: row.get("baseline_stddev")?,
        baseline_samples: count(row, "baseline_samples")?,
        chance: row.get("chance")?,
        context: json(row, "context")?,
        revision: row.get("revision")?,
        updated_at: time(row, "updated_at")?,
    })
}
