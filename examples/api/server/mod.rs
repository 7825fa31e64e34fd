//! The service, apart from the program that starts it.
//!
//! The idea: handlers know one trait, [`Store`](store::Store), and not where the answers come from. What is new comes as one
//! feed, is written as JSON once, and is shared by all who listen.

pub(crate) mod app;
mod broadcast;
pub(crate) mod guard;
pub(crate) mod hub;
pub(crate) mod limits;
mod live;
pub(crate) mod log_tail;
pub(crate) mod model;
pub(crate) mod observe;
pub(crate) mod operations;
pub(crate) mod origin;
mod page;
mod params;
mod presence;
pub(crate) mod problem;
mod routes;
pub(crate) mod serve;
pub(crate) mod store;
