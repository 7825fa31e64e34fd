use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use telemetra_core::{Column, ColumnKind, Shape, Table};
use utoipa::ToSchema;

use super::path;
use crate::http::openapi::{BadParameter, NoToken, Unavailable, Unknown};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::router::{App, failed};
use crate::http::row::{Place, RowBody};
use crate::http::time::Time;

/// The tables, and how far the answers are.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TableList {
    /// The event time that all answers have reached; null before the first.
    as_of: Option<Time>,
    /// The event time since which all changes are held.
    known_since: Option<Time>,
    tables: Vec<TableBody>,
}

/// A table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Table)]
pub(in crate::http) struct TableBody {
    name: String,
    /// What its rows are.
    shape: ShapeBody,
    columns: Vec<ColumnBody>,
}

/// What the rows of a table are.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Shape)]
enum ShapeBody {
    /// The summary of a key in a window.
    Windows,
    /// Moments.
    Moments,
    /// Anything else.
    Rows,
}

/// A column of a table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Column)]
struct ColumnBody {
    name: String,
    /// What its values are.
    kind: Kind,
    /// Whether it may be null.
    nullable: bool,
    /// Whether it is part of the key of a row.
    is_key: bool,
}

/// What the values of a column are: decimals are strings, times are RFC 3339, and bytes are hexadecimal digits.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ColumnKind)]
enum Kind {
    Bool,
    Integer,
    Float,
    Decimal,
    Text,
    Time,
    Json,
    Bytes,
    Integers,
    Floats,
    Texts,
    Other,
}

impl TableBody {
    fn new(table: &Table) -> Self {
        let column = |(n, column): (usize, &Column)| ColumnBody {
            name: column.name.to_string(),
            kind: Kind::of(column.kind),
            nullable: column.nullable,
            is_key: n < table.keys().len(),
        };
        Self {
            name: table.name().to_owned(),
            shape: match table.row_shape() {
                Shape::Windows => ShapeBody::Windows,
                Shape::Moments => ShapeBody::Moments,
                _ => ShapeBody::Rows,
            },
            columns: table.all_columns().iter().enumerate().map(column).collect(),
        }
    }
}

impl Kind {
    fn of(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Bool => Self::Bool,
            ColumnKind::Integer => Self::Integer,
            ColumnKind::Float => Self::Float,
            ColumnKind::Decimal => Self::Decimal,
            ColumnKind::Text => Self::Text,
            ColumnKind::Time => Self::Time,
            ColumnKind::Json => Self::Json,
            ColumnKind::Bytes => Self::Bytes,
            ColumnKind::Integers => Self::Integers,
            ColumnKind::Floats => Self::Floats,
            ColumnKind::Texts => Self::Texts,
            _ => Self::Other,
        }
    }
}

/// Some of the keys of which a table has rows, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct KeyPage {
    table: String,
    as_of: Option<Time>,
    /// The `after` with which to ask for those behind; null after the last.
    next_after: Option<String>,
    keys: Vec<KeyBody>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody {
    /// As text. A key of several columns has its parts joined.
    key: String,
    /// The event time of its last change, in any table.
    updated_at: Time,
}

/// Rows of one key in one table, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct RowPage {
    table: String,
    key: String,
    as_of: Option<Time>,
    /// The `cursor` with which to ask for those before; null if there are none.
    next_cursor: Option<String>,
    rows: Vec<RowBody>,
}

/// The tables
///
/// The tables whose rows are held, with their columns.
#[utoipa::path(
    get, path = "/tables", operation_id = "tables", tag = "answers",
    responses((status = 200, description = "The tables.", body = TableList), BadParameter, NoToken)
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    params: Params,
) -> Result<Json<TableList>, Problem> {
    params.done()?;
    let view = app.view();
    let tables = view.tables().iter().map(|table| TableBody::new(table)).collect();
    let (as_of, known_since) = (view.as_of().map(Time), view.known_since().map(Time));
    Ok(Json(TableList { as_of, known_since, tables }))
}

/// The table of this name.
fn table(app: &App, name: &str) -> Result<Arc<Table>, Problem> {
    let tables = app.view().tables();
    let found = tables.iter().find(|table| table.name() == name).cloned();
    found.ok_or_else(|| Problem::no_table(name, &tables.iter().map(|table| table.name()).collect::<Vec<_>>()))
}

