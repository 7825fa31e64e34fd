//! The service, apart from the program that starts it.
//!
//! Handlers know one trait, [`Store`](store::Store), and not where the answers come from. Followers, limits, problems and the
//! checks of who may ask are the library's: `telemetra::http`.

pub(crate) mod app;
mod broadcast;
pub(crate) mod document;
mod live;
pub(crate) mod log_tail;
mod message;
pub(crate) mod model;
pub(crate) mod observe;
pub(crate) mod operations;
mod page;
mod presence;
mod routes;
pub(crate) mod store;
