//! Delivery: sends the changes of all tables from the dataflow to the threads of the sinks.

pub(crate) mod missed;
pub(crate) mod placement;
#[cfg(test)]
mod placement_tests;
pub(crate) mod publication;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod sink_tests;
pub(crate) mod sink_thread;
pub(crate) mod slow;
pub(crate) mod standby;
#[cfg(test)]
mod standby_tests;
pub(crate) mod to_sinks;
#[cfg(test)]
mod to_sinks_tests;
