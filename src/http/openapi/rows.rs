//! The schemas of rows, of the columns of their tables.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use telemetra_core::{ColumnKind, Table};

/// Puts the tables in place of what rows of no table are: schemas of their rows, and the paths of each.
pub(super) fn specialize(document: &mut Value, tables: &[Arc<Table>]) {
    if tables.is_empty() {
        return;
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        for table in tables {
            schemas.insert(format!("Columns.{}", table.name()), columns(table));
        }
        for name in ["Row", "Change"] {
            let of_table: Vec<_> = tables.iter().filter_map(|table| row(schemas.get(name)?, table)).collect();
            let refs: Vec<_> =
                tables.iter().map(|table| reference(&format!("{name}.{}", table.name()))).collect();
            for (table, schema) in tables.iter().zip(of_table) {
                schemas.insert(format!("{name}.{}", table.name()), schema);
            }
            let description = schemas.get(name).map(|schema| schema["description"].clone());
            schemas.insert(name.to_owned(), json!({ "description": description, "oneOf": refs }));
        }
        for table in tables {
            let Some(mut page) = schemas.get("RowPage").and_then(|page| of(page, table)) else { continue };
            page["properties"]["rows"]["items"] = reference(&format!("Row.{}", table.name()));
            schemas.insert(format!("RowPage.{}", table.name()), page);
        }
        schemas.remove("RowPage");
    }
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let of_tables: Vec<_> = paths.keys().filter(|path| path.contains("{table}")).cloned().collect();
    for path in of_tables {
        let Some(item) = paths.remove(&path) else { continue };
        for table in tables {
            let name = table.name();
            let text = item.to_string().replace("/schemas/RowPage\"", &format!("/schemas/RowPage.{name}\""));
            let mut item: Value = serde_json::from_str(&text).unwrap_or_default();
            let operation = &mut item["get"];
            operation["summary"] =
                format!("{}: {name}", operation["summary"].as_str().unwrap_or_default()).into();
            operation["operationId"] =
                format!("{}_{name}", operation["operationId"].as_str().unwrap_or_default()).into();
            if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                parameters.retain(|parameter| parameter["name"] != "table");
            }
            paths.insert(path.replace("{table}", name), item);
        }
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The schema of an object that names its table, for one table.
fn of(schema: &Value, table: &Table) -> Option<Value> {
    let mut schema = schema.clone();
    *schema.pointer_mut("/properties/table")? = json!({ "type": "string", "enum": [table.name()] });
    Some(schema)
}

/// The same for one with a row in it.
fn row(schema: &Value, table: &Table) -> Option<Value> {
    let mut schema = of(schema, table)?;
    *schema.pointer_mut("/properties/row")? = reference(&format!("Columns.{}", table.name()));
    Some(schema)
}

/// The values of the columns of a row.
fn columns(table: &Table) -> Value {
    let columns = table.all_columns();
    let property =
        |column: &telemetra_core::Column| (column.name.to_string(), value(column.kind, column.nullable));
    let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
    json!({
        "type": "object",
        "description": format!("The columns of `{}`.", table.name()),
        "properties": columns.iter().map(property).collect::<Map<_, _>>(),
        "required": names,
        "additionalProperties": false,
    })
}

/// The schema of a value, as it is written.
fn value(kind: ColumnKind, nullable: bool) -> Value {
    let list = |of: Value| json!({ "type": "array", "items": of });
    let mut schema = match kind {
        ColumnKind::Bool => json!({ "type": "boolean" }),
        ColumnKind::Integer => json!({ "type": "integer" }),
        // One that is not finite is null.
        ColumnKind::Float => json!({ "type": ["number", "null"] }),
        ColumnKind::Decimal => json!({ "type": "string", "pattern": "^-?[0-9]+\\.[0-9]{2,6}$" }),
        ColumnKind::Text => json!({ "type": "string" }),
        ColumnKind::Time => json!({ "type": "string", "format": "date-time" }),
        ColumnKind::Bytes => json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" }),
        ColumnKind::Integers => list(json!({ "type": "integer" })),
        ColumnKind::Floats => list(json!({ "type": ["number", "null"] })),
        ColumnKind::Texts => list(json!({ "type": "string" })),
        // Anything.
        _ => return json!({}),
    };
    if nullable && schema["type"].is_string() {
        schema["type"] = json!([schema["type"], "null"]);
    }
    schema
}
