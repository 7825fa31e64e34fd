//! The schema: who makes the tables, and which are refused.

use std::error::Error;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{Column, ColumnKind, Retry, Sink, Table};
use telemetra_sinks::{Postgres, PostgresConfig, PostgresStore};

use super::common::{batch, readings, tables};
use super::server::{Database, database};

fn open(database: &Database) -> Result<Postgres, String> {
    let mut sink = Postgres::new(database.config());
    match sink.open(&tables(), None) {
        Ok(_) => Ok(sink),
        Err(error) => {
            assert_eq!(error.retry(), Retry::Permanent);
            Err(error.to_string())
        }
    }
}

fn refused(database: &Database, word: &str) {
    let error =
        open(database).err().unwrap_or_else(|| panic!("a database is used that should not be: {word}"));
    assert!(error.contains(word) && error.contains(&database.name), "{error}");
}

#[test]
fn several_processes_may_start_at_once() {
    let database = database();
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (database, start) = (&database, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut store = PostgresStore::new(database.config());
                    store.put(&format!("{n}"), b"x").unwrap();
                    open(database).map(drop)
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    assert_eq!(
        database
            .text("SELECT string_agg(component || version, ' ' ORDER BY component) FROM telemetra_schema"),
        "checkpoints1 table alerts1 table device_minute1 table devices1 table moments1 tables5"
    );
    assert_eq!(database.text("SELECT count(*) FROM telemetra_checkpoints"), "8");
    assert_eq!(database.text("SELECT generation FROM telemetra_progress"), "8", "each has claimed the shard");
}

#[test]
fn tables_of_a_newer_version_are_refused() {
    let database = database();
    drop(open(&database).unwrap());
    database.client().batch_execute("UPDATE telemetra_schema SET version = 7").unwrap();
    refused(&database, "version 7");
    assert_eq!(database.text("SELECT generation FROM telemetra_progress"), "1", "nothing was claimed");
}

#[test]
fn tables_that_are_not_ours_are_refused_and_left_alone() {
    let database = database();
    database.client().batch_execute("CREATE TABLE moments (id int)").unwrap();
    refused(&database, "table moments that telemetra did not make");
    assert_eq!(database.one("SELECT to_regclass('telemetra_schema')"), None);
    // Another schema of the same database is another matter.
    let own = format!("{} options='-csearch_path=own'", database.words());
    database.client().batch_execute("CREATE SCHEMA own").unwrap();
    let config = telemetra_sinks::PostgresConfig::from_url(&own).unwrap();
    let mut sink = Postgres::new(config);
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, vec![readings("s", 0, 1)])]).unwrap();
    assert_eq!(database.text("SELECT count(*) FROM own.device_minute"), "1");
}

#[test]
fn changed_tables_are_refused_unless_the_rows_still_fit() {
    let database = database();
    let change = |sql: &str| database.client().batch_execute(sql).unwrap();
    drop(open(&database).unwrap());
    change("ALTER TABLE moments ADD COLUMN note text, ADD COLUMN added timestamptz NOT NULL DEFAULT now()");
    change("CREATE INDEX ON moments (note)");
    drop(open(&database).unwrap());
    change("ALTER TABLE moments ADD COLUMN needed int NOT NULL");
    refused(&database, "needs a value for the column needed");
    change("ALTER TABLE moments DROP COLUMN needed, ALTER COLUMN score TYPE real");
    refused(&database, "column score of type real");
    change("ALTER TABLE moments DROP COLUMN score");
    refused(&database, "lacks the columns that this pipeline's rows have: \"score\" double precision");
    change("DROP TABLE moments");
    refused(&database, "its table moments is gone");
}

/// A table with integers as its key and as its other columns.
fn owned(keys: &[&'static str], others: &[&'static str]) -> Table {
    let integer = |name: &&'static str| Column::new(name, ColumnKind::Integer);
    let table = keys.iter().map(integer).fold(Table::new("owned"), Table::key);
    table.columns(others.iter().map(integer))
}

fn open_on(database: &Database, tables: impl IntoIterator<Item = Table>) -> Result<(), String> {
    let tables: Vec<_> = tables.into_iter().map(Arc::new).collect();
    let opened = Postgres::new(database.config()).open(&tables, None);
    opened.map(drop).map_err(|error| error.to_string())
}

fn columns_of(database: &Database, table: &str) -> String {
    database.text(&format!(
        "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns
         WHERE table_name = '{table}'"
    ))
}

#[test]
fn a_table_of_another_key_is_refused_for_its_key() {
    let database = database();
    open_on(&database, [owned(&["a"], &["b"])]).unwrap();
    for (keys, others, wants) in
        [(&["a", "b"][..], &[][..], "(a, b)"), (&["b"], &["a"], "(b)"), (&["a", "c"], &["b"], "(a, c)")]
    {
        let error = open_on(&database, [owned(keys, others)]).unwrap_err();
        let words = format!("its table owned has the key (a), and this pipeline's rows have {wants}");
        assert!(error.contains(&words), "{error}");
    }
}

