use super::{Accumulator, Rolling};

/// An accumulator from which what was merged can be taken out again.
///
/// # Contract
///
/// * **Undoes.** After `a.merge(&b); a.unmerge(&b)` the accumulator `a` finishes, and merges on, as before.
///
/// With it, [`Running`] is the sliding form: one merge and one unmerge a pane, and one total for the whole window.
pub trait Unmerge: Accumulator {
    /// Takes out what `other` has, which was merged before.
    fn unmerge(&mut self, other: &Self);
}

/// The sliding form of an accumulator that can subtract: the total of the panes that are in.
///
/// ```
/// use telemetra_core::{Accumulate, Rolling, Running, Sum};
/// let (mut a, mut b) = (Sum::default(), Sum::default());
/// a.add(3);
/// b.add(4);
/// let mut running = Running::<Sum>::default();
/// running.push(&a);
/// running.push(&b);
/// assert_eq!(running.finish(), 7);
/// running.pop(&a);
/// assert_eq!(running.finish(), 4);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Running<A> {
    total: A,
}

impl<A: Unmerge> Rolling<A> for Running<A> {
    fn push(&mut self, pane: &A) {
        self.total.merge(pane);
    }

    fn pop(&mut self, pane: &A) {
        self.total.unmerge(pane);
    }

    fn finish(&self) -> A::Output {
        self.total.finish()
    }
}
