//! Deletes the rows of a shard when a pipeline starts over, by TRUNCATE where there is only one shard.

use std::sync::Arc;

use telemetra_core::{Column, ColumnKind, Decimal, Key, Shard, Table};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::array::event_time;
use super::define::quoted;
use super::session::Timestamp;

/// Checks that the rows of one shard can be told from those of the others by what the tables hold.
pub(super) fn check(tables: &[Arc<Table>], shard: Shard) -> Result<(), String> {
    use ColumnKind::{Bool, Bytes, Decimal, Float, Integer, Text, Time};
    if shard.of == 1 {
        return Ok(());
    }
    let is_told =
        |column: &Column| matches!(column.kind, Bool | Bytes | Decimal | Float | Integer | Text | Time);
    for table in tables {
        if let Some(column) = table.subject_columns().iter().find(|column| !is_told(column)) {
            return Err(format!(
                "the rows of one shard of the table {} cannot be told from the others by the column {}, \
                 so no shard of it can start over; empty the tables by hand, or use one shard",
                table.name(),
                column.name
            ));
        }
    }
    Ok(())
}

/// Deletes the rows of a shard's subjects. The other shards empty their own, and may have begun to write already.
pub(super) async fn rows(client: &Client, tables: &[Arc<Table>], index: i64, of: i64) -> Result<(), Error> {
    if of == 1 {
        let tables: Vec<_> = tables.iter().map(|table| quoted(table.name())).collect();
        if tables.is_empty() {
            return Ok(());
        }
        return client.batch_execute(&format!("TRUNCATE {}", tables.join(", "))).await;
    }
    let is_ours = |subject: &str| falls_to(subject, index, of);
    for table in tables {
        let (name, columns) = (quoted(table.name()), table.subject_columns());
        if columns.is_empty() {
            // All rows have the subject of the key without columns.
            if is_ours("") {
                client.batch_execute(&format!("DELETE FROM {name}")).await?;
            }
            continue;
        }
        let shown: Vec<_> = columns.iter().map(shown_as).collect();
        let found = client.query(&format!("SELECT DISTINCT {} FROM {name}", shown.join(", ")), &[]).await?;
        let conditions: Vec<_> =
            shown.iter().enumerate().map(|(place, shown)| format!("{shown} = ${}", place + 1)).collect();
        let delete = format!("DELETE FROM {name} WHERE {}", conditions.join(" AND "));
        // One statement for each subject: they are few beside their rows.
        for row in &found {
            let parts: Vec<_> = columns
                .iter()
                .enumerate()
                .map(|(place, column)| Part::read(row, place, column.kind))
                .collect();
            if is_ours(&subject(&parts)) {
                let parameters: Vec<_> = parts.iter().map(Part::parameter).collect();
                client.execute(&delete, &parameters).await?;
            }
        }
    }
    Ok(())
}

/// Deletes the dead letters of a shard's partitions.
pub(super) async fn letters(client: &Client, index: i64, of: i64) -> Result<(), Error> {
    if of == 1 {
        return client.batch_execute("TRUNCATE telemetra_dead_letters").await;
    }
    let found = client.query("SELECT DISTINCT partition FROM telemetra_dead_letters", &[]).await?;
    let partitions = found.iter().map(|row| row.get::<_, &str>(0));
    let ours: Vec<&str> = partitions.filter(|partition| falls_to(partition, index, of)).collect();
    client.execute("DELETE FROM telemetra_dead_letters WHERE partition = ANY($1)", &[&ours]).await.map(drop)
}

fn falls_to(subject: &str, index: i64, of: i64) -> bool {
    let shards = usize::try_from(of).unwrap_or(usize::MAX);
    i64::try_from(Shard::index_of(subject, shards)) == Ok(index)
}

/// How a column of a subject is read and compared.
fn shown_as(column: &Column) -> String {
    let name = quoted(&column.name);
    match column.kind {
        ColumnKind::Time | ColumnKind::Float => name,
        ColumnKind::Bytes => format!("encode({name}, 'hex')"),
        _ => format!("{name}::text"),
    }
}

/// A column of a subject, as it is read.
enum Part {
    Time(Timestamp),
    Float(f64),
    Decimal(String),
    Text(String),
}

impl Part {
    fn read(row: &Row, place: usize, kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Time => Self::Time(row.get(place)),
            ColumnKind::Float => Self::Float(row.get(place)),
            ColumnKind::Decimal => Self::Decimal(row.get(place)),
            _ => Self::Text(row.get(place)),
        }
    }

    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Time(time) => time,
            Self::Float(x) => x,
            Self::Decimal(text) | Self::Text(text) => text,
        }
    }

    /// The text that it has in a subject, which is not always that of Postgres.
    fn text(&self) -> String {
        match self {
            Self::Time(time) => event_time(time.0).to_string(),
            Self::Float(x) => x.to_string(),
            // With all of its places it is a number of millionths.
            Self::Decimal(text) => match text.replace('.', "").parse() {
                Ok(millionths) => Decimal(millionths).to_string(),
                Err(_) => text.clone(),
            },
            Self::Text(text) => text.clone(),
        }
    }
}

/// The subject of these columns: the text of the key that they are.
fn subject(parts: &[Part]) -> String {
    match parts {
        [one] => one.text(),
        several => {
            // As a key of its own each is escaped as it is among others.
            let texts: Vec<_> = several.iter().map(|part| (part.text(),).text().into_owned()).collect();
            texts.join("\u{1f}")
        }
    }
}
