//! Tests for operators and pipelines, of this library and of yours.
//!
//! * [`tactic_compliance`], [`collection_compliance`] and [`process_compliance`] check the contract of one
//!   operator on arrivals that you give.
//! * [`world`] runs a whole pipeline under a simulation with faults and restarts, deterministically from a
//!   seed.
//! * [`spec`] is the executable specification of the built-in operators in plain differential dataflow, which
//!   property tests hold them equal to.

mod process;
pub mod spec;
mod spec_moments;
mod tactic;
pub mod world;

pub use process::process_compliance;
pub use tactic::{collection_compliance, tactic_compliance};
