//! Event time, which is the timestamp of every dataflow; its windows; and watermarks, which say up to what
//! time the events of a partition have arrived.

pub(crate) mod config;
pub(crate) mod event_time;
pub mod millis;
pub(crate) mod rfc3339;
pub(crate) mod watermark;
pub(crate) mod window;
