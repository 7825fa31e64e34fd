//! The SQL statements of a table, prepared at first use, once for each connection.

use std::sync::Arc;

use telemetra_core::{Action, Column, ColumnKind, Table};
use tokio_postgres::{Client, Error, Statement};

use super::array::{Array, spread};
use super::change_log;
use super::define::{keys, literal, quoted};

const TEXT: ColumnKind = ColumnKind::Text;
const INTEGER: ColumnKind = ColumnKind::Integer;
const TIME: ColumnKind = ColumnKind::Time;
/// The facts that are recorded of a change beside the row, as columns of statements: no table has such names.
const RECORD: &str = "\"the subject\", \"the revision\", \"the time\"";

/// The statements of a table, and the places of its key columns.
pub(super) struct Plan {
    pub(super) table: Arc<Table>,
    /// The indexes of the key columns.
    pub(super) keys: Vec<usize>,
    /// True if there is a log of changes.
    logged: bool,
    upsert: String,
    withdraw: String,
}

impl Plan {
    /// `log` is the pipeline in whose name changes are recorded.
    pub(super) fn new(table: &Arc<Table>, partitioned: bool, log: Option<&str>) -> Self {
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
        let by_key: Vec<String> = keys_sql.iter().map(|key| format!("t.{key}")).collect();
        let matches: Vec<String> = keys_sql.iter().map(|key| format!("t.{key} = w.{key}")).collect();
        let name = quoted(table.name());
        let update =
            if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
        let names = names.join(", ");
        let keys_sql = keys_sql.join(", ");
        // No column has a name with a space.
        let record = [TEXT, INTEGER, TIME].into_iter().enumerate();
        let record = |after: usize| {
            record.clone().map(|(nth, kind)| spread(after + nth + 1, kind)).collect::<Vec<_>>().join(", ")
        };
        let into = |pipeline: &str, action: &str| {
            format!(
                "INSERT INTO telemetra_changes (pipeline, \"table\", action, key, \"row\", subject, revision, time)
                 SELECT {}, {}, '{action}'",
                literal(pipeline),
                literal(table.name())
            )
        };
        let put =
            |from: &str| format!("INSERT INTO {name} ({names}) {from} ON CONFLICT ({keys_sql}) DO {update}");
        let upsert = match log.filter(|_| change_log::records_upserts(table)) {
            None => put(&format!("SELECT {}", parameters.join(", "))),
            Some(pipeline) => format!(
                "WITH w ({names}, {RECORD}) AS (SELECT {}, {}), put AS ({})
                 {}, jsonb_build_array({keys_sql}), to_jsonb(w) - ARRAY [{}], {RECORD} FROM w",
                parameters.join(", "),
                record(columns.len()),
                put(&format!("SELECT {names} FROM w")),
                into(pipeline, "upsert"),
                RECORD.replace('"', "'"),
            ),
        };
        let matches = matches.join(" AND ");
        let key_parameters = key_parameters.join(", ");
        let withdraw = match log {
            None => {
                format!(
                    "DELETE FROM {name} t USING (SELECT {key_parameters}) AS w ({keys_sql}) WHERE {matches}"
                )
            }
            // What was not there is not recorded: nobody has seen it.
            Some(pipeline) => format!(
                "WITH w ({keys_sql}, {RECORD}) AS (SELECT {key_parameters}, {}),
                 gone AS (DELETE FROM {name} t USING w WHERE {matches}
                     RETURNING jsonb_build_array({}) AS key, to_jsonb(t) AS \"row\", {RECORD})
                 {}, gone.* FROM gone",
                record(keys.len()),
                by_key.join(", "),
                into(pipeline, "withdraw"),
            ),
        };
        Self { upsert, withdraw, logged: log.is_some(), table: Arc::clone(table), keys }
    }

    /// Returns whether a change is recorded, by its subject, revision and time.
    pub(super) fn records(&self, action: Action) -> bool {
        self.logged && (action == Action::Withdraw || change_log::records_upserts(&self.table))
    }

    /// Returns empty columns, for all columns of a row or for its key, and for what is recorded of the change.
    pub(super) fn arrays(&self, action: Action) -> Vec<Array> {
        let columns = self.table.all_columns();
        let array = |column: &Column| Array::new(column.kind);
        let mut arrays: Vec<_> = match action {
            Action::Upsert => columns.iter().map(array).collect(),
            Action::Withdraw => self.keys.iter().map(|place| array(&columns[*place])).collect(),
        };
        if self.records(action) {
            arrays.extend([TEXT, INTEGER, TIME].map(Array::new));
        }
        arrays
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
