//! Event time, which is the timestamp of every dataflow; windows over it; and watermarks, the times before
//! which a partition has no more events.

pub(crate) mod config;
pub(crate) mod event_time;
pub mod millis;
pub(crate) mod rfc3339;
pub(crate) mod signed_time;
pub(crate) mod watermark;
pub(crate) mod window;
