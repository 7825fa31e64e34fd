//! Accumulators that can subtract, and their sliding form.

use super::{Accumulator, Sliding};

/// An accumulator that can undo a merge.
///
/// # Contract
///
/// * **Undoes.** After `a.merge(&b); a.subtract(&b)` the accumulator `a` finishes and merges as before.
///
/// Its sliding form can then be [`SubtractOnEvict`], which costs one merge and one subtraction per pane.
pub trait Subtract: Accumulator {
    /// Removes `other`, which was merged before.
    fn subtract(&mut self, other: &Self);
}

/// The sliding form of an accumulator that can subtract: the total of the panes in the window.
///
/// ```
/// use telemetra_core::{Accumulate, Sliding, SubtractOnEvict, Sum};
/// let (mut a, mut b) = (Sum::default(), Sum::default());
/// a.add(3);
/// b.add(4);
/// let mut running = SubtractOnEvict::<Sum>::default();
/// running.push(&a);
/// running.push(&b);
/// assert_eq!(running.finish(), 7);
/// running.pop(&a);
/// assert_eq!(running.finish(), 4);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SubtractOnEvict<A> {
    total: A,
}

impl<A: Subtract> Sliding<A> for SubtractOnEvict<A> {
    fn push(&mut self, pane: &A) {
        self.total.merge(pane);
    }

    fn pop(&mut self, pane: &A) {
        self.total.subtract(pane);
    }

    fn finish(&self) -> A::Output {
        self.total.finish()
    }
}
