use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use telemetra_core::{EventTime, Table};
use utoipa::{IntoParams, ToSchema};

use super::path;
use crate::http::openapi::{BadParameter, NoToken, Unavailable, Unknown};
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::router::{App, failed};
use crate::http::row::{Place, RowBody};
use crate::http::table::TableBody;
use crate::http::time::Time;

/// The tables, and the event time that the answers have reached.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TableList {
    /// The event time that all answers have reached; null before the first batch.
    as_of: Option<Time>,
    /// The event time since which all changes are in memory.
    known_since: Option<Time>,
    tables: Vec<TableBody>,
}

/// A page of the keys of which a table has rows, in ascending order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct KeyPage {
    table: String,
    as_of: Option<Time>,
    /// The parameter `after` of the next page; null on the last page.
    next_after: Option<String>,
    keys: Vec<KeyBody>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody {
    /// The key as text. A key of several columns has its parts joined.
    key: String,
    /// The event time of the last change of a row of the key, in any table.
    updated_at: Time,
}

/// A page of the rows of one key in one table, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct RowPage {
    table: String,
    key: String,
    as_of: Option<Time>,
    /// The parameter `cursor` of the next page, with older rows; null on the last page.
    next_cursor: Option<String>,
    rows: Vec<RowBody>,
}

/// The query parameters of a page of keys.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct KeyQuery {
    /// Only keys that begin with this text.
    prefix: Option<String>,
    /// Only keys after this one, in ascending order.
    after: Option<String>,
    /// The greatest number of keys in the answer.
    #[param(required = false)]
    limit: usize,
}

impl KeyQuery {
    fn read(mut params: Params, limit: usize) -> Result<Self, Problem> {
        let query = Self { prefix: params.text("prefix")?, after: params.text("after")?, limit };
        params.done()?;
        Ok(query)
    }
}

/// The query parameters of a page of rows.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct RowQuery {
    /// Only rows at or after this time.
    #[param(value_type = Option<Time>)]
    from: Option<EventTime>,
    /// Only rows before this time.
    #[param(value_type = Option<Time>)]
    to: Option<EventTime>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>, pattern = "^[0-9]{1,19}-([0-9a-f]{2})+$")]
    cursor: Option<Place>,
    /// The greatest number of rows in the answer.
    #[param(required = false)]
    limit: usize,
}

impl RowQuery {
    fn read(mut params: Params, limit: usize) -> Result<Self, Problem> {
        let (from, to) = (params.time("from")?, params.time("to")?);
        let query = Self { from, to, cursor: cursor(&mut params)?, limit };
        params.done()?;
        Ok(query)
    }
}

/// The tables
///
/// The tables whose rows are in memory, with their columns.
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
/// The keys of which the table has rows, in ascending order: the first `limit` keys after `after`.
#[utoipa::path(
    get, path = "/tables/{table}/keys", operation_id = "keys", tag = "answers",
    params(KeyQuery),
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
    let limit = limit(&app, &mut params)?;
    let KeyQuery { prefix, after, limit } = KeyQuery::read(params, limit)?;
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

/// The number of rows that an answer may hold.
pub(super) fn limit(app: &App, params: &mut Params) -> Result<usize, Problem> {
    let most = app.settings().limits.page.max(1);
    let limit = params.number("limit", 1..=most, 100.min(most))?;
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The rows of a key
///
/// The newest `limit` rows whose time is at or after `from` and before `to`, newest first. The time of a window or of a
/// moment is its end. Open moments and rows without a time describe the present: they are left out if `to` is given.
#[utoipa::path(
    get, path = "/tables/{table}/keys/{key}", operation_id = "rows", tag = "answers",
    params(("key" = String, Path, description = "The key, as text."), RowQuery),
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
    let limit = limit(&app, &mut params)?;
    let RowQuery { from, to, cursor, limit } = RowQuery::read(params, limit)?;
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

/// The position to go on from.
pub(super) fn cursor(params: &mut Params) -> Result<Option<Place>, Problem> {
    let problem = |()| Problem::parameter("cursor", "it has to be the `next_cursor` of a page");
    params.text("cursor")?.map(|text| text.parse().map_err(problem)).transpose()
}
