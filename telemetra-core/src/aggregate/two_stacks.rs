//! The two-stacks algorithm for sliding windows.

use std::collections::VecDeque;

use super::{Accumulator, Sliding};

/// The sliding form that works for every accumulator: the two-stacks algorithm.
///
/// New panes are pushed on one stack, with their merge. When the other stack is empty, all panes move to it,
/// each merged with the panes after it. So each pane is merged twice, whatever the number of panes in a
/// window. Memory is one accumulator per pane.
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
    /// The older panes, newest first, each merged with the panes after it in this half.
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