/// The keys of a table
///
/// The keys of which the table has rows: the first `limit` of them behind `after`, in their order.
#[utoipa::path(
    get, path = "/tables/{table}/keys", operation_id = "keys", tag = "answers",
    params(
        ("prefix" = Option<String>, Query, description = "Only keys that begin with this."),
        ("after" = Option<String>, Query, description = "Only keys behind this one."),
        ("limit" = Option<u64>, Query, description = "How many at most."),
    ),
    responses(
        (status = 200, description = "The keys.", body = KeyPage),
        BadParameter, NoToken, Unknown,
    )
)]
pub(in crate::http) async fn keys(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Result<Json<KeyPage>, Problem> {
    let name = path("table", name)?;
    let (prefix, after) = (params.text("prefix")?, params.text("after")?);
    let limit = limit(&app, &mut params)?;
    params.done()?;
    let table = table(&app, &name)?;
    let view = app.view();
    let as_of = view.as_of().map(Time);
    let mut found = view.keys().into_iter().filter(|(key, _)| {
        prefix.as_ref().is_none_or(|prefix| key.starts_with(&**prefix))
            && after.as_ref().is_none_or(|after| **key > **after)
            && view.has(key, &|row| row.table().name() == table.name())
    });
    let body = |(key, updated): (Arc<str>, _)| KeyBody { key: key.to_string(), updated_at: Time(updated) };
    let keys: Vec<_> = found.by_ref().take(limit).map(body).collect();
    let next_after = found.next().and(keys.last()).map(|last| last.key.clone());
    Ok(Json(KeyPage { table: name, as_of, next_after, keys }))
}

/// How many an answer may hold.
pub(super) fn limit(app: &App, params: &mut Params) -> Result<usize, Problem> {
    let most = app.settings().limits.page.max(1);
    let limit = params.number("limit", 1..=most, 100.min(most))?;
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The rows of a key
///
/// Rows whose time is from `from` on and before `to`: the newest `limit` of them, newest first. The time of a window
/// is its end, and that of a moment too; an open moment, and a row without a time, describe the present, which is
/// before no `to`.
#[utoipa::path(
    get, path = "/tables/{table}/keys/{key}", operation_id = "rows", tag = "answers",
    params(
        ("key" = String, Path, description = "The key, as text."),
        ("from" = Option<Time>, Query, description = "Not before this time."),
        ("to" = Option<Time>, Query, description = "Before this time."),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,19}-([0-9a-f]{2})+$", description = "Those behind the page that told this as its `next_cursor`."),
        ("limit" = Option<u64>, Query, description = "How many at most."),
    ),
    responses(
        (status = 200, description = "The rows.", body = RowPage),
        BadParameter, NoToken, Unknown, Unavailable,
    )
)]
pub(in crate::http) async fn rows(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    mut params: Params,
) -> Result<Json<RowPage>, Problem> {
    let (name, key) = path("key", names)?;
    let (from, to) = (params.time("from")?, params.time("to")?);
    let cursor: Option<Place> = cursor(&mut params)?;
    let limit = limit(&app, &mut params)?;
    params.done()?;
    let table = table(&app, &name)?;
    let as_of = app.view().as_of().map(Time);
    let found = app.view().rows(&key, &|row| {
        let time = row.time();
        row.table().name() == table.name()
            && from.is_none_or(|from| time.is_none_or(|time| time >= from))
            && to.is_none_or(|to| time.is_some_and(|time| time < to))
    });
    let found = found.ok_or_else(|| Problem::no_key(&key))?;
    let mut found: Vec<_> = found.into_iter().map(|held| (Place::of(&*held.row), held)).collect();
    found.sort_by(|a, b| b.0.cmp(&a.0));
    let mut found =
        found.into_iter().filter(|(place, _)| cursor.as_ref().is_none_or(|cursor| place < cursor));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let next_cursor = found.next().and(page.last()).map(|(place, _)| place.to_string());
    let rows = page.iter().map(|(_, held)| RowBody::new(held)).collect::<Result<_, _>>();
    let rows = rows.map_err(|error| failed(&error))?;
    Ok(Json(RowPage { table: name, key, as_of, next_cursor, rows }))
}

/// Where to go on.
pub(super) fn cursor(params: &mut Params) -> Result<Option<Place>, Problem> {
    let problem = |()| Problem::parameter("cursor", "it has to be the `next_cursor` of a page");
    params.text("cursor")?.map(|text| text.parse().map_err(problem)).transpose()
}
