//! Files of a range, read by PyArrow and DuckDB.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::service::Service;

/// Prints a file as both read it: the rows as JSON, and the number of row groups.
const READ: &str = "
import duckdb, json, pyarrow.parquet as parquet, sys
file = parquet.ParquetFile(sys.argv[1])
rows = file.read().to_pylist()
by_duckdb = duckdb.sql(f\"SELECT * FROM read_parquet('{sys.argv[1]}')\").to_arrow_table().to_pylist()
text = lambda rows: [{name: value.isoformat(timespec='milliseconds').replace('+00:00', 'Z') if hasattr(value, 'isoformat')
    else value for name, value in row.items()} for row in rows]
instants = lambda rows: [{name: value.timestamp() if hasattr(value, 'timestamp') else value for name, value in row.items()}
    for row in rows]
assert instants(rows) == instants(by_duckdb), 'both read the same'
print(json.dumps({'groups': file.num_row_groups, 'rows': text(rows)}))
";

/// The rows of a file, and the number of its row groups.
fn read(bytes: &[u8]) -> (Vec<Value>, u64) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
    let python = Command::new(script).arg("python").stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "there is no Python with DuckDB and PyArrow: {said}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.parquet");
    std::fs::write(&file, bytes).unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    let output = Command::new(python.trim()).args(["-c", READ]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(rows) = found["rows"].take() else { panic!("{found}") };
    (rows, found["groups"].as_u64().unwrap())
}

/// The rows of an answer in JSON, as they are in a file: newest first, and what has parts as text.
fn answered(service: &Service, path: &str, rows: &str) -> Vec<Value> {
    let mut answer = service.get(path).json();
    let Value::Array(mut rows) = answer[rows].take() else { panic!("{answer}") };
    for row in rows.iter_mut().flat_map(|row| row.as_object_mut().unwrap().values_mut()) {
        if row.is_object() || row.is_array() {
            *row = row.to_string().into();
        }
    }
    rows
}

/// Compares the columns that both have; the file has the stream's id beside them.
fn assert_same(found: &[Value], answered: &[Value]) {
    assert_eq!(found.len(), answered.len());
    for (found, answered) in found.iter().zip(answered) {
        for (name, value) in answered.as_object().unwrap() {
            let plain = |value: &Value| match value.as_str().and_then(|text| serde_json::from_str(text).ok())
            {
                Some(parts @ (Value::Object(_) | Value::Array(_))) => parts,
                _ => value.clone(),
            };
            let (found, value) = (plain(&found[name]), plain(value));
            let same = match (found.as_f64(), value.as_f64()) {
                (Some(found), Some(value)) => found == value,
                _ => found == value,
            };
            assert!(same, "{name}: {found} for {value}");
        }
        assert_eq!(found["stream_id"], "ada");
    }
}

#[test]
fn windows_and_moments_are_read_by_pyarrow_and_duckdb_as_they_are_answered() {
    let mut service = Service::start();
    service.viewers("ada", 0, 50);
    service.gift("ada", 3, 12_345_678);
    service.spike("ada");
    let file = service.get("/streams/ada/metrics.parquet");
    assert_eq!(file.headers["content-type"], "application/vnd.apache.parquet");
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"ada-windows.parquet\"");
    let mut windows = answered(&service, "/streams/ada/metrics?limit=5000", "metrics");
    windows.reverse();
    assert!(windows.len() > 80, "{}", windows.len());
    assert_same(&read(&file.body).0, &windows);

    let query = "from=2026-01-01T00:02:00Z&to=2026-01-01T00:09:00Z";
    let part = service.get(&format!("/streams/ada/metrics.parquet?{query}"));
    let mut windows = answered(&service, &format!("/streams/ada/metrics?limit=5000&{query}"), "metrics");
    windows.reverse();
    assert_same(&read(&part.body).0, &windows);

    let moments = answered(&service, "/streams/ada/moments", "moments");
    assert!(!moments.is_empty());
    assert_same(&read(&service.get("/streams/ada/moments.parquet").body).0, &moments);
    let none = service.get("/streams/ada/moments.parquet?type=nothing");
    assert_eq!((none.status, read(&none.body)), (200, (Vec::new(), 0)));

    assert_eq!(service.get("/streams/nobody/metrics.parquet").status, 404);
    assert_eq!(service.get("/streams/ada/metrics.parquet?limit=5").status, 400);
    assert_eq!(service.get("/streams/ada/moments.parquet?from=then").status, 400);
}

/// However long the range is, a page of rows is in memory at a time, which is a row group of the file.
#[test]
fn a_long_range_is_written_page_by_page() {
    let mut service = Service::start();
    // Each minute with an event is in six windows.
    for minute in 0..900 {
        service.chat("ada", minute, 1);
    }
    service.until(901);
    let (rows, groups) = read(&service.get("/streams/ada/metrics.parquet").body);
    assert_eq!((rows.len(), groups), (5_400, 2));
    let ends: Vec<_> = rows.iter().map(|row| row["window_end"].as_str().unwrap()).collect();
    assert!(ends.windows(2).all(|two| two[0] > two[1]), "newest first, each once");
}
