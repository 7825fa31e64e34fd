//! The tables in Postgres. Rows come as JSON under the names of their columns, which is what is said in the end.

use anyhow::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use telemetra::core::EventTime;
use telemetra::sinks::PostgresConfig;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::filter::Filter;
use super::pool::Pool;
use super::{Shards, current};
use crate::server::model::{Metrics, MomentInfo, StreamInfo, StreamRow, Time};
use crate::server::presence::Presence;
use crate::server::store::{Cursor, MetricsQuery, MomentQuery, oldest_first, page};

/// Reads the tables.
pub(crate) struct Tables {
    pool: Pool,
    pipeline: String,
}

/// All ids, by jumping from one to the next in the index of the windows; and those that only metadata names.
const IDS: &str = "
    RECURSIVE found AS (
        (SELECT stream_id FROM chat_summary_minute ORDER BY stream_id LIMIT 1)
        UNION ALL
        SELECT (SELECT w.stream_id FROM chat_summary_minute w WHERE w.stream_id > found.stream_id
            ORDER BY w.stream_id LIMIT 1) FROM found WHERE found.stream_id IS NOT NULL
    ), ids AS (SELECT stream_id FROM found WHERE stream_id IS NOT NULL UNION SELECT stream_id FROM streams)";
/// The one that is asked for, if it is known.
const ID: &str = "
    ids AS (SELECT $1::text AS stream_id WHERE EXISTS (SELECT 1 FROM streams WHERE stream_id = $1)
        OR EXISTS (SELECT 1 FROM chat_summary_minute WHERE stream_id = $1)
        OR EXISTS (SELECT 1 FROM viewer_timeseries WHERE stream_id = $1))";
const STREAMS: &str = "
    SELECT jsonb_build_object('stream_id', ids.stream_id, 'row', to_jsonb(s), 'newest', to_jsonb(w), 'open_moments',
        (SELECT count(*) FROM moments m WHERE m.stream_id = ids.stream_id AND m.ended_at IS NULL))::text
    FROM ids LEFT JOIN streams s ON s.stream_id = ids.stream_id
    LEFT JOIN LATERAL (SELECT * FROM chat_summary_minute c WHERE c.stream_id = ids.stream_id
        ORDER BY c.window_start DESC LIMIT 1) w ON true";

#[derive(Deserialize)]
struct Known {
    stream_id: String,
    row: Option<Named>,
    newest: Option<Metrics>,
    open_moments: u64,
}

/// A row of `streams`.
#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
    title: Option<String>,
    category: Option<String>,
    is_live: Option<bool>,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    updated_at: Time,
}

impl From<Named> for StreamRow {
    fn from(row: Named) -> Self {
        let Named { name, title, category, is_live, started_at, ended_at, .. } = row;
        Self { name, title, category, is_live, started_at, ended_at }
    }
}

