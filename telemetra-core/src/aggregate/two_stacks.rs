use std::collections::VecDeque;

use super::{Accumulator, Sliding};

/// The sliding form of any accumulator: two stacks of partial merges.
///
/// Panes that entered lie on one stack with their running merge; when the other runs out, all of them are turned
/// over to it, each merged with those after it. So a pane is merged twice in its life, whatever the
/// number of panes in a window; memory is one accumulator a pane.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Count, TwoStacks, Sliding};
/// let mut pane = Count::default();
/// pane.add(&"an event");
/// let mut rolling = TwoStacks::<Count>::default();
/// rolling.push(&pane);
/// rolling.push(&pane);
/// assert_eq!(rolling.finish(), 2);
/// rolling.pop(&pane);
/// assert_eq!(rolling.finish(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct TwoStacks<A> {
    /// The newer panes, oldest first, and their merge.
    front: VecDeque<A>,
    front_merge: A,
    /// For the older panes, newest first: each merged with all after it in this half.
    back: Vec<A>,
}

impl<A: Default> Default for TwoStacks<A> {
    fn default() -> Self {
        Self { front: VecDeque::new(), front_merge: A::default(), back: Vec::new() }
    }
}

impl<A: Accumulator> Sliding<A> for TwoStacks<A> {
    fn push(&mut self, pane: &A) {
        self.front_merge.merge(pane);
        self.front.push_back(pane.clone());
    }

    fn pop(&mut self, _pane: &A) {
        if self.back.is_empty() {
            let mut merged = A::default();
            while let Some(pane) = self.front.pop_back() {
                merged.merge(&pane);
                self.back.push(merged.clone());
            }
            self.front_merge = A::default();
        }
        self.back.pop();
    }

    fn finish(&self) -> A::Output {
        match self.back.last() {
            None => self.front_merge.finish(),
            Some(back) => {
                let mut all = back.clone();
                all.merge(&self.front_merge);
                all.finish()
            }
        }
    }
}
