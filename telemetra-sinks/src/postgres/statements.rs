//! The statements of a table, prepared when they are first needed, once per connection.

use std::sync::Arc;

use telemetra_core::{Column, Table};
use tokio_postgres::{Client, Error, Statement};

use super::array::{Array, spread};
use super::define::{keys, quoted};

/// What is known of a table before there is a connection.
pub(super) struct Plan {
    pub(super) table: Arc<Table>,
    /// The places of the key's columns.
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
        // In the list of what is selected all arrays are walked side by side; in `FROM` each would be spread
        // out first.
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

    /// Empty columns for all of a row, or for its key.
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

/// A table's statements on a connection.
#[derive(Clone, Default)]
pub(super) struct Prepared {
    upsert: Option<Statement>,
    withdraw: Option<Statement>,
}

impl Prepared {
    pub(super) async fn upsert(&mut self, client: &Client, plan: &Plan) -> Result<Statement, Error> {
        once(&mut self.upsert, client, &plan.upsert).await
    }

    pub(super) async fn withdraw(&mut self, client: &Client, plan: &Plan) -> Result<Statement, Error> {
        once(&mut self.withdraw, client, &plan.withdraw).await
    }
}

/// The statement, prepared unless it was.
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
