//! Event time: the timestamp of every dataflow, the windows it is cut into, and the watermarks that say how far it has come.

pub(crate) mod config;
pub(crate) mod event_time;
pub(crate) mod rfc3339;
pub(crate) mod watermark;
pub(crate) mod window;
