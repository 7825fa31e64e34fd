//! The exact number of different ids and the greatest multiplicity, and their sliding form.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Serialize};

use super::distinct::Distinct;
use super::id_counts::{IdCount, IdCounts};
use super::{Accumulate, Accumulator, Sliding};
use crate::ident::{id_of, mix};

/// The exact number of different ids, and how often the most frequent one was added.
///
/// This is a [`Distinct`] that also counts each id. An id takes 24 bytes in a hash table; up to three ids with
/// their counts are stored in place, in the 64 bytes that a [`Distinct`] takes. What is said there about long
/// ids holds here. The greatest multiplicity is exact, since every id is counted.
///
/// ```
/// use telemetra_core::aggregate::{Multiplicities, Multiplicity};
/// use telemetra_core::{Accumulate, Accumulator};
/// let mut users = Multiplicities::default();
/// for user in ["ada", "grace", "ada"] {
///     users.add(user);
/// }
/// assert_eq!(users.finish(), Multiplicity { distinct: 2, greatest: 2 });
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Multiplicities(IdCounts);

/// The output of [`Multiplicities`].
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Multiplicity {
    /// The number of different ids.
    pub distinct: u64,
    /// The number of times that the most frequent id was added; 0 without ids.
    pub greatest: u64,
}

/// The state of a [`Distinct`] does not say how often an id was added: each counts as added once.
impl From<Distinct> for Multiplicities {
    fn from(distinct: Distinct) -> Self {
        let mut counts = IdCounts::default();
        distinct.ids().for_each(|id| counts.add(id, 1));
        Self(counts)
    }
}

impl Accumulator for Multiplicities {
    type Output = Multiplicity;
    type Sliding = MultiplicitiesSliding;

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn finish(&self) -> Multiplicity {
        let greatest = self.0.iter().map(|held| held.count).max();
        Multiplicity { distinct: self.0.len() as u64, greatest: greatest.unwrap_or(0) }
    }
}

impl Accumulate<&str> for Multiplicities {
    #[inline]
    fn add(&mut self, input: &str) {
        self.0.add(id_of(input), 1);
    }
}

/// The counts up to which [`MultiplicitiesSliding`] knows how many ids have each of them.
const SMALL: usize = 64;

/// The sliding form of [`Multiplicities`]: the count of each id in the panes.
///
/// It costs one look-up for each id of a pane that enters or leaves. If an id has a count of 64 or more, a
/// result costs one step for each id.
#[derive(Clone, Debug, Default)]
pub struct MultiplicitiesSliding {
    held: HashTable<IdCount>,
    /// The number of ids with a count of 1, 2, and so on; the last number is of all counts from [`SMALL`] on.
    having: Vec<u32>,
}

/// Notes in `having` that the count of an id was `before` and is `now`.
#[inline]
fn recount(having: &mut Vec<u32>, before: u64, now: u64) {
    let place = |count: u64| usize::try_from(count).unwrap_or(SMALL).min(SMALL).checked_sub(1);
    let (before, now) = (place(before), place(now));
    if before == now {
        return;
    }
    if let Some(number) = before.and_then(|place| having.get_mut(place)) {
        *number -= 1;
    }
    if let Some(place) = now {
        if place >= having.len() {
            having.resize(place + 1, 0);
        }
        having[place] += 1;
    }
}

// `for_each` and not `for`: the ids are in one of two places, and a loop would ask at each which one it is.
impl Sliding<Multiplicities> for MultiplicitiesSliding {
    fn push(&mut self, pane: &Multiplicities) {
        let Self { held, having } = self;
        pane.0.iter().for_each(|entering| {
            let id = entering.id();
            let (before, now) = match held.entry(mix(id), |held| held.id() == id, |held| mix(held.id())) {
                Entry::Occupied(mut held) => {
                    let count = &mut held.get_mut().count;
                    let before = *count;
                    *count = before.wrapping_add(entering.count);
                    (before, *count)
                }
                Entry::Vacant(free) => {
                    free.insert(entering);
                    (0, entering.count)
                }
            };
            recount(having, before, now);
        });
    }

