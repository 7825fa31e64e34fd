//! The API over a pipeline in the same process, as its clients see it: over real connections.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "../../examples/common/mod.rs"]
mod common;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../examples/api/server/mod.rs"]
mod server;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../examples/api/settings.rs"]
mod settings;

mod across;
mod answers;
mod arguments;
mod broadcasts;
mod change_log;
mod client;
mod connections;
mod corrections;
mod document;
mod errors;
mod events;
mod export;
#[allow(dead_code, reason = "the tests of the router use the rest")]
#[path = "../http/follower.rs"]
mod follower;
mod live;
mod load;
mod operation;
mod ops;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/schema.rs"]
mod schema;
mod servers;
mod service;
#[path = "../support/services.rs"]
mod services;
mod view;
