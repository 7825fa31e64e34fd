//! Checkpoints: when one is triggered, what it holds, and how it is written and acknowledged.

pub(crate) mod acknowledge;
#[cfg(test)]
mod acknowledge_tests;
pub(crate) mod comparison;
#[cfg(test)]
mod comparison_tests;
pub(crate) mod definition;
pub(crate) mod floor_log;
pub(crate) mod floors;
#[cfg(test)]
mod floors_tests;
pub(crate) mod parts;
#[cfg(test)]
mod parts_tests;
pub(crate) mod restored;
#[cfg(test)]
mod restored_tests;
pub(crate) mod savepoint;
#[cfg(test)]
mod savepoint_tests;
pub(crate) mod state;
#[cfg(test)]
mod state_tests;
pub(crate) mod trigger;
#[cfg(test)]
mod trigger_tests;
pub(crate) mod writer;
#[cfg(test)]
mod writer_faults_tests;
#[cfg(test)]
mod writer_tests;
