//! The OpenAPI document of the routes, and parts for the document of a service of your own.
//!
//! The schemas of answers are derived by utoipa from the types that are serialised. The schema of a row is made at run
//! time from the columns of its table, because a row is serialised by its columns. So you derive nothing for a row type
//! of your own, and a schema always agrees with the answers.
//!
//! For a service of your own: derive the document by utoipa, use the types here as responses of its paths (such as
//! [`BadParameter`] for status 400), and complete it by [`finished`].

mod responses;
mod rows;

use axum::Json;
use axum::extract::{OriginalUri, State};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::changes::Message;
use super::params::Params;
use super::problem::{Problem, ProblemBody};
use super::router::App;
use super::routes::{health, live, moments, tables};
use super::row::{ChangeBody, RowBody};

pub use responses::{
    BadParameter, ForeignOrigin, NoToken, NotAFollower, Unavailable, Unknown, problem_response,
};

/// The document as utoipa derives it, before the rows of the tables are added.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Telemetra",
        description = "Rows of tables, moments and live changes.\n\n\
            Times are RFC 3339, in UTC, of the events' own clock: an answer *as of* T holds all events up to T. An \
            answer may change when events come late; its `revision` counts how often it did.\n\n\
            Parameters are read strictly: what is misspelt or out of range is refused."
    ),
    tags((name = "answers"), (name = "live"), (name = "operation")),
    paths(
        tables::list, tables::keys, tables::rows, moments::list, live::all, live::one,
        health::health, health::ready, health::metrics
    ),
    components(schemas(Message, RowBody, ChangeBody, ProblemBody))
)]
struct Derived;

/// `GET /openapi.json`.
pub(super) async fn document(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.done()?;
    let limits = &app.settings().limits;
    let mut document = finished(Derived::openapi());
    rows::specialize(&mut document, &app.view().tables());
    if !app.has_metrics()
        && let Some(paths) = document["paths"].as_object_mut()
    {
        paths.remove("/metrics");
    }
    let most = limits.page.max(1);
    bound(&mut document, "limit", 1, most, 100.min(most));
    bound(&mut document, "history", 0, limits.history.as_secs(), 0);
    if let Some(title) = &app.settings().title {
        document["info"]["title"] = title.as_str().into();
    }
    // It is the service's own, and not the library's.
    if let Some(info) = document["info"].as_object_mut() {
        info.retain(|field, _| field != "license" && field != "contact");
    }
    // Where the router is mounted.
    let prefix = uri.path().strip_suffix("/openapi.json").unwrap_or_default();
    document["servers"] = json!([{ "url": if prefix.is_empty() { "/" } else { prefix } }]);
    Ok(Json(document))
}

/// Each operation of a document.
fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths =
        document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut)
}

fn parameters(operation: &mut Value) -> impl Iterator<Item = &mut Value> {
    operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets the range of a parameter, which is a setting.
fn bound(document: &mut Value, name: &str, least: u64, most: u64, default: u64) {
    for operation in operations(document) {
        for parameter in parameters(operation).filter(|parameter| parameter["name"] == name) {
            parameter["schema"] =
                json!({ "type": "integer", "minimum": least, "maximum": most, "default": default });
        }
    }
}

/// Returns a derived document as JSON, and completes what utoipa does not derive: each object has all of its fields and
/// no others, an optional parameter is never null, and an operation that may answer 401 takes a bearer token. Use it
/// only if the schemas are of answers, and no type skips fields when it is serialised.
///
/// ```
/// use utoipa::OpenApi;
///
/// #[derive(serde::Serialize, utoipa::ToSchema)]
/// struct Device { name: String, site: Option<u32> }
///
/// #[derive(OpenApi)]
/// #[openapi(components(schemas(Device)))]
/// struct Document;
///
/// let document = telemetra::http::openapi::finished(Document::openapi());
/// let device = &document["components"]["schemas"]["Device"];
/// assert_eq!(device["required"], serde_json::json!(["name", "site"]));
/// ```
#[must_use]
pub fn finished(document: utoipa::openapi::OpenApi) -> Value {
    // A document has no keys but texts: it can always be written.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["securitySchemes"]["bearer"] = json!({
        "type": "http",
        "scheme": "bearer",
        "description": "The token of the service, where it asks for one.",
    });
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        flatten(schemas);
        schemas.values_mut().for_each(close);
        name_variants(schemas);
    }
    for operation in operations(&mut document) {
        if operation["responses"].get("401").is_some() {
            operation["security"] = json!([{}, { "bearer": [] }]);
        }
        for parameter in parameters(operation) {
            not_null(&mut parameter["schema"]);
        }
    }
    document
}

/// Makes one object of the parts of which a type with flattened fields consists.
fn flatten(schemas: &mut Map<String, Value>) {
    let known = schemas.clone();
    for schema in schemas.values_mut() {
        let Some(Value::Array(parts)) = schema.as_object_mut().and_then(|schema| schema.remove("allOf"))
        else {
            continue;
        };
        let target = |part: &Value| known.get(part["$ref"].as_str()?.rsplit('/').next()?).cloned();
        for part in parts {
            let part = target(&part).unwrap_or(part);
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                schema["properties"][name] = property.clone();
            }
        }
        schema["type"] = "object".into();
    }
}

/// Says of objects that they have all their fields, and no others.
fn close(schema: &mut Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(close);
        let names: Vec<_> = properties.keys().cloned().collect();
        schema["required"] = names.into();
        schema["additionalProperties"] = false.into();
    }
    // What is said of a reference that may be null is said of both.
    let said = schema.get_mut("oneOf").and_then(Value::as_array_mut).and_then(|kinds| {
        kinds.iter_mut().find_map(|kind| {
            kind.as_object_mut().filter(|kind| kind.contains_key("$ref"))?.remove("description")
        })
    });
    if let Some(said) = said {
        schema["description"] = said;
    }
    for list in ["oneOf", "anyOf"] {
        schema.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(close);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner).filter(|inner| inner.is_object()) {
            close(inner);
        }
    }
}

/// Gives the variants of enums that are told apart by a field a name of their own: `SnapshotMessage` for the
/// variant `snapshot` of `Message`.
fn name_variants(schemas: &mut Map<String, Value>) {
    let mut named = Map::new();
    for (name, schema) in schemas.iter_mut() {
        let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
        let mut mapping = Map::new();
        for variant in variants {
            let Some([Value::String(tag)]) =
                variant["properties"]["type"]["enum"].as_array().map(Vec::as_slice)
            else {
                continue;
            };
            let (tag, words) = (tag.clone(), tag.split('_').map(capital).collect::<String>());
            let of = format!("{words}{name}");
            let reference = format!("#/components/schemas/{of}");
            named.insert(of, std::mem::replace(variant, json!({ "$ref": reference.as_str() })));
            mapping.insert(tag, reference.into());
        }
        if !mapping.is_empty() {
            schema["discriminator"] = json!({ "propertyName": "type", "mapping": mapping });
        }
    }
    schemas.extend(named);
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Takes null out of what a schema allows.
fn not_null(schema: &mut Value) {
    let is_null = |one: &Value| *one == "null" || one["type"] == "null";
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| *kind != "null");
        if let [kind] = &mut kinds[..] {
            let kind = kind.take();
            schema["type"] = kind;
        }
    }
    if let Some(kinds) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        kinds.retain(|kind| !is_null(kind));
        if let [kind] = &mut kinds[..] {
            *schema = kind.take();
        }
    }
}
