//! The dead letters, from SQLite.

use anyhow::Result;
use rusqlite::Row;
use rusqlite::types::Value;

use super::{Archive, Filter, count, rows, time};
use crate::server::operations::{Letter, LettersQuery};
use crate::server::store::page;

impl Archive {
    pub(crate) async fn letters(&self, query: &LettersQuery) -> Result<(Vec<Letter>, bool)> {
        let mut filter = Filter { conditions: vec!["TRUE"], values: Vec::new() };
        filter.and("fate = ?", query.fate.map(str::to_owned));
        if let Some(search) = &query.search {
            filter.and("(instr(reason, ?) > 0 OR instr(bytes, ?) > 0)", Some(search.clone()));
            filter.values.push(Value::Blob(search.clone().into_bytes()));
        }
        if let Some(place) = &query.cursor {
            filter.and("(\"offset\", idx, \"partition\") < (?, ?, ?)", Some(place.offset));
            filter.values.extend([Value::from(place.index), Value::from(place.partition.clone())]);
        }
        let order = "\"offset\" DESC, idx DESC, \"partition\" DESC";
        let (sql, limit) = (filter.select("telemetra_dead_letters", order, query.limit), query.limit);
        Ok(page(self.ask(move |connection| rows(connection, &sql, &filter, letter)).await?, limit))
    }
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let bytes: Vec<u8> = row.get("bytes")?;
    let (text, hex) = Letter::shown(&bytes);
    Ok(Letter {
        partition: row.get("partition")?,
        offset: count(row, "offset")?,
        index: count(row, "idx")?,
        time: row.get::<_, Option<i64>>("time")?.map(|_| time(row, "time")).transpose()?,
        fate: row.get("fate")?,
        reason: row.get("reason")?,
        size: bytes.len() as u64,
        text,
        hex,
    })
}
