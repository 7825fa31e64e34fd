//! The quantile sketch.

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Number, Subtract, SubtractOnEvict};
use crate::micro::Micro;

/// The approximate quantiles of numbers that are not negative, with a guaranteed relative error: medians and
/// percentiles of latencies, sizes and other quantities.
///
/// The sketch counts the numbers in buckets, like DDSketch (Masson, Rim and Lee, 2019), with the buckets of
/// HdrHistogram: each power of two is divided into `2^P` buckets of equal width, 1 ≤ `P` ≤ 10.
///
/// * **Accuracy.** [`quantile`](Self::quantile) differs from the exact quantile by at most a fraction of
///   `1 / 2^(P + 1)` of it: less than 0.8 % for `P` = 6. Integers below `2^(P + 1)` are exact. This holds for
///   each quantile, whatever the distribution and however many numbers there are.
/// * **Range.** From 0 to `2^63 − 1` units, where a unit is 1 for integers and a millionth for floats, as for
///   every [`Number`]. A negative number counts as 0, and one above the range as its end.
/// * **Order.** The state is integers, and an integer alone decides on the bucket of a number. So the result
///   is exactly the same in any order, for any split, and on any machine.
/// * **Cost.** Sixteen bytes for each bucket that has a number in it: at most `(64 − P) · 2^P` buckets, 3712
///   for `P` = 6, of which latencies between 1 ms and 10 s fill at most 900. Adding is a binary search,
///   merging is linear in the buckets.
///
/// The output is the sketch itself, as any quantile can be computed from it; outputs are equal if all counts
/// are equal.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Quantiles};
/// let mut millis: Quantiles = Quantiles::default();
/// (1..=10_000).for_each(|n| millis.add(n));
/// let finished = millis.finish();
/// let p99 = finished.quantile(0.99);
/// assert!(p99.is_some_and(|p99| (p99 - 9_900).abs() <= 9_900 / 128));
/// assert_eq!(finished.quantile(0.001), Some(10));
/// assert_eq!(finished.count(), 10_000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Encoded")]
pub struct Quantiles<const P: u32 = 6> {
    /// The number of each bucket and the count of numbers in it, which is not 0; sorted.
    buckets: Vec<(u16, u64)>,
}

/// The encoded form: the precision comes first, so that buckets are not taken for those of another precision.
#[derive(Serialize, Deserialize)]
struct Encoded(u32, Vec<(u16, u64)>);

impl<const P: u32> Quantiles<P> {
    const BUCKETS: u16 = {
        assert!(P >= 1 && P <= 10, "the precision of a quantile sketch must be from 1 to 10");
        (64 - P as u16) << P
    };

    /// The count of numbers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.wrapping_add(*count))
    }

    /// The quantile of a fraction, in the units of the numbers; `None` without numbers.
    ///
    /// It is the nearest rank: the least number such that at least this fraction of all numbers is not above
    /// it. The fraction counts with six decimals; one outside of 0 to 1 counts as 0 or 1.
    #[must_use]
    pub fn quantile(&self, fraction: f64) -> Option<i64> {
        self.at(millionths(fraction))
    }

    /// The quantile of a fraction in millionths.
    pub(super) fn at(&self, millionths: u32) -> Option<i64> {
        // In integers, as 0.07 · 100 is more than 7 in floats.
        let rank = (u128::from(self.count()) * u128::from(millionths)).div_ceil(Micro::SCALE as u128).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            seen += u128::from(*count);
            seen >= rank
        });
        found.map(|(bucket, _)| middle::<P>(*bucket))
    }

    /// Adds or subtracts the other's count of each bucket. Buckets whose count becomes 0 are removed.
    fn combine(&mut self, other: &Self, apply: impl Fn(u64, u64) -> u64) {
        // Mostly the other is a small partial of a known distribution: nothing is moved then.
        let mut from = 0;
        let mut unknown = false;
        for (bucket, count) in &other.buckets {
            match self.buckets[from..].binary_search_by_key(bucket, |(bucket, _)| *bucket) {
                Ok(at) => {
                    from += at;
                    self.buckets[from].1 = apply(self.buckets[from].1, *count);
                }
                Err(at) => {
                    from += at;
                    unknown = true;
                }
            }
        }
        if unknown {
            let known = self.buckets.len();
            for (bucket, count) in &other.buckets {
                if self.buckets[..known].binary_search_by_key(bucket, |(bucket, _)| *bucket).is_err() {
                    self.buckets.push((*bucket, apply(0, *count)));
                }
            }
            self.buckets.sort_unstable_by_key(|(bucket, _)| *bucket);
        }
        self.buckets.retain(|(_, count)| *count != 0);
    }
}

/// A fraction in millionths, from 0 to a million.
pub(super) fn millionths(fraction: f64) -> u32 {
    Micro::from_f64(fraction.clamp(0.0, 1.0)).0.try_into().unwrap_or(0)
}

/// The bucket of a number: below `2^P` each has its own; above, the bits after the first `P + 1` do not count.
fn bucket_of<const P: u32>(number: u64) -> u16 {
    let shift = (u64::BITS - number.leading_zeros()).saturating_sub(P + 1);
    // The highest of these bits is set, which adds one to the power, unless the number is below 2^P.
    ((u64::from(shift) << P) + (number >> shift)) as u16
}

/// The number in the middle of a bucket.
fn middle<const P: u32>(bucket: u16) -> i64 {
    let bucket = i64::from(bucket);
    let shift = ((bucket >> P) - 1).max(0);
    let least = (bucket - (shift << P)) << shift;
    least + ((1 << shift) >> 1)
}