    fn pop(&mut self, pane: &Multiplicities) {
        let Self { held, having } = self;
        pane.0.iter().for_each(|leaving| {
            let id = leaving.id();
            if let Ok(mut held) = held.find_entry(mix(id), |held| held.id() == id) {
                let before = held.get().count;
                let now = before.wrapping_sub(leaving.count);
                held.get_mut().count = now;
                if now == 0 {
                    held.remove();
                }
                recount(having, before, now);
            }
        });
        // After a burst the memory is freed.
        if self.held.capacity() > 64 && self.held.len() < self.held.capacity() / 8 {
            self.held.shrink_to(self.held.len() * 2, |held| mix(held.id()));
        }
        let longest = self.having.iter().rposition(|number| *number > 0).map_or(0, |last| last + 1);
        self.having.truncate(longest);
    }

    fn finish(&self) -> Multiplicity {
        let greatest = match self.having.len() {
            SMALL => self.held.iter().map(|held| held.count).max().unwrap_or(0),
            greatest => greatest as u64,
        };
        Multiplicity { distinct: self.held.len() as u64, greatest }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(ids: impl Iterator<Item = usize>) -> Multiplicities {
        let mut counts = Multiplicities::default();
        ids.for_each(|n| counts.add(format!("a user's id of some length: {n}").as_str()));
        counts
    }

    #[test]
    fn equal_counts_have_equal_bytes_and_a_pane_of_few_is_small() {
        for n in [0, 1, 3, 4, 1_000] {
            let mut halves = of((0..n / 2).rev());
            halves.merge(&of((n / 3..n).chain(0..n / 2)));
            let whole = of((0..n).chain(0..n / 2).chain(n / 3..n / 2));
            assert_eq!(bincode::serialize(&halves).unwrap(), bincode::serialize(&whole).unwrap());
        }
        assert_eq!(size_of::<Multiplicities>(), size_of::<Distinct>());
    }

    #[test]
    fn panes_that_come_and_go_are_counted_as_if_merged_anew() {
        let pane = |n: usize| of((0..n * 7 % 90).map(move |m| m * m % (n % 11 + 1)));
        let panes: Vec<_> = (0..60).map(pane).collect();
        let mut sliding = MultiplicitiesSliding::default();
        let mut above = 0;
        for (n, pane) in panes.iter().enumerate() {
            sliding.push(pane);
            if let Some(left) = n.checked_sub(6) {
                sliding.pop(&panes[left]);
            }
            let mut merged = Multiplicities::default();
            panes[n.saturating_sub(5)..=n].iter().for_each(|pane| merged.merge(pane));
            assert_eq!(sliding.finish(), merged.finish());
            above += usize::from(merged.finish().greatest > SMALL as u64);
        }
        assert!((10..50).contains(&above), "both ways to the greatest count: {above} of 60");
        panes[54..].iter().for_each(|pane| sliding.pop(pane));
        assert_eq!(sliding.finish(), Multiplicity::default());
        assert!(sliding.held.is_empty() && sliding.having.is_empty());
    }

    #[test]
    fn the_state_of_a_distinct_counts_every_id_once() {
        for n in [0, 2, 50] {
            let mut before = Distinct::default();
            (0..n).for_each(|n| before.add(format!("{}", n % 30).as_str()));
            let expected = Multiplicity { distinct: before.finish(), greatest: u64::from(n > 0) };
            assert_eq!(Multiplicities::from(before).finish(), expected);
        }
    }

    #[test]
    fn counts_beyond_their_place_saturate_nowhere_near() {
        let mut counts = IdCounts::default();
        counts.add(7, u64::from(u32::MAX));
        counts.add(7, 2);
        counts.add(8, 1);
        let all = Multiplicities(counts).finish();
        assert_eq!(all, Multiplicity { distinct: 2, greatest: u64::from(u32::MAX) + 2 });
    }
}
