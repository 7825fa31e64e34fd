use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Returns the OpenAPI response of a [`Problem`](crate::http::Problem), with this description and the schema `Problem` as
/// its body.
#[must_use]
pub fn problem_response(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).into()
}

macro_rules! problems {
    ($($name:ident $status:literal $description:literal;)+) => {$(
        #[doc = concat!("The response with status ", $status, ": ", $description)]
        #[derive(Copy, Clone, Debug)]
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([($status.to_owned(), problem_response($description))])
            }
        }
    )+};
}

problems! {
    BadParameter "400" "A parameter is unknown, given twice or out of range.";
    NoToken "401" "The service asks for a bearer token.";
    ForeignOrigin "403" "Pages of this origin may not connect.";
    Unknown "404" "There is no such table, or nothing is held of this key.";
    NotAFollower "426" "The request asks neither for a WebSocket nor for `text/event-stream`.";
    Unavailable "503" "The answers cannot be had now; try again.";
}
