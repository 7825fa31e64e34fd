//! The OpenAPI document, derived from the types that are answered and asked for.

use serde_json::{Map, Value, json};
use telemetra::http::ProblemBody;
use telemetra::http::openapi::finished;
use utoipa::OpenApi;

use super::model::Message;
use super::observe;
use super::routes::{broadcasts, export, health, live, moments, ops, overview, streams};

#[derive(OpenApi)]
#[openapi(
    info(
        description = "What streams of chat, viewers and transactions come to, window by window, and the moments in which \
            they are out of the ordinary.\n\n\
            Times are RFC 3339, in UTC, of the events' own clock: an answer *as of* T holds all events up to T. An answer \
            may change when events come late; its `revision` counts how often it did.\n\n\
            Parameters are read strictly: what is misspelt or out of range is refused.\n\n\
            The tables as such, whatever is in them, are at `/view`, which has a document of its own: \
            `/view/openapi.json`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags((name = "answers"), (name = "live"), (name = "operation")),
    paths(
        streams::list, streams::one, streams::metrics, streams::moments, export::metrics, export::moments, broadcasts::list, moments::list,
        overview::overview, ops::operations, ops::letters, live::one, live::all,
        health::health, health::ready, observe::render
    ),
    components(schemas(Message, ProblemBody))
)]
struct Derived;

/// The problems that an answer can report, by the name that a problem's `type` ends with.
const PROBLEMS: &[(&str, &str)] = &[
    (
        "invalid-parameter",
        "A parameter is not known, is given twice, or has a value that cannot be. `detail` names it and says \
         what it may be. The `+` of an offset like `+01:00` has to be written as `%2B`.",
    ),
    ("unknown-stream", "No event of this stream was ever counted. Ids are taken as they are, case and all."),
    ("unknown-table", "The pipeline has no table of this name; `/view/tables` lists those that there are."),
    ("unknown-key", "Nothing is held of this key in memory: it never was, or is older."),
    ("unknown-path", "There is nothing at this path."),
    ("method-not-allowed", "Everything here is only to be read."),
    ("body-too-large", "No path needs a body."),
    ("bad-request", "The request is not what HTTP asks for."),
    (
        "no-token",
        "The service asks for a bearer token, by the header `Authorization: Bearer TOKEN` or, for a \
         WebSocket, by the subprotocol `bearer.TOKEN`.",
    ),
    ("foreign-origin", "The page that wants to connect comes from an origin that is not in `CORS_ORIGINS`."),
    (
        "no-websocket",
        "At `/live` and `/live/{id}` changes are followed: by a WebSocket, or as `text/event-stream`.",
    ),
    (
        "unavailable",
        "The store of answers cannot be reached, or took too long. `/health` says which part it is; trying \
         again is right, after the seconds that `Retry-After` says.",
    ),
];

/// The document of a service that calls itself so.
pub(crate) fn document(title: &str) -> Value {
    let mut document = finished(Derived::openapi());
    document["info"]["title"] = title.into();
    document["x-problems-description"] =
        "Errors are `application/problem+json`. Their `type` leads here.".into();
    let problems = PROBLEMS.iter().map(|(name, text)| ((*name).to_owned(), json!(text)));
    document["x-problems"] = problems.collect::<Map<_, _>>().into();
    document
}
