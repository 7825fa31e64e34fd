//! The accumulators of the least and the greatest input, and their sliding form: a monotonic queue.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Sliding};
use crate::data::Data;

/// The accumulator of the least input; `None` without inputs. The page of [`Max`] has an example of both.
pub type Min<T> = Extreme<T, Least>;

/// The accumulator of the greatest input; `None` without inputs. It takes any type of [`Data`], such as
/// integers, texts and [`Micro`](crate::Micro) in place of floats. In sliding windows a pane enters
/// and leaves a monotonic queue once, so its cost does not depend on the number of panes in a window.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Max, Min};
/// let (mut max, mut min) = (Max::<u64>::default(), Min::<u64>::default());
/// for x in [3, 9, 4] {
///     max.add(x);
///     min.add(x);
/// }
/// assert_eq!((min.finish(), max.finish()), (Some(3), Some(9)));
/// assert_eq!(Max::<u64>::default().finish(), None);
/// ```
pub type Max<T> = Extreme<T, Greatest>;

/// The choice between the least and the greatest input in [`Extreme`]. [`Least`] and [`Greatest`] implement
/// it.
///
/// # Contract
///
/// * **Strict.** [`beats`](Self::beats) is a strict order: of two inputs at most one beats the other, and
///   none beats itself.
pub trait End: Copy + Debug + Default + Send + Sync + 'static {
    /// Returns whether `a` is kept rather than `b`.
    fn beats<T: Ord>(a: &T, b: &T) -> bool;
}

/// The choice of the least input, for [`Min`].
#[derive(Copy, Clone, Debug, Default)]
pub struct Least;

/// The choice of the greatest input, for [`Max`].
#[derive(Copy, Clone, Debug, Default)]
pub struct Greatest;

impl End for Least {
    fn beats<T: Ord>(a: &T, b: &T) -> bool {
        a < b
    }
}
impl End for Greatest {
    fn beats<T: Ord>(a: &T, b: &T) -> bool {
        a > b
    }
}

/// The least or the greatest input, `None` without inputs: the type behind [`Min`] and [`Max`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent, bound = "T: Data")]
pub struct Extreme<T, E> {
    value: Option<T>,
    end: PhantomData<E>,
}

impl<T, E> Default for Extreme<T, E> {
    fn default() -> Self {
        Self { value: None, end: PhantomData }
    }
}

impl<T: Data, E: End> Accumulator for Extreme<T, E> {
    type Output = Option<T>;
    type Sliding = Monotonic<T>;

    fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.value
            && self.value.as_ref().is_none_or(|ours| E::beats(theirs, ours))
        {
            self.value = Some(theirs.clone());
        }
    }

    fn finish(&self) -> Option<T> {
        self.value.clone()
    }
}

impl<T: Data, E: End> Accumulate<T> for Extreme<T, E> {
    fn add(&mut self, input: T) {
        if self.value.as_ref().is_none_or(|ours| E::beats(&input, ours)) {
            self.value = Some(input);
        }
    }
}

/// The sliding form of [`Min`] and [`Max`]: a monotonic queue of the panes that no newer pane beats. A pane
/// enters and leaves it once.
#[derive(Clone, Debug)]
pub struct Monotonic<T> {
    /// The number and the extreme of each pane, oldest first: the first one is the result.
    unbeaten: VecDeque<(u64, T)>,
    pushed: u64,
    popped: u64,
}

impl<T> Default for Monotonic<T> {
    fn default() -> Self {
        Self { unbeaten: VecDeque::new(), pushed: 0, popped: 0 }
    }
}

impl<T: Data, E: End> Sliding<Extreme<T, E>> for Monotonic<T> {
    fn push(&mut self, pane: &Extreme<T, E>) {
        if let Some(value) = &pane.value {
            while self.unbeaten.back().is_some_and(|(_, older)| !E::beats(older, value)) {
                self.unbeaten.pop_back();
            }
            self.unbeaten.push_back((self.pushed, value.clone()));
        }
        self.pushed += 1;
    }

    fn pop(&mut self, _pane: &Extreme<T, E>) {
        if self.unbeaten.front().is_some_and(|(number, _)| *number == self.popped) {
            self.unbeaten.pop_front();
        }
        self.popped += 1;
    }

    fn finish(&self) -> Option<T> {
        self.unbeaten.front().map(|(_, value)| value.clone())
    }
}
