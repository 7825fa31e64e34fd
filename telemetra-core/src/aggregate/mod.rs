//! Accumulators: aggregates that can be made piece by piece, merged in any order, and slid.
//!
//! The idea: the partial aggregate of a pane is made once per worker, merged across workers, and then
//! belongs to `size / slide` windows. So that the cost of a window does not grow with that ratio, an accumulator
//! names a [`Sliding`] form that takes a pane in at the front and lets one go at the back. [`TwoStacks`] is
//! the form that fits every accumulator; those that can subtract have a cheaper one.
//!
//! Inside there are integers only, so that the order of merging cannot change a bit of the answer;
//! only finishing divides.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::Data;

pub(crate) mod by_name;
pub(crate) mod count;
pub(crate) mod distinct;
pub(crate) mod extreme;
pub(crate) mod hyper_log_log;
mod id_set;
pub(crate) mod leaderboard;
pub(crate) mod mean;
pub(crate) mod name_counts;
pub(crate) mod number;
pub(crate) mod panes;
pub(crate) mod power_sums;
pub(crate) mod project;
pub(crate) mod space_saving;
pub(crate) mod subtract;
pub(crate) mod sum;
pub(crate) mod top_k;
mod tuple;
pub(crate) mod two_stacks;

pub use by_name::{
    AccumulatorOf, Aggregate, Aggregates, CountIf, CountOf, CountedJson, DistinctOf, ExtremeOf, MeanOf,
    SumOf, TopOf,
};
pub use count::Count;
pub use distinct::{Distinct, DistinctSliding};
pub use extreme::{End, Extreme, Greatest, Least, Max, Min, Monotonic};
pub use hyper_log_log::HyperLogLog;
pub use mean::Mean;
pub use name_counts::Counted;
pub use number::Number;
pub use panes::Summary;
pub use power_sums::PowerSums;
pub use project::{Pick, Project, ProjectSliding};
pub use space_saving::{Frequent, SpaceSaving};
pub use subtract::{Subtract, SubtractOnEvict};
pub use sum::Sum;
pub use top_k::TopK;
pub use two_stacks::TwoStacks;

/// A mergeable aggregate: a commutative monoid with a last step.
///
/// # Contract
///
/// * **Monoid.** `Default` is empty: merging it changes nothing. Merging is associative and commutative,
///   and adding commutes with merging: any split of the inputs over any number of accumulators, merged in any
///   order, *finishes* to the same output. Floats whose sums depend on order break this.
/// * **Finishing is pure** and leaves the accumulator as it is; equal inputs finish to equal outputs.
/// * **Encoding round-trips** with `bincode`: what is decoded merges and finishes like the original.
///
/// Checked by [`accumulator_compliance`](crate::testkit::accumulator_compliance).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an accumulator",
    note = "implement `Accumulator` (merge, finish, Sliding) and `Accumulate<&Event>` (add), or compose built-in ones in a tuple"
)]
pub trait Accumulator:
    Default + Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// What it finishes to.
    type Output: Data;

    /// Its sliding form; [`TwoStacks<Self>`] if there is none better.
    type Sliding: Sliding<Self>;

    /// Takes in what `other` has.
    fn merge(&mut self, other: &Self);

    /// The aggregate of all that was added and merged.
    fn finish(&self) -> Self::Output;
}

/// An accumulator that takes inputs of type `I`.
#[diagnostic::on_unimplemented(
    message = "the accumulator `{Self}` does not take `{I}`",
    note = "implement `Accumulate<{I}>` for it; the accumulator of a grouping takes references to its events"
)]
pub trait Accumulate<I>: Accumulator {
    /// Takes in one input.
    fn add(&mut self, input: I);
}

/// The aggregate of a run of consecutive panes that slides: panes enter at the front and leave at the back.
///
/// # Contract
///
/// * **First in, first out.** [`pop`](Self::pop) is called with the pane that was pushed longest ago and is
///   still in, exactly as it was when pushed.
/// * **Equal to refolding.** [`finish`](Self::finish) equals merging the panes that are in and finishing that.
pub trait Sliding<A: Accumulator>: Default + Debug + Send + 'static {
    /// The next pane enters.
    fn push(&mut self, pane: &A);
    /// The oldest pane leaves.
    fn pop(&mut self, pane: &A);
    /// The aggregate of the panes that are in.
    fn finish(&self) -> A::Output;
}
