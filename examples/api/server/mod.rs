//! The service, apart from the program that starts it.
//!
//! Handlers know one trait, [`Store`](store::Store), and not where the answers come from. Followers, limits, problems and the
//! checks of who may ask are the library's: `telemetra::http`.

pub(crate) mod app;
pub(crate) mod document;
mod live;
pub(crate) mod model;
pub(crate) mod observe;
mod page;
mod routes;
pub(crate) mod store;
