//! Code shared by the examples that are programs: settings from flags, environment and file; logs; requests
//! to stop.
#![allow(dead_code, reason = "each program uses its part")]

mod explain;
pub(crate) mod generator;
pub(crate) mod log;
mod manual;
pub(crate) mod metrics;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
#[cfg(not(feature = "otlp"))]
#[path = "no_otlp.rs"]
pub(crate) mod otlp;
pub(crate) mod parse;
pub(crate) mod screen;
pub(crate) mod secrets;
#[cfg(feature = "kafka")]
pub(crate) mod sender;
pub(crate) mod settings;
pub(crate) mod show;
pub(crate) mod stop;
pub(crate) mod stores;
pub(crate) mod topics;
pub(crate) mod usage;
