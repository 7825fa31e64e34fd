//! Code shared by the examples that are programs: settings from flags, environment and file; logs; requests
//! to stop.
#![allow(dead_code, reason = "each program uses its part")]

mod explain;
pub(crate) mod generator;
pub(crate) mod log;
mod manual;
pub(crate) mod metrics;
pub(crate) mod parse;
pub(crate) mod screen;
#[cfg(feature = "kafka")]
pub(crate) mod sender;
pub(crate) mod settings;
pub(crate) mod show;
pub(crate) mod stop;
pub(crate) mod stores;
pub(crate) mod topics;
pub(crate) mod usage;
