//! Deletes the rows of a shard when a pipeline starts over, by TRUNCATE where there is only one shard.

use std::collections::BTreeSet;

use telemetra_core::Shard;
use tokio_postgres::{Client, Error};

use super::schema::ROWS;
use crate::tabular::tables::Table;

/// Deletes what is a shard's: its streams' rows, and the dead letters of its partitions. The other shards empty their own, and may
/// have begun to write already.
pub(super) async fn truncate_shard(client: &Client, index: i64, of: i64) -> Result<(), Error> {
    if of == 1 {
        let tables: Vec<_> = ROWS.into_iter().filter(|table| *table != "telemetra_progress").collect();
        return client.batch_execute(&format!("TRUNCATE {}", tables.join(", "))).await;
    }
    let of_streams = Table::ALL.into_iter().map(|table| (table.name(), "stream_id"));
    for (table, column) in of_streams.chain([("telemetra_dead_letters", "partition")]) {
        let names = client.query(&format!("SELECT DISTINCT {column} FROM {table}"), &[]).await?;
        let shards = usize::try_from(of).unwrap_or(usize::MAX);
        let ours: BTreeSet<&str> = names
            .iter()
            .map(|row| row.get::<_, &str>(0))
            .filter(|name| i64::try_from(Shard::index_of(name, shards)) == Ok(index))
            .collect();
        let ours: Vec<&str> = ours.into_iter().collect();
        client.execute(&format!("DELETE FROM {table} WHERE {column} = ANY($1)"), &[&ours]).await?;
    }
    Ok(())
}
