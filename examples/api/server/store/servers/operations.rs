//! The status of a pipeline elsewhere, from its tables: the progress of each shard, checkpoints, and dead letters.

use std::collections::BTreeMap;

use anyhow::Result;
use telemetra::core::{EventTime, Fate};
use tokio_postgres::{Client, Row};

use super::filter::Filter;
use super::tables::Tables;
use crate::server::model::Time;
use crate::server::operations::{Checkpoints, Letter, LettersQuery, Operations, Sink};
use crate::server::store::page;

const SHARDS: &str = "SELECT shard, (extract(epoch FROM time) * 1000)::bigint FROM telemetra_progress
    WHERE pipeline = $1 ORDER BY shard";
const FATES: &str = "SELECT fate, count(*) FROM telemetra_dead_letters GROUP BY fate";
/// A checkpoint's parts are named by its boundary in milliseconds; it is complete once it has a part of that name.
const CHECKPOINTS: &str = "SELECT max(left(name, 20)::bigint) FILTER (WHERE name LIKE '%/complete'),
    coalesce(sum(octet_length(blob)), 0)::bigint FROM telemetra_checkpoints WHERE pipeline = $1";

impl Tables {
    pub(super) async fn operations(&self) -> Result<Operations> {
        self.pool().ask(async |client| read(client, self.pipeline()).await).await
    }

    pub(super) async fn letters(&self, query: &LettersQuery) -> Result<(Vec<Letter>, bool)> {
        let mut filter = Filter::all();
        filter.and("fate = $", query.fate.map(str::to_owned));
        if let Some(search) = &query.search {
            filter.and("(position($::text in reason) > 0", Some(search.clone()));
            filter.go_on(" OR position($::bytea in bytes) > 0)", search.clone().into_bytes());
        }
        if let Some(place) = &query.cursor {
            filter.and("(\"offset\", idx, partition COLLATE \"C\") < ($, ", Some(place.offset));
            filter.go_on("$, ", place.index);
            filter.go_on("$::text COLLATE \"C\")", place.partition.clone());
        }
        let select = format!(
            "SELECT partition, \"offset\", idx, fate, reason, bytes, (extract(epoch FROM time) * 1000)::bigint AS time
            FROM telemetra_dead_letters WHERE {} ORDER BY \"offset\" DESC, idx DESC, partition COLLATE \"C\" DESC LIMIT {}",
            filter.conditions(),
            query.limit + 1
        );
        let ask = async |client: &Client| {
            let rows = client.query(&select, &filter.parameters()).await?;
            rows.iter().map(letter).collect::<Result<Vec<_>>>()
        };
        Ok(page(self.pool().ask(ask).await?, query.limit))
    }
}

async fn read(client: &Client, pipeline: &str) -> Result<Operations> {
    let mut sinks = Vec::new();
    for row in client.query(SHARDS, &[&pipeline]).await? {
        let shard = row.try_get::<_, i64>(0)?.unsigned_abs();
        let durable = row.try_get::<_, Option<i64>>(1)?.map(millis);
        sinks.push(Sink { name: "postgres".to_owned(), shard, durable, ..Sink::default() });
    }
    let mut fates = BTreeMap::new();
    for row in client.query(FATES, &[]).await? {
        let (name, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(fate) = Fate::ALL.iter().find(|fate| fate.as_str() == name) {
            fates.insert(fate.as_str(), count.unsigned_abs());
        }
    }
    let durable = sinks.iter().map(|sink| sink.durable).min().flatten();
    let has_store = client.query_one("SELECT to_regclass('telemetra_checkpoints') IS NOT NULL", &[]).await?;
    let checkpoints = match has_store.try_get(0)? {
        true => Some(checkpoints(&client.query_one(CHECKPOINTS, &[&pipeline]).await?, durable)?),
        false => None,
    };
    Ok(Operations { pipeline: "elsewhere", durable, fates, sinks, checkpoints, ..Operations::default() })
}

fn checkpoints(row: &Row, durable: Option<Time>) -> Result<Checkpoints> {
    let boundary = row.try_get::<_, Option<i64>>(0)?.map(millis);
    let age = boundary.zip(durable).map(|(Time(at), Time(now))| (now - at) as f64 / 1000.0);
    let bytes = row.try_get::<_, i64>(1)?.unsigned_abs();
    Ok(Checkpoints { boundary, age_seconds: age, bytes, ..Checkpoints::default() })
}

fn letter(row: &Row) -> Result<Letter> {
    let bytes: &[u8] = row.try_get("bytes")?;
    let (text, hex) = Letter::shown(bytes);
    Ok(Letter {
        partition: row.try_get("partition")?,
        offset: row.try_get::<_, i64>("offset")?.unsigned_abs(),
        index: row.try_get::<_, i64>("idx")?.unsigned_abs(),
        time: row.try_get::<_, Option<i64>>("time")?.map(millis),
        fate: row.try_get("fate")?,
        reason: row.try_get("reason")?,
        size: bytes.len() as u64,
        text,
        hex,
    })
}

fn millis(time: i64) -> Time {
    Time(EventTime(time.unsigned_abs()))
}
