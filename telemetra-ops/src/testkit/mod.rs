//! Test tools for operators and pipelines of your own; this library is tested by the same tools.
//!
//! * [`tactic_compliance`], [`collection_compliance`] and [`process_compliance`] check the contract of one
//!   operator on arrivals that you give. They run no dataflow. Use [`process_compliance`] for a
//!   [`KeyedProcess`](crate::KeyedProcess), [`collection_compliance`] for a [`Tactic`](crate::Tactic) that
//!   emits updates of a collection, and [`tactic_compliance`] for any other.
//! * [`world`] runs a whole pipeline in a simulation with faults and restarts, which are generated from a
//!   seed, and checks its tables. Use it for pipelines with operators, sinks, sources or checkpoint stores of
//!   your own.
//! * [`spec`] is the executable specification of the built-in operators in plain differential dataflow.
//!   Property tests compare the operators with it.
//!
//! All of them panic or return an error in a test; none is meant for production.

mod process;
pub mod spec;
mod spec_moments;
mod tactic;
pub mod world;

pub use process::process_compliance;
pub use tactic::{collection_compliance, tactic_compliance};
