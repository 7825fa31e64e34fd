//! The test kit: a compliance suite for each contract, to be called from your tests, and generators of random
//! counts.

mod accumulator;
mod compared;
mod decoder;
mod detector;
mod event;
mod history;
mod noise;
mod row;
mod sink;
mod source;
mod store;
mod tracker;
mod watch;

pub use accumulator::accumulator_compliance;
pub use compared::ComparedCounts;
pub use decoder::decoder_compliance;
pub use detector::detector_compliance;
pub use event::{event_compliance, key_compliance};
pub use noise::{Law, Noise};
pub use row::row_compliance;
pub use sink::{HeldRow, sink_compliance, tables_of_history};
pub use source::source_compliance;
pub use store::store_compliance;
pub use tracker::{any_detector_compliance, tracker_compliance};
pub use watch::{Seen, WatchedCounts};
