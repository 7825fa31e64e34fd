//! Explanations of moments: what makes up the metric at a moment's peak, compared with the usual windows
//! before it.

use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::aggregate::name_counts::Counted;
use crate::column::Value;
use crate::json;
use crate::micro::Micro;

/// The greatest number of usual windows that an explanation compares a peak with.
pub const USUAL_WINDOWS: u32 = 10;

/// The greatest length of the list in the column `context` of a moment, in bytes of JSON: the column has at
/// most 2 KiB, of which the other fields take less than 128 bytes.
const MAX_JSON: usize = 2048 - 128;

/// One component of a moment's metric, as an explanation reports it: its amount at the moment's peak, and its
/// usual amount. For example a word and its share of all words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Carried {
    /// The kind of the component, which implies the unit.
    pub what: CompactString,
    /// The name of the component; empty if there is only one of its kind.
    pub name: CompactString,
    /// The amount in the window of the peak.
    pub now: Micro,
    /// The amount in usual windows; `None` if there are none.
    pub usual: Option<Micro>,
}

/// A function that explains the moments of a rule; see [`MomentRule::explain`](crate::MomentRule::explain).
pub type Explanation<S> = Arc<dyn Fn(&S, &Usual<'_, S>) -> Vec<Carried> + Send + Sync>;

/// The usual windows that a peak is compared with by an explanation.
///
/// They are the last disjoint windows that ended before the window of the peak began, at multiples of their
/// size: at most [`USUAL_WINDOWS`], and no more than the rule's detector has samples. The windows of the
/// rule's moments are left out like in [baselines](crate::MomentRule::include_moments), unless no other is
/// left, and so are those before an [absence](crate::MomentRule::absent_after) of the key.
#[derive(Debug)]
pub struct Usual<'a, S> {
    /// The summaries, oldest first. A window without events has none.
    pub summaries: &'a [Arc<S>],
    /// The number of windows. If a missing window counts as zero for the rule, this includes the windows
    /// without events from the oldest summary on; else it is the number of summaries.
    pub windows: u32,
}

/// The counts of names in one window, for [`Usual::above_usual_share`].
#[derive(Copy, Clone, Debug)]
pub struct Shares<'a> {
    /// The greatest counts.
    pub counts: &'a [Counted],
    /// The number that the shares are of.
    pub of: u64,
    /// The greatest number of names that `counts` can have: a list of this length may lack names, each with a
    /// count of at most the last one.
    pub longest: usize,
}

impl Carried {
    /// Creates a component from its kind, its name, its amount now, and its usual amount.
    pub fn new(what: &str, name: &str, now: impl Into<Micro>, usual: Option<impl Into<Micro>>) -> Self {
        Self { what: what.into(), name: name.into(), now: now.into(), usual: usual.map(Into::into) }
    }
}

impl<S> Usual<'_, S> {
    /// The mean of a number over all windows; a window without events counts as zero, unless the rule skips
    /// such windows. `None` if there are no windows.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use telemetra_core::detect::Usual;
    /// let usual = Usual { summaries: &[Arc::new(3u64), Arc::new(6)], windows: 3 };
    /// assert_eq!(usual.mean(|count| (*count).into()), Some(3.0));
    /// ```
    pub fn mean(&self, number: impl Fn(&S) -> i128) -> Option<f64> {
        let sum = self.summaries.iter().map(|summary| number(summary)).fold(0, i128::saturating_add);
        (self.windows > 0).then(|| sum as f64 / f64::from(self.windows))
    }

    /// The names of which the share at the peak is above the usual share: the heavy hitters of the difference,
    /// greatest difference first, then by name, at most `most`.
    ///
    /// A share is the sum of a name's counts divided by the sum of what they are counts of. It is exact,
    /// except that a name that a full list of usual counts lacks counts there as the last name of the list:
    /// the usual share is then an upper bound, so that no name is called unusual that is not.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use telemetra_core::detect::{Shares, Usual};
    /// use telemetra_core::{Accumulate, Accumulator, Counted, TopK};
    ///
    /// /// The most frequent words, and the number of words.
    /// type Words = (Vec<Counted>, u64);
    /// let words = |text: &str| -> Words {
    ///     let mut top = TopK::<10>::default();
    ///     text.split(' ').for_each(|word| top.add(word));
    ///     (top.finish(), text.split(' ').count() as u64)
    /// };
    /// let summaries = ["a b c d", "a b a b"].map(words).map(Arc::new);
    /// let usual = Usual { summaries: &summaries, windows: 2 };
    /// let peak = words("a e e b");
    /// let carried = usual.above_usual_share("word", &peak, 2, |(counts, of)| Shares { counts, of: *of, longest: 10 });
    /// let found: Vec<_> = carried.iter().map(|it| (&*it.name, it.now.to_f64(), it.usual.unwrap().to_f64())).collect();
    /// assert_eq!(found, [("e", 0.5, 0.0)]);
    /// ```
    pub fn above_usual_share(
        &self,
        what: &str,
        peak: &S,
        most: usize,
        shares: impl for<'s> Fn(&'s S) -> Shares<'s>,
    ) -> Vec<Carried> {
        let now = shares(peak);
        let usual: Vec<Shares<'_>> = self.summaries.iter().map(|summary| shares(summary)).collect();
        let of: u64 = usual.iter().map(|usual| usual.of).sum();
        let usual_count = |name: &str| -> u64 { usual.iter().map(|usual| usual.count(name)).sum() };
        let mut above: Vec<(f64, Carried)> = Vec::new();
        for Counted { name, count } in now.counts {
            let share = share(*count, now.of);
            let usual = (of > 0).then(|| self::share(usual_count(name), of));
            let more = share - usual.unwrap_or(0.0);
            if more > 0.0 {
                above.push((more, Carried::new(what, name, share, usual)));
            }
        }
        above.sort_by(|(one, a), (other, b)| {
            other.partial_cmp(one).unwrap_or(Ordering::Equal).then_with(|| a.name.cmp(&b.name))
        });
        above.into_iter().map(|(_, carried)| carried).take(most).collect()
    }
}

