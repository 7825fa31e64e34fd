//! The check that the names of tables and indexes do not collide in a schema of Postgres.

use std::sync::Arc;

use telemetra_core::Table;

/// The greatest length of a name in bytes. Postgres cuts off the rest.
const LONGEST: usize = 63;
/// The length of the suffix of a day's partition: an underscore, year, month and day.
const DAY: usize = 9;

/// Checks the names of a pipeline's tables before any of them is created. The error says which name to
/// change.
pub(super) fn check(tables: &[Arc<Table>], partitioned: bool) -> Result<(), String> {
    for (n, table) in tables.iter().enumerate() {
        table.check().map_err(|error| error.to_string())?;
        let (name, others) = (table.name(), &tables[..n]);
        if others.iter().any(|other| other.name() == name) {
            return Err(format!("two tables are called {name}; rename one"));
        }
        for index in table.indexes() {
            // An index is created only if its name is free, so one of the two tables would be without.
            if others.iter().flat_map(|other| other.indexes()).any(|other| other.name == index.name) {
                return Err(format!(
                    "two tables have an index {}; give one another name by `index_named`",
                    index.name
                ));
            }
        }
        // Names of partitions that are cut off would be the same.
        let longest = LONGEST - DAY;
        if partitioned && table.day_column().is_some() && name.len() > longest {
            return Err(format!(
                "the name of the table {name} has {} characters, and with a retention it may have at most \
                 {longest}, as each day's table adds {DAY} to it and Postgres allows {LONGEST}; \
                 give it a shorter name",
                name.len()
            ));
        }
    }
    Ok(())
}
