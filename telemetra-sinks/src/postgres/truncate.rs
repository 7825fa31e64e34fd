//! Deletes the rows of a shard when a pipeline starts over, by TRUNCATE where there is only one shard.

use std::sync::Arc;

use telemetra_core::{ColumnKind, Key, Shard, Table};
use tokio_postgres::{Client, Error, Row};

use super::array::event_time;
use super::define::quoted;
use super::session::Timestamp;

/// Deletes what is a shard's: the rows of its subjects, and the dead letters of its partitions. The other shards empty their own, and may
/// have begun to write already.
pub(super) async fn truncate_shard(
    client: &Client,
    tables: &[Arc<Table>],
    index: i64,
    of: i64,
) -> Result<(), Error> {
    if of == 1 {
        let tables = tables.iter().map(|table| quoted(table.name()));
        let tables: Vec<_> = tables.chain(["telemetra_dead_letters".to_owned()]).collect();
        return client.batch_execute(&format!("TRUNCATE {}", tables.join(", "))).await;
    }
    let shards = usize::try_from(of).unwrap_or(usize::MAX);
    let is_ours = |subject: &str| i64::try_from(Shard::index_of(subject, shards)) == Ok(index);
    for table in tables {
        let columns = table.subject_columns();
        let names: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
        let shown = columns.iter().map(|column| match column.kind {
            ColumnKind::Time => quoted(&column.name),
            ColumnKind::Bytes => format!("encode({}, 'hex')", quoted(&column.name)),
            _ => format!("{}::text", quoted(&column.name)),
        });
        let (name, shown) = (quoted(table.name()), shown.collect::<Vec<_>>().join(", "));
        let found = client.query(&format!("SELECT DISTINCT {shown} FROM {name}"), &[]).await?;
        let texts = |row: &Row| -> Vec<String> {
            let text = |(place, kind): (usize, ColumnKind)| match kind {
                ColumnKind::Time => event_time(row.get::<_, Timestamp>(place).0).to_string(),
                _ => row.get(place),
            };
            columns.iter().map(|column| column.kind).enumerate().map(text).collect()
        };
        let ours = found.iter().filter(|row| is_ours(&subject(&texts(row))));
        // One statement for each subject: they are few beside their rows.
        let shown: Vec<_> = shown.split(", ").map(ToOwned::to_owned).collect();
        for row in ours {
            let mut conditions = Vec::with_capacity(names.len());
            let mut parameters: Vec<Box<dyn tokio_postgres::types::ToSql + Sync>> = Vec::new();
            for (place, column) in columns.iter().enumerate() {
                conditions.push(format!("{} = ${}", shown[place], place + 1));
                match column.kind {
                    ColumnKind::Time => parameters.push(Box::new(row.get::<_, Timestamp>(place))),
                    _ => parameters.push(Box::new(row.get::<_, String>(place))),
                }
            }
            let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
                parameters.iter().map(|p| &**p).collect();
            client
                .execute(&format!("DELETE FROM {name} WHERE {}", conditions.join(" AND ")), &parameters)
                .await?;
        }
    }
    let found = client.query("SELECT DISTINCT partition FROM telemetra_dead_letters", &[]).await?;
    let ours: Vec<&str> =
        found.iter().map(|row| row.get::<_, &str>(0)).filter(|partition| is_ours(partition)).collect();
    client.execute("DELETE FROM telemetra_dead_letters WHERE partition = ANY($1)", &[&ours]).await.map(drop)
}

/// The subject whose columns are shown so.
fn subject(texts: &[String]) -> String {
    match texts {
        [one] => one.clone(),
        [a, b] => (a.clone(), b.clone()).text().into_owned(),
        [a, b, c] => (a.clone(), b.clone(), c.clone()).text().into_owned(),
        [a, b, c, d] => (a.clone(), b.clone(), c.clone(), d.clone()).text().into_owned(),
        more => more.join("\u{1f}"),
    }
}
