//! Accumulators: aggregates that can be made piece by piece, merged in any order, and slid.
//!
//! The idea: the partial aggregate of a pane is made once per worker, merged across workers, and then
//! belongs to `size / slide` windows. So that the cost of a window does not grow with that ratio, an accumulator
//! names a [`Rolling`] form that takes a pane in at the front and lets one go at the back. [`Refold`] is
//! the form that fits every accumulator; those that can subtract have a cheaper one.
//!
//! Inside there are integers only, so that the order of merging cannot change a bit of the answer;
//! only finishing divides.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

mod count;
mod distinct;
mod event;
mod extreme;
mod hyper_log_log;
mod id_set;
mod mean;
mod name_counts;
pub mod pick;
mod power_sums;
mod project;
mod refold;
mod space_saving;
mod sum;
mod top_k;
mod tuple;
mod unmerge;

pub use count::Count;
pub use distinct::{Distinct, DistinctRolling};
pub use event::EventAccumulator;
pub use extreme::{End, Extreme, Greatest, Least, Max, Min, Monotonic};
pub use hyper_log_log::HyperLogLog;
pub use mean::Mean;
pub use project::{Pick, Project, ProjectRolling};
pub use refold::Refold;
pub use space_saving::{Frequent, SpaceSaving};
pub use sum::Sum;
pub use top_k::TopK;
pub use unmerge::{Running, Unmerge};

/// What can be data in a collection: ordered, hashable, and able to travel between processes.
pub trait Data: Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Debug + Ord + Hash + Send + Sync + Serialize + DeserializeOwned + 'static> Data for T {}

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
    note = "implement `Accumulator` (merge, finish, Rolling) and `Accumulate<&Event>` (add), or compose built-in ones in a tuple"
)]
pub trait Accumulator:
    Default + Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// What it finishes to.
    type Output: Data;

    /// Its sliding form; [`Refold<Self>`] if there is none better.
    type Rolling: Rolling<Self>;

    /// Takes in what `other` has.
    fn merge(&mut self, other: &Self);

    /// The aggregate of all that was added and merged.
    fn finish(&self) -> Self::Output;
}

/// An accumulator that takes inputs of type `I`.
#[diagnostic::on_unimplemented(
    message = "the accumulator `{Self}` does not take `{I}`",
    note = "implement `Accumulate<{I}>` for it; a pipeline's accumulator takes `&Event<'_>`"
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
pub trait Rolling<A: Accumulator>: Default + Debug + Send + 'static {
    /// The next pane enters.
    fn push(&mut self, pane: &A);
    /// The oldest pane leaves.
    fn pop(&mut self, pane: &A);
    /// The aggregate of the panes that are in.
    fn finish(&self) -> A::Output;
}
