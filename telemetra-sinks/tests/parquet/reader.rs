//! Reads folders by DuckDB and PyArrow, and says what they should find.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Map, Value as Json, json};
use telemetra_core::{Action, Batch, Change, EventTime, Table, Value};
use telemetra_sinks::Parquet;

/// A Python with both, which `scripts/services` gets from PyPI.
fn python() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let output = Command::new(&script).arg("python").stderr(Stdio::piped()).output();
        let output = output.unwrap_or_else(|error| panic!("could not run {}: {error}", script.display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "there is no Python with DuckDB and PyArrow: {said}");
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}

/// A process that reads folders.
struct Reader {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    fn start() -> Self {
        let mut child = Command::new(python())
            .args(["-c", include_str!("read.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (requests, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, requests, answers }
    }

    fn ask(&mut self, request: &Json) -> Json {
        writeln!(self.requests, "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the reader ended: {:?}", self.child.try_wait());
        serde_json::from_str(&line).unwrap()
    }
}

/// The rows of a folder: by table, all changes and the current rows.
pub(crate) struct Found(BTreeMap<String, [Vec<Json>; 2]>);

impl Found {
    pub(crate) fn changes(&self, table: &str) -> &[Json] {
        &self.0[table][0]
    }

    pub(crate) fn current(&self, table: &str) -> &[Json] {
        &self.0[table][1]
    }
}

/// Reads the files of a folder.
pub(crate) fn read(folder: &Path, tables: &[Arc<Table>]) -> Found {
    let name = |key: &telemetra_core::Column| key.name.to_string();
    read_by(folder, tables, &|table| table.keys().iter().map(name).collect())
}

/// The same, of tables whose keys have other names in files.
pub(crate) fn read_by(folder: &Path, tables: &[Arc<Table>], keys: &dyn Fn(&Table) -> Vec<String>) -> Found {
    // One for the tests of a process, which share it. It ends when its standard input does.
    static READER: Mutex<Option<Reader>> = Mutex::new(None);
    let table = |table: &Arc<Table>| json!({"name": table.name(), "keys": keys(table), "sql": Parquet::current_rows(table, "SOURCE")});
    let asked: Vec<_> = tables.iter().map(table).collect();
    let request = json!({"folder": folder.to_str().unwrap(), "tables": asked});
    let mut reader = READER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut answer = reader.get_or_insert_with(Reader::start).ask(&request);
    drop(reader);
    assert!(answer["error"].is_null(), "{}", answer["error"]);
    let Json::Object(found) = answer["tables"].take() else { panic!("{answer}") };
    let of = |mut found: Json| {
        ["changes", "current"].map(|name| {
            let Json::Array(mut rows) = found[name].take() else { panic!("{found}") };
            rows.sort_by_key(ToString::to_string);
            rows
        })
    };
    Found(found.into_iter().map(|(table, found)| (table, of(found))).collect())
}

/// A value in the words of `read.py`.
fn plain(value: Value<'_>) -> Json {
    let float = |x: f64| if x.is_finite() { json!(x.to_bits().cast_signed()) } else { Json::Null };
    match value {
        Value::Bool(b) => json!(b),
        Value::Unsigned(n) => json!(i64::try_from(n).unwrap_or(i64::MAX)),
        Value::Signed(n) => json!(n),
        Value::Float(x) => float(x),
        Value::Decimal(decimal) => json!(decimal.0.to_string()),
        Value::Text(text) => json!(text),
        Value::Shown(text) | Value::Json(text) => json!(text.to_string()),
        Value::Time(time) => json!(time.0),
        Value::Bytes(bytes) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Value::Integers(list) => json!(list),
        Value::Floats(list) => list.iter().map(|x| float(*x)).collect(),
        Value::Texts(list) => json!(list),
        _ => Json::Null,
    }
}

fn row_of(change: &Change, time: EventTime) -> Map<String, Json> {
    let (mut row, mut columns) = (Map::new(), change.row.table().all_columns().iter());
    change
        .values(time, &mut |value| drop(row.insert(columns.next().unwrap().name.to_string(), plain(value))));
    row
}

/// The changes and current rows of a table that a folder with these batches has to hold.
pub(crate) fn expected(batches: &[Batch], table: &Table) -> [Vec<Json>; 2] {
    let (mut changes, mut current) = (Vec::new(), BTreeMap::new());
    for batch in batches {
        for change in batch.changes.iter().filter(|change| change.table() == table.name()) {
            let mut row = row_of(change, batch.time);
            let key = telemetra_core::RowKey::of(&*change.row).to_string();
            let op = match change.action {
                Action::Upsert => {
                    current.insert(key, Json::Object(row.clone()));
                    "upsert"
                }
                Action::Withdraw => {
                    current.remove(&key);
                    "withdraw"
                }
            };
            let time = change.row.time().unwrap_or(batch.time);
            row.insert("day".to_owned(), json!(time.to_string()[..10].to_owned()));
            row.insert("_time".to_owned(), json!(batch.time.0));
            row.insert("_op".to_owned(), json!(op));
            row.insert("_revision".to_owned(), json!(change.revision));
            changes.push(Json::Object(row));
        }
    }
    let mut rows = [changes, current.into_values().collect()];
    rows.iter_mut().for_each(|rows| rows.sort_by_key(ToString::to_string));
    rows
}

/// Compares a folder with what these batches make of it.
pub(crate) fn assert_holds(folder: &Path, batches: &[Batch], tables: &[Arc<Table>]) {
    let found = read(folder, tables);
    for table in tables {
        let [changes, current] = expected(batches, table);
        assert_equal(found.changes(table.name()), &changes, table.name(), "changes");
        assert_equal(found.current(table.name()), &current, table.name(), "rows");
    }
}

/// Compares rows, and shows the first that differ.
fn assert_equal(found: &[Json], expected: &[Json], table: &str, what: &str) {
    if let Some((one, other)) = found.iter().zip(expected).find(|(one, other)| one != other) {
        assert_eq!(one, other, "of the {what} of {table}");
    }
    assert_eq!(found.len(), expected.len(), "the number of {what} of {table}");
}

/// The rows of a query, in which `SOURCE` is the table and `FILES` the text of where its files are.
pub(crate) fn query(folder: &Path, table: &Table, sql: &str) -> Json {
    let program = format!(
        "import duckdb, json, sys\n\
         source = \"read_parquet('{}/{}/*/*.parquet', hive_partitioning = true, union_by_name = true)\"\n\
         sql = sys.argv[1].replace('SOURCE', source).replace('FILES', \"'{}/{}/*/*.parquet'\")\n\
         print(json.dumps(duckdb.sql(sql).to_arrow_table().to_pylist()))",
        folder.display(),
        table.name(),
        folder.display(),
        table.name()
    );
    let output = Command::new(python()).args(["-c", &program, sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
