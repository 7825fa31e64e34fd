//! The SQL statements of a table, prepared at first use, once for each connection.

use std::sync::Arc;

use telemetra_core::{Column, Table};
use tokio_postgres::{Client, Error, Statement};

use super::array::{Array, spread};
use super::define::{keys, quoted};

/// The statements of a table, and the places of its key columns.
pub(super) struct Plan {
    pub(super) table: Arc<Table>,
    /// The indexes of the key columns.
    pub(super) keys: Vec<usize>,
    upsert: String,
    withdraw: String,
}

impl Plan {
    pub(super) fn new(table: &Arc<Table>, partitioned: bool) -> Self {
        let columns = table.all_columns();
        let keys: Vec<usize> =
            keys(table, partitioned).iter().filter_map(|key| table.position(key)).collect();
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        // In the select list, all arrays are unnested in parallel; in `FROM`, each would be materialised
        // first.
        let parameter = |(nth, place): (usize, usize)| spread(nth + 1, columns[place].kind);
        let parameters: Vec<String> = (0..columns.len()).enumerate().map(parameter).collect();
        let key_parameters: Vec<String> = keys.iter().copied().enumerate().map(parameter).collect();
        let set: Vec<String> = (0..columns.len())
            .filter(|place| !keys.contains(place))
            .map(|place| format!("{0} = excluded.{0}", names[place]))
            .collect();
        let keys_sql = keys.iter().map(|place| &*names[*place]).collect::<Vec<_>>();
        let matches: Vec<String> = keys_sql.iter().map(|key| format!("t.{key} = w.{key}")).collect();
        let name = quoted(table.name());
        let update =
            if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
        Self {
            upsert: format!(
                "INSERT INTO {name} ({}) SELECT {} ON CONFLICT ({}) DO {update}",
                names.join(", "),
                parameters.join(", "),
                keys_sql.join(", ")
            ),
            withdraw: format!(
                "DELETE FROM {name} t USING (SELECT {}) AS w ({}) WHERE {}",
                key_parameters.join(", "),
                keys_sql.join(", "),
                matches.join(" AND ")
            ),
            table: Arc::clone(table),
            keys,
        }
    }

    /// Returns empty columns, for all columns of a row or for its key.
    pub(super) fn arrays(&self, whole: bool) -> Vec<Array> {
        let columns = self.table.all_columns();
        let array = |column: &Column| Array::new(column.kind);
        if whole {
            columns.iter().map(array).collect()
        } else {
            self.keys.iter().map(|place| array(&columns[*place])).collect()
        }
    }
}

/// The prepared statements of a table on one connection.
#[derive(Clone, Default)]
pub(super) struct Prepared {
    upsert: Option<Statement>,
    withdraw: Option<Statement>,
}

impl Prepared {
    /// Returns the statement that writes rows.
    pub(super) async fn upsert(&mut self, client: &Client, plan: &Plan) -> Result<Statement, Error> {
        once(&mut self.upsert, client, &plan.upsert).await
    }

    /// Returns the statement that deletes rows by their keys.
    pub(super) async fn withdraw(&mut self, client: &Client, plan: &Plan) -> Result<Statement, Error> {
        once(&mut self.withdraw, client, &plan.withdraw).await
    }
}

/// Returns the statement, preparing it at first use.
pub(super) async fn once(
    slot: &mut Option<Statement>,
    client: &Client,
    sql: &str,
) -> Result<Statement, Error> {
    if let Some(statement) = slot {
        return Ok(statement.clone());
    }
    let statement = client.prepare(sql).await?;
    *slot = Some(statement.clone());
    Ok(statement)
}
