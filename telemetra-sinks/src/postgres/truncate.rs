//! Deletes the rows of a shard when a pipeline starts over, by TRUNCATE where there is only one shard.

use std::sync::Arc;

use telemetra_core::{Column, ColumnKind, Decimal, Key, Shard, Table};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::array::event_time;
use super::change_log;
use super::define::quoted;
use super::session::Timestamp;

/// Checks that the columns of the tables identify the shard of each row.
pub(super) fn check(tables: &[Arc<Table>], shard: Shard) -> Result<(), String> {
    use ColumnKind::{Bool, Bytes, Decimal, Float, Integer, Text, Time};
    if shard.of == 1 {
        return Ok(());
    }
    let distinguishes =
        |column: &Column| matches!(column.kind, Bool | Bytes | Decimal | Float | Integer | Text | Time);
    for table in tables {
        if let Some(column) = table.subject_columns().iter().find(|column| !distinguishes(column)) {
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

/// Deletes the rows of a shard's subjects. Other shards delete their own, and may already be writing.
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
            // Without key columns, all rows have the same subject.
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
        // One statement for each subject, as there are few subjects beside their rows.
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

/// Deletes what the log of changes has of a shard's subjects.
pub(super) async fn changes(client: &Client, pipeline: &str, index: i64, of: i64) -> Result<(), Error> {
    change_log::delete(client, pipeline, of, |subject| falls_to(subject, index, of)).await
}

/// Returns whether a subject belongs to the shard `index` of `of`.
fn falls_to(subject: &str, index: i64, of: i64) -> bool {
    let shards = usize::try_from(of).unwrap_or(usize::MAX);
    i64::try_from(Shard::index_of(subject, shards)) == Ok(index)
}

/// Returns the SQL by which a column of a subject is read and compared.
fn shown_as(column: &Column) -> String {
    let name = quoted(&column.name);
    match column.kind {
        ColumnKind::Time | ColumnKind::Float => name,
        ColumnKind::Bytes => format!("encode({name}, 'hex')"),
        _ => format!("{name}::text"),
    }
}

/// The value of a subject's column, as it is read.
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

    /// Returns the text that the value has in a subject, which may differ from that of Postgres.
    fn text(&self) -> String {
        match self {
            Self::Time(time) => event_time(time.0).to_string(),
            Self::Float(x) => x.to_string(),
            // With all its decimals, it is a number of millionths.
            Self::Decimal(text) => match text.replace('.', "").parse() {
                Ok(millionths) => Decimal(millionths).to_string(),
                Err(_) => text.clone(),
            },
            Self::Text(text) => text.clone(),
        }
    }
}

/// Returns the subject that these column values form: the text of the key.
fn subject(parts: &[Part]) -> String {
    match parts {
        [one] => one.text(),
        several => {
            // Each is escaped as a part of a key.
            let texts: Vec<_> = several.iter().map(|part| (part.text(),).text().into_owned()).collect();
            texts.join("\u{1f}")
        }
    }
}
