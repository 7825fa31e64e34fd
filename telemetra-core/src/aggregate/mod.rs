//! Aggregation: accumulators, their sliding forms, aggregates by name, and the windows of one key.
//!
//! Each worker makes a partial aggregate of each pane; the partials of all workers are merged, and the pane
//! then belongs to `size / slide` windows. So that the cost of a window does not grow with that ratio, an
//! accumulator has a [`Sliding`] form, which adds the newest pane and removes the oldest. [`TwoStacks`] works
//! for every accumulator; accumulators that can subtract have a cheaper form.
//!
//! Accumulators contain integers only, so that the order of merging cannot change the result. Division
//! happens only in the end.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::Data;

pub(crate) mod accumulator_of;
mod aggregate_tuple;
pub(crate) mod aggregates;
pub(crate) mod by_name;
pub(crate) mod count;
pub(crate) mod distinct;
pub(crate) mod distinct_ids;
pub(crate) mod extreme;
pub(crate) mod hyper_log_log;
mod id_counts;
mod id_set;
mod kept;
pub(crate) mod key_state;
pub(crate) mod leaderboard;
pub(crate) mod mean;
pub(crate) mod multiplicities;
pub(crate) mod name_counts;
pub(crate) mod number;
pub(crate) mod of_numbers;
pub(crate) mod of_texts;
pub(crate) mod panes;
pub(crate) mod power_sums;
pub(crate) mod project;
pub(crate) mod quantiles;
mod quantiles_of;
pub(crate) mod sample;
pub(crate) mod sessions;
mod settled;
pub(crate) mod space_saving;
pub(crate) mod subtract;
pub(crate) mod sum;
pub(crate) mod top_k;
mod tuple;
pub(crate) mod two_stacks;
pub(crate) mod window_state;

pub use accumulator_of::AccumulatorOf;
pub use aggregates::Aggregates;
pub use by_name::{Aggregate, CountIf, CountOf};
pub use count::Count;
pub use distinct::{Distinct, DistinctSliding};
pub use distinct_ids::DistinctIds;
pub use extreme::{End, Extreme, Greatest, Least, Max, Min, Monotonic};
pub use hyper_log_log::HyperLogLog;
pub use mean::Mean;
pub use multiplicities::{Multiplicities, MultiplicitiesSliding, Multiplicity};
pub use name_counts::Counted;
pub use number::{MaybeNumber, Number};
pub use of_numbers::{ExtremeOf, MeanOf, SumOf};
pub use of_texts::{CountedJson, DistinctOf, TopOf};
pub use panes::Summary;
pub use power_sums::PowerSums;
pub use project::{Pick, Project, ProjectSliding};
pub use quantiles::Quantiles;
pub use quantiles_of::QuantilesOf;
pub use sample::{Sample, SampleSliding};
pub use space_saving::{Frequent, SpaceSaving};
pub use subtract::{Subtract, SubtractOnEvict};
pub use sum::Sum;
pub use top_k::TopK;
pub use two_stacks::TwoStacks;

/// An accumulator: the mergeable state of an aggregate, like the accumulator of Flink's `AggregateFunction`.
/// Mathematically it is a commutative monoid with a function from states to outputs.
///
/// # Contract
///
/// * **Monoid.** `Default` is empty: merging it changes nothing. Merging is associative and commutative, and
///   adding commutes with merging. So any split of the inputs over any number of accumulators, merged in any
///   order, *finishes* to the same output. Sums of floats break this.
/// * **Finishing is pure.** It does not change the accumulator, and equal inputs finish to equal outputs.
/// * **Encoding round-trips.** An accumulator decoded by `bincode` merges and finishes like the original.
///
/// Checked by [`accumulator_compliance`](crate::testkit::accumulator_compliance):
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use telemetra_core::testkit::accumulator_compliance;
/// use telemetra_core::{Accumulate, Accumulator, TwoStacks};
///
/// /// The length of the longest text.
/// #[derive(Clone, Debug, Default, Serialize, Deserialize)]
/// struct Longest(u64);
///
/// impl Accumulator for Longest {
///     type Output = u64;
///     type Sliding = TwoStacks<Self>;
///     fn merge(&mut self, other: &Self) { self.0 = self.0.max(other.0) }
///     fn finish(&self) -> u64 { self.0 }
/// }
/// impl Accumulate<&str> for Longest {
///     fn add(&mut self, text: &str) { self.0 = self.0.max(text.len() as u64) }
/// }
///
/// accumulator_compliance::<Longest, &str>(&["", "a", "hello", "hello", "a longer one"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an accumulator",
    note = "implement `Accumulator` (merge, finish, Sliding) and `Accumulate<&Event>` (add), \
            or compose built-in accumulators in a tuple"
)]
pub trait Accumulator:
    Default + Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// The type of the result.
    type Output: Data;

    /// The sliding form; [`TwoStacks<Self>`] works for every accumulator.
    type Sliding: Sliding<Self>;

    /// Merges another accumulator into this one, as if its inputs had been added here. Called for each pane and key
    /// on the worker of the key, with the partial aggregates of all workers.
    fn merge(&mut self, other: &Self);

    /// Returns the result over all inputs that were added and merged. Called when a window ends, and again when a
    /// late event has changed it.
    fn finish(&self) -> Self::Output;
}

/// An accumulator that takes inputs of type `I`. One accumulator may take several types.
///
/// # Contract
///
/// * **Commutes.** The order of inputs does not change the output, nor does it matter whether an input is
///   added before or after a merge.
#[diagnostic::on_unimplemented(
    message = "the accumulator `{Self}` does not take `{I}`",
    note = "implement `Accumulate<{I}>` for it; the accumulator of a grouping takes references to its events"
)]
pub trait Accumulate<I>: Accumulator {
    /// Adds one input.
    fn add(&mut self, input: I);
}

/// The sliding form of an accumulator: the aggregate of consecutive panes, where the newest pane enters and
/// the oldest leaves.
///
/// # Contract
///
/// * **First in, first out.** [`pop`](Self::pop) is called with the oldest pane that was pushed and not
///   popped, unchanged since.
/// * **Equal to merging anew.** [`finish`](Self::finish) equals the result of merging all panes between.
pub trait Sliding<A: Accumulator>: Default + Debug + Send + 'static {
    /// Adds the next pane.
    fn push(&mut self, pane: &A);
    /// Removes the oldest pane.
    fn pop(&mut self, pane: &A);
    /// The result over the panes that were pushed and not popped.
    fn finish(&self) -> A::Output;
}