impl Tables {
    pub(super) fn pipeline(&self) -> &str {
        &self.pipeline
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The tables that the pipeline of that name writes, where `config` says.
    pub(crate) fn new(config: PostgresConfig, pipeline: &str) -> Self {
        Self { pool: Pool::new(config), pipeline: pipeline.to_owned() }
    }

    pub(super) async fn shards(&self) -> Result<Shards> {
        self.pool.ask(async |client| shards(client, &self.pipeline).await).await
    }

    /// All streams, or one; and how far the shards were then.
    pub(super) async fn streams(&self, id: Option<&str>) -> Result<(Shards, Vec<StreamInfo>)> {
        let ask = async |client: &Client| {
            let shards = shards(client, &self.pipeline).await?;
            let streams = streams(client, id, &shards).await?;
            Ok((shards, streams))
        };
        self.pool.ask(ask).await
    }

    pub(super) async fn metrics(
        &self,
        id: &str,
        query: &MetricsQuery,
    ) -> Result<Option<(Vec<Metrics>, bool)>> {
        let mut filter = Filter::of(id);
        filter.and("window_end >= to_timestamp($::bigint::float8 / 1000)", query.from.map(millis));
        filter.and("window_end < to_timestamp($::bigint::float8 / 1000)", query.to.map(millis));
        let resolution = i64::try_from(query.resolution).ok().filter(|resolution| *resolution > 1000);
        filter.and("(extract(epoch FROM window_end) * 1000)::bigint % $ = 0", resolution);
        let select = filter.select("chat_summary_minute", "window_start DESC", query.limit);
        let found = self.found(filter, select).await?;
        Ok(found.map(|windows| oldest_first(page(windows, query.limit))))
    }

    pub(super) async fn moments(
        &self,
        id: &str,
        query: &MomentQuery,
    ) -> Result<Option<(Vec<MomentInfo>, bool)>> {
        let mut filter = Filter::of(id);
        filter.moments(&query.filter);
        if let Some(Cursor { started_at, moment_id }) = &query.cursor {
            filter.and("started_at <= to_timestamp($::bigint::float8 / 1000)", Some(millis(*started_at)));
            let before = "(started_at < to_timestamp($::bigint::float8 / 1000) OR moment_id < ";
            filter.and(before, Some(millis(*started_at)));
            filter.go_on("$)", moment_id.clone());
        }
        let select = filter.select("moments", "started_at DESC, moment_id DESC", query.limit);
        let found = self.found(filter, select).await?;
        Ok(found.map(|moments| page(moments, query.limit)))
    }

    /// The rows that fit the filter; `None` if there is no such stream.
    async fn found<T: DeserializeOwned>(&self, filter: Filter, select: String) -> Result<Option<Vec<T>>> {
        let ask = async |client: &Client| {
            let found = rows(client, &select, &filter.parameters()).await?;
            if !found.is_empty() {
                return Ok(Some(found));
            }
            let known = format!("WITH {ID} SELECT 1 FROM ids");
            Ok(client.query_opt(&known, &filter.parameters()[..1]).await?.map(|_| found))
        };
        self.pool.ask(ask).await
    }

    /// All streams and all open moments, and how far the shards were then.
    pub(super) async fn overview(&self) -> Result<(Shards, Vec<StreamInfo>, Vec<MomentInfo>)> {
        let open = "SELECT to_jsonb(t)::text FROM moments t WHERE ended_at IS NULL ORDER BY started_at DESC";
        let ask = async |client: &Client| {
            let shards = shards(client, &self.pipeline).await?;
            let streams = streams(client, None, &shards).await?;
            Ok((shards, streams, rows(client, open, &[]).await?))
        };
        self.pool.ask(ask).await
    }

    /// A stream, its windows and moments that ended within `history` milliseconds, and how far the shards were then.
    pub(super) async fn snapshot(
        &self,
        id: &str,
        history: u64,
    ) -> Result<(Shards, Option<StreamInfo>, Vec<Metrics>, Vec<MomentInfo>)> {
        let ask = async |client: &Client| {
            let shards = shards(client, &self.pipeline).await?;
            let stream = streams(client, Some(id), &shards).await?.pop();
            let since = millis(shards.of(Some(id)).unwrap_or_default().minus(history)) as f64;
            let windows = "SELECT to_jsonb(t)::text FROM chat_summary_minute t
                WHERE stream_id = $1 AND window_end >= to_timestamp($2::float8 / 1000) ORDER BY window_start";
            let moments = "SELECT to_jsonb(t)::text FROM moments t
                WHERE stream_id = $1 AND (ended_at IS NULL OR ended_at >= to_timestamp($2::float8 / 1000))
                ORDER BY started_at DESC";
            let windows = rows(client, windows, &[&id, &since]).await?;
            let moments = rows(client, moments, &[&id, &since]).await?;
            Ok((shards, stream, windows, moments))
        };
        self.pool.ask(ask).await
    }
}

/// An earlier release has no columns for the log, and then there is none.
const SHARDS: &str = "SELECT (extract(epoch FROM time) * 1000)::bigint,
    (extract(epoch FROM (to_jsonb(p) ->> 'changes_since')::timestamptz) * 1000)::bigint,
    left(md5(string_agg(to_jsonb(p) ->> 'history', ',') OVER ()), 16),
    coalesce((to_jsonb(p) ->> 'starts_over')::boolean, false)
    FROM telemetra_progress p WHERE pipeline = $1 ORDER BY shard";

pub(super) async fn shards(client: &Client, pipeline: &str) -> Result<Shards> {
    let rows = client.query(SHARDS, &[&pipeline]).await?;
    let times = |column: usize| {
        let time =
            |row: &Row| Ok(row.try_get::<_, Option<i64>>(column)?.map(|time| EventTime(time.unsigned_abs())));
        rows.iter().map(time).collect::<Result<Vec<_>>>()
    };
    // Until it has a row of its own, a shard that starts over has those of the run before, of other times.
    let own =
        |(row, time): (&Row, Option<EventTime>)| Ok(time.filter(|_| matches!(row.try_get(3), Ok(false))));
    let own: Vec<_> = rows.iter().zip(times(0)?).map(own).collect::<Result<_>>()?;
    let kept: Option<Vec<_>> = times(1)?.into_iter().collect();
    let run: Option<&str> = rows.first().map(|row| row.try_get(2)).transpose()?.flatten();
    let since = kept.and_then(|kept| kept.into_iter().max());
    Ok(Shards { times: times(0)?, log: run.map(Into::into).zip(since), own })
}

async fn streams(client: &Client, id: Option<&str>, shards: &Shards) -> Result<Vec<StreamInfo>> {
    let known: Vec<Known> = match id {
        Some(id) => rows(client, &format!("WITH {ID} {STREAMS}"), &[&id]).await?,
        None => rows(client, &format!("WITH {IDS} {STREAMS}"), &[]).await?,
    };
    Ok(known.into_iter().map(|known| info(known, shards.as_of())).collect())
}

fn info(known: Known, as_of: Option<EventTime>) -> StreamInfo {
    let row = known.row.as_ref();
    let newest = known.newest.as_ref().map(|metrics| metrics.updated_at);
    let last_event = known.newest.as_ref().map(|metrics| metrics.window_start);
    let updated_at = row.map(|row| row.updated_at).max(newest);
    let is_live = row.and_then(|row| row.is_live);
    let current = current(known.newest, as_of);
    StreamInfo {
        name: row.map_or_else(|| known.stream_id.clone(), |row| row.name.clone()),
        title: row.and_then(|row| row.title.clone()),
        category: row.and_then(|row| row.category.clone()),
        is_live,
        presence: Presence::of(is_live, current.is_some()),
        silent_since: if current.is_some() { None } else { last_event.or(updated_at) },
        started_at: row.and_then(|row| row.started_at),
        ended_at: row.and_then(|row| row.ended_at),
        updated_at: updated_at.unwrap_or_default(),
        open_moments: known.open_moments,
        current,
        stream_id: known.stream_id,
    }
}

pub(super) async fn rows<T: DeserializeOwned>(
    client: &Client,
    select: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<T>> {
    let read = |row: &Row| Ok(serde_json::from_str(row.try_get(0)?)?);
    client.query(select, parameters).await?.iter().map(read).collect()
}

pub(super) fn millis(time: EventTime) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}
