"""Reads a folder of the Parquet sink by DuckDB and by PyArrow, which must agree: a request and an answer a line."""

import decimal
import glob
import json
import struct
import sys

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

# No decimal is rounded.
decimal.getcontext().prec = 60


def plain(value):
    """A value as JSON that loses nothing: floats by their bits, decimals in millionths, bytes in hexadecimal."""
    if isinstance(value, float):
        return struct.unpack("<q", struct.pack("<d", value))[0]
    if isinstance(value, decimal.Decimal):
        return str(int(value.scaleb(6)))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def rows(table):
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            assert column.type.tz, f"{name} is without a time zone"
            column = column.cast(pa.timestamp("ms", column.type.tz)).cast(pa.int64())
        columns[name] = [plain(value) for value in column.to_pylist()]
    names = list(columns)
    return [dict(zip(names, values)) for values in zip(*columns.values())]


def ordered(all_rows):
    return sorted(all_rows, key=lambda row: json.dumps(row, sort_keys=True))


def read(folder, name, keys, sql):
    if not glob.glob(f"{folder}/{name}/*/*.parquet"):
        return {"changes": [], "current": []}
    connection = duckdb.connect()
    source = f"read_parquet('{folder}/{name}/*/*.parquet', hive_partitioning = true, union_by_name = true)"
    by_duckdb = rows(connection.sql(f"SELECT * REPLACE (day::VARCHAR AS day) FROM {source}").to_arrow_table())
    partitioning = ds.partitioning(pa.schema([("day", pa.string())]), flavor="hive")
    dataset = ds.dataset(f"{folder}/{name}", format="parquet", partitioning=partitioning)
    by_arrow = rows(dataset.to_table())
    assert ordered(by_duckdb) == ordered(by_arrow), f"DuckDB and PyArrow read other rows of {name}"
    current = rows(connection.sql(sql.replace("SOURCE", source)).to_arrow_table())
    newest = {}
    for row in sorted(by_arrow, key=lambda row: row["_time"]):
        newest[json.dumps([row[key] for key in keys])] = row
    kept = [row for row in newest.values() if row["_op"] == "upsert"]
    own = {"day", "_time", "_op", "_revision"}
    kept = [{name: value for name, value in row.items() if name not in own} for row in kept]
    assert ordered(kept) == ordered(current), f"the query gives other rows of {name}"
    return {"changes": by_arrow, "current": current}


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"tables": {t["name"]: read(request["folder"], **t) for t in request["tables"]}}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