#[test]
fn a_table_that_is_refused_gets_no_columns_and_neither_do_the_others() {
    let database = database();
    let other = || Table::new("another").key(Column::new("a", ColumnKind::Integer));
    let extra = || Column::nullable("extra", ColumnKind::Text);
    open_on(&database, [other(), owned(&["a"], &["b"])]).unwrap();
    let refused = [other().column(extra()), owned(&["a", "b"], &[]).column(extra())];
    open_on(&database, refused).unwrap_err();
    assert_eq!(
        (columns_of(&database, "another"), columns_of(&database, "owned")),
        ("a".into(), "a b".into())
    );
    open_on(&database, [other().column(extra()), owned(&["a"], &["b"]).column(extra())]).unwrap();
    assert_eq!(columns_of(&database, "owned"), "a b extra");
}

#[test]
fn a_table_that_somebody_made_later_is_refused_and_left_alone() {
    let database = database();
    open_on(&database, []).unwrap();
    database.client().batch_execute("CREATE TABLE owned (a bigint PRIMARY KEY, b bigint NOT NULL)").unwrap();
    let wider = owned(&["a"], &["b"]).column(Column::nullable("extra", ColumnKind::Text));
    let error = open_on(&database, [wider]).unwrap_err();
    assert!(error.contains("it has a table owned that telemetra did not make"), "{error}");
    assert_eq!(columns_of(&database, "owned"), "a b");
}

#[test]
fn tables_of_a_later_schema_are_somebody_elses() {
    let database = database();
    let sql = "CREATE SCHEMA \"Own\"; CREATE TABLE owned (a bigint PRIMARY KEY, b bigint NOT NULL)";
    database.client().batch_execute(sql).unwrap();
    // The server folds names without quotes to lower case.
    let words = format!("{} options='-csearch_path=\"Own\",public'", database.words());
    let config = telemetra_sinks::PostgresConfig::from_url(&words).unwrap();
    let columns = [Column::nullable("extra", ColumnKind::Text), Column::new("at", ColumnKind::Time)];
    let table = Arc::new(owned(&["a"], &[]).columns(columns).by_day("at"));
    for _ in 0..2 {
        let mut sink = Postgres::new(config.clone()).retention(Duration::from_secs(86_400));
        sink.open(&[Arc::clone(&table)], None).unwrap();
    }
    let columns = "SELECT string_agg(table_schema || '.' || column_name, ' '
                                     ORDER BY table_schema, column_name)
                   FROM information_schema.columns WHERE table_name = 'owned'";
    assert_eq!(database.text(columns), "Own.a Own.at Own.extra public.a public.b");
}

#[test]
fn names_that_cannot_stand_side_by_side_are_refused() {
    let database = database();
    let refused = |tables: [Table; 2], words: &str| {
        let error = open_on(&database, tables).unwrap_err();
        assert!(error.contains(words) && error.contains(&database.name), "{error}");
        assert_eq!(database.one("SELECT to_regclass('telemetra_schema')"), None);
    };
    let table = || owned(&["a"], &["b"]).index(["b"]);
    refused([table(), table()], "two tables are called owned");
    refused([table(), table().renamed("other")], "two tables have an index owned_by_b");
    refused([table(), Table::new("other")], "it has no key column");
}

#[test]
fn starting_over_empties_the_tables_unless_there_is_a_checkpoint() {
    let database = database();
    let sink = || Postgres::new(database.config());
    let count = || database.text("SELECT count(*) FROM device_minute");
    let mut first = sink();
    first.open(&tables(), None).unwrap();
    first.apply(&[batch(3, vec![readings("s", 0, 1)])]).unwrap();
    first.dead_letters(&[super::common::letter(1, b"x")]).unwrap();
    let time = batch(3, vec![]).time;
    assert_eq!(sink().start_over().open(&tables(), Some(time)).unwrap(), Some(time));
    assert_eq!(sink().open(&tables(), None).unwrap(), Some(time));
    assert_eq!(count(), "1");
    let mut over = sink().start_over();
    assert_eq!(over.open(&tables(), None).unwrap(), None);
    assert_eq!(count(), "1", "nothing has come that could take its place");
    over.apply(&[batch(4, vec![readings("t", 4, 1), readings("u", 4, 1)])]).unwrap();
    assert_eq!(count(), "2");
    assert_eq!(database.text("SELECT count(*) FROM telemetra_dead_letters"), "0");
}

#[test]
fn a_database_of_another_encoding_is_refused_at_the_start() {
    let database = database();
    let other = format!("{}_latin", database.name);
    let make = "CREATE DATABASE $ ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    database.client().batch_execute(&make.replace('$', &other)).unwrap();
    let config = PostgresConfig::from_url(&database.words().replace(&database.name, &other)).unwrap();
    let error = Postgres::new(config).open(&tables(), None).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("has to be of the encoding UTF8"), "{error}");
    assert!(error.source().unwrap().source().unwrap().to_string().contains("LATIN1"), "{error:?}");
}