impl Shares<'_> {
    /// The count of a name, or the most that it can be.
    fn count(&self, name: &str) -> u64 {
        let held = self.counts.iter().find(|held| held.name == name);
        let cut = self.counts.last().filter(|_| self.counts.len() >= self.longest);
        held.or(cut).map_or(0, |held| held.count)
    }
}

fn share(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

/// The list as JSON: `[{"what":"…","name":"…","now":0.5,"usual":0.1},…]`.
pub(crate) struct CarriedJson<'a>(pub(crate) &'a [Carried]);

impl fmt::Display for CarriedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (number, carried) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "," })?;
            item(f, carried)?;
        }
        f.write_str("]")
    }
}

fn item(out: &mut impl Write, carried: &Carried) -> fmt::Result {
    out.write_str("{\"what\":")?;
    json::string(out, &carried.what)?;
    out.write_str(",\"name\":")?;
    json::string(out, &carried.name)?;
    out.write_str(",\"now\":")?;
    json::value(out, Value::Float(carried.now.to_f64()))?;
    out.write_str(",\"usual\":")?;
    json::value(out, Value::or_null(carried.usual.map(|usual| Value::Float(usual.to_f64()))))?;
    out.write_str("}")
}

/// Leaves out what would make the list longer than [`MAX_JSON`]: in the given order, each thing for which
/// there is room left.
pub(crate) fn bounded(mut carried: Vec<Carried>) -> Arc<[Carried]> {
    let (mut room, mut text) = (MAX_JSON - 2, String::new());
    carried.retain(|one| {
        text.clear();
        // Writing to a string does not fail.
        let length = item(&mut text, one).map_or(usize::MAX, |()| text.len() + 1);
        let fits = length <= room;
        room -= if fits { length } else { 0 };
        fits
    });
    carried.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> Carried {
        Carried::new("word", name, 1.5, Some(-0.25))
    }

    #[test]
    fn the_list_is_cut_in_its_order_and_never_longer_than_its_bound() {
        let names = (0..100).map(|n| one(&format!("{n}\u{1}\"")));
        let all: Vec<_> = [one(&"x".repeat(5_000))].into_iter().chain(names).collect();
        let kept = bounded(all.clone());
        assert_eq!(kept[..], all[1..=kept.len()], "the first that fit");
        let text = CarriedJson(&kept).to_string();
        assert!((MAX_JSON - 80..=MAX_JSON).contains(&text.len()), "{}", text.len());
        assert!(
            text.starts_with(r#"[{"what":"word","name":"0\u0001\"","now":1.5,"usual":-0.25},{"#),
            "{text}"
        );
        assert_eq!(bounded(Vec::new()).len(), 0);
    }

    #[test]
    fn a_name_that_a_full_list_lacks_counts_as_its_last_one() {
        let list = |counts: &[(&str, u64)]| -> Vec<Counted> {
            counts.iter().map(|(name, count)| Counted { name: (*name).into(), count: *count }).collect()
        };
        let summaries = [list(&[("a", 30), ("b", 20)]), list(&[("a", 10)])].map(Arc::new);
        let usual = Usual { summaries: &summaries, windows: 2 };
        let peak = list(&[("c", 9), ("a", 50), ("d", 25)]);
        let found = usual.above_usual_share("word", &peak, 5, |counts| Shares { counts, of: 50, longest: 2 });
        let found: Vec<_> =
            found.iter().map(|it| (&*it.name, it.now.0, it.usual.map(|usual| usual.0))).collect();
        // c may have had 20 of 100, which is more than 9 of 50.
        assert_eq!(found, [("a", 1_000_000, Some(400_000)), ("d", 500_000, Some(200_000))]);
        let none = Usual { summaries: &[], windows: 0 };
        let found = none.above_usual_share("word", &peak, 1, |counts| Shares { counts, of: 50, longest: 2 });
        assert_eq!(found, [Carried { usual: None, ..Carried::new("word", "a", 1.0, Some(0.0)) }]);
    }
}