impl<const P: u32> Accumulator for Quantiles<P> {
    type Output = Self;
    type Sliding = SubtractOnEvict<Self>;

    fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.clone_from(other);
        } else {
            self.combine(other, u64::wrapping_add);
        }
    }

    fn finish(&self) -> Self {
        self.clone()
    }
}

impl<const P: u32> Subtract for Quantiles<P> {
    fn subtract(&mut self, other: &Self) {
        self.combine(other, u64::wrapping_sub);
    }
}

impl<N: Number, const P: u32> Accumulate<N> for Quantiles<P> {
    fn add(&mut self, input: N) {
        const { assert!(Self::BUCKETS > 0) };
        let bucket = bucket_of::<P>(u64::try_from(input.units()).unwrap_or(0));
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.wrapping_add(1),
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
    }
}

impl<const P: u32> From<Quantiles<P>> for Encoded {
    fn from(sketch: Quantiles<P>) -> Self {
        Self(P, sketch.buckets)
    }
}

impl<const P: u32> TryFrom<Encoded> for Quantiles<P> {
    type Error = &'static str;

    fn try_from(Encoded(precision, buckets): Encoded) -> Result<Self, Self::Error> {
        let fits = precision == P
            && buckets.is_sorted_by(|(a, _), (b, _)| a < b)
            && buckets.iter().all(|(bucket, count)| *bucket < Self::BUCKETS && *count > 0);
        fits.then_some(Self { buckets }).ok_or("a quantile sketch of another precision, or damaged")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The exact quantile, by the nearest rank.
    fn exact(sorted: &[i64], millionths: u32) -> i64 {
        let rank = (sorted.len() as u128 * u128::from(millionths)).div_ceil(1_000_000).max(1);
        sorted[rank as usize - 1]
    }

    fn close<const P: u32>(found: i64, exact: i64) -> bool {
        i128::from(found.abs_diff(exact)) << (P + 1) <= i128::from(exact)
    }

    /// Numbers of every magnitude: few bits are as likely as many.
    fn numbers() -> impl Strategy<Value = Vec<i64>> {
        prop::collection::vec((0u32..64, any::<i64>()).prop_map(|(shift, n)| (n & i64::MAX) >> shift), 1..400)
    }

    fn sketch<const P: u32>(numbers: &[i64]) -> Quantiles<P> {
        let mut sketch = Quantiles::default();
        numbers.iter().for_each(|number| sketch.add(*number));
        sketch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn the_error_is_within_the_bound(numbers in numbers(), fraction in 0u32..=1_000_000) {
            fn check<const P: u32>(numbers: &[i64], fraction: u32) -> Result<(), TestCaseError> {
                let sketch = sketch::<P>(numbers);
                let mut sorted = numbers.to_vec();
                sorted.sort_unstable();
                for fraction in [fraction, 0, 500_000, 990_000, 1_000_000] {
                    let (found, exact) = (sketch.at(fraction).unwrap_or(-1), exact(&sorted, fraction));
                    prop_assert!(close::<P>(found, exact), "{found} instead of {exact}, precision {P}");
                }
                prop_assert_eq!(sketch.count(), numbers.len() as u64);
                Ok(())
            }
            check::<1>(&numbers, fraction)?;
            check::<6>(&numbers, fraction)?;
            check::<10>(&numbers, fraction)?;
        }

        #[test]
        fn merging_in_any_order_is_equal_and_subtracting_undoes_it(
            parts in prop::collection::vec(numbers(), 1..6),
        ) {
            let all: Vec<i64> = parts.iter().flatten().copied().collect();
            let whole = sketch::<6>(&all);
            let (mut forth, mut back) = (Quantiles::<6>::default(), Quantiles::<6>::default());
            parts.iter().for_each(|part| forth.merge(&sketch(part)));
            parts.iter().rev().for_each(|part| back.merge(&sketch(part)));
            prop_assert_eq!(&forth, &whole);
            prop_assert_eq!(&back, &whole);
            for part in &parts {
                forth.subtract(&sketch(part));
            }
            prop_assert_eq!(forth, Quantiles::default());
        }
    }

    /// Every bucket is reached, from the first to the last, and its middle is in it.
    #[test]
    fn the_buckets_cover_the_range_without_a_gap() {
        fn check<const P: u32>() {
            for bucket in 0..Quantiles::<P>::BUCKETS {
                assert_eq!(bucket_of::<P>(middle::<P>(bucket) as u64), bucket);
            }
            assert_eq!(bucket_of::<P>(0), 0);
            assert_eq!(bucket_of::<P>(i64::MAX as u64), Quantiles::<P>::BUCKETS - 1);
        }
        check::<1>();
        check::<6>();
        check::<10>();
        (0..128).for_each(|n| assert_eq!(middle::<6>(bucket_of::<6>(n)), n as i64));
    }

    #[test]
    fn what_is_damaged_or_of_another_precision_is_refused() {
        let bytes = |precision: u32, buckets: &[(u16, u64)]| {
            bincode::serialize(&Encoded(precision, buckets.to_vec())).unwrap_or_default()
        };
        let decoded = |bytes: Vec<u8>| bincode::deserialize::<Quantiles<6>>(&bytes);
        assert!(decoded(bytes(6, &[(3, 1), (3711, 1)])).is_ok());
        for (precision, buckets) in [
            (5, &[(3, 1)][..]),
            (6, &[(3712, 1)]),
            (6, &[(3, 0)]),
            (6, &[(3, 1), (3, 1)]),
            (6, &[(4, 1), (3, 1)]),
        ] {
            assert!(decoded(bytes(precision, buckets)).is_err(), "{precision} {buckets:?}");
        }
    }
}
