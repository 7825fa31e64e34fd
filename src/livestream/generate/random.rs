//! Random numbers that are the same on every platform: integers for all decisions, and only IEEE additions,
//! multiplications and divisions for tables.

use std::f64::consts::LN_2;

/// The odd number nearest 2⁶⁴ divided by the golden ratio: steps of it visit every state once.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Scatters a number over all 64 bits. A bijection (the finaliser of SplitMix64), so different inputs stay different.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The SplitMix64 generator: a counter, mixed. Any number starts an independent sequence.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `bound`, 0 if that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`; `low` if there is none.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Whether an event with this probability happens.
    pub(crate) fn happens(&mut self, chance: Chance) -> bool {
        u64::from((self.next() >> 32) as u32) < chance.0
    }
}

/// A probability in units of 2⁻³².
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn new(ratio: f64) -> Self {
        Self((ratio * 4_294_967_296.0) as u64)
    }
}

/// Exponentially distributed numbers.
///
/// `−ln u` of a uniform `u = m·2⁻ᵏ`, `½ ≤ m < 1`, is `k·ln 2 − ln m`: a count of halvings, and a table
/// look-up.
#[derive(Clone, Debug)]
pub(crate) struct Exponential {
    mean: u64,
    /// `−ln m` for `m = 1 − j/2048`, in units of 2⁻²⁴.
    table: Vec<u32>,
}

impl Exponential {
    const ONE: f64 = 16_777_216.0;

    pub(crate) fn new(mean: u64) -> Self {
        let table = (0..=1024).map(|j| (-ln(1.0 - f64::from(j) / 2048.0) * Self::ONE) as u32).collect();
        Self { mean, table }
    }

    /// The number for these 64 uniform bits.
    pub(crate) fn of(&self, bits: u64) -> u64 {
        let halvings = u64::from((bits as u32 | 1 << 31).trailing_zeros());
        let (at, rest) = ((bits >> 54) as usize, (bits >> 38) & 0xFFFF);
        let (low, high) = (u64::from(self.table[at]), u64::from(self.table[at + 1]));
        let minus_ln = halvings * (LN_2 * Self::ONE) as u64 + low + (((high - low) * rest) >> 16);
        ((u128::from(self.mean) * u128::from(minus_ln)) >> 24) as u64
    }
}

/// The weights `1, 2⁻ˢ, 3⁻ˢ, …` as whole numbers that sum to about 2⁴⁰, each at least 1.
pub(crate) fn zipf(count: u32, exponent: f64) -> Vec<u64> {
    let weights: Vec<f64> = (1..=count).map(|rank| exp(-exponent * ln(f64::from(rank)))).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| ((w / sum * (1_u64 << 40) as f64) as u64).max(1)).collect()
}

/// The natural logarithm of a positive number, by the series of the inverse hyperbolic tangent. The function
/// of the standard library may differ between platforms in the last bit.
fn ln(x: f64) -> f64 {
    let (mut m, mut halvings) = (x, 0.0);
    while m > 1.5 {
        m /= 2.0;
        halvings += 1.0;
    }
    while m < 0.75 {
        m *= 2.0;
        halvings -= 1.0;
    }
    let t = (m - 1.0) / (m + 1.0);
    let (mut power, mut sum) = (t, 0.0);
    for k in 0..16 {
        sum += power / f64::from(2 * k + 1);
        power *= t * t;
    }
    2.0 * sum + halvings * LN_2
}

/// The exponential function of a number that is not positive, by its series on a small remainder.
fn exp(x: f64) -> f64 {
    let (mut rest, mut halvings) = (x, 0);
    while rest < -0.5 {
        rest += LN_2;
        halvings += 1;
    }
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..18 {
        term *= rest / f64::from(k);
        sum += term;
    }
    (0..halvings).fold(sum, |sum, _| sum / 2.0)
}

/// Draws an index with a probability in proportion to its weight, in constant time (Walker's and Vose's alias method).
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    /// For each index: the threshold of 2³² below which it is drawn itself, and the index that is drawn
    /// otherwise.
    slots: Vec<(u32, u32)>,
}

impl Weighted {
    pub(crate) fn new(weights: &[u64]) -> Self {
        let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
        let mut left: Vec<u128> = weights.iter().map(|&w| u128::from(w) * weights.len() as u128).collect();
        let mut slots: Vec<(u32, u32)> = (0..weights.len() as u32).map(|i| (u32::MAX, i)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&index| left[index] < total);
        while let (Some(&to), Some(from)) = (large.last(), small.pop()) {
            slots[from] = (((left[from] << 32) / total) as u32, to as u32);
            left[to] -= total - left[from];
            if left[to] < total {
                large.pop();
                small.push(to);
            }
        }
        Self { slots }
    }

    /// The index for these 64 uniform bits.
    pub(crate) fn of(&self, bits: u64) -> u32 {
        let index = (((bits >> 32) * self.slots.len() as u64) >> 32) as u32;
        let (threshold, other) = self.slots[index as usize];
        if (bits as u32) < threshold { index } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_agree_with_the_standard_library() {
        for x in [0.5_f64, 0.75, 1.0, 1.5, 2.0, 17.0, 1e3, 1e6] {
            assert!((ln(x) - x.ln()).abs() < 1e-13, "ln {x}");
            assert!((exp(-x.ln().abs()) / (-x.ln().abs()).exp() - 1.0).abs() < 1e-13, "exp of -ln {x}");
        }
    }

    #[test]
    fn exponential_has_its_mean_and_deviation() {
        let (exponential, mut random) = (Exponential::new(1_000_000), Random::new(1));
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| exponential.of(random.next()) as f64 / 1e6).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / f64::from(n);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn weighted_draws_in_proportion() {
        let weights = [5, 0, 1, 3, 1];
        let (weighted, mut random) = (Weighted::new(&weights), Random::new(2));
        let mut seen = [0_i64; 5];
        for _ in 0..100_000 {
            seen[weighted.of(random.next()) as usize] += 1;
        }
        for (seen, weight) in seen.into_iter().zip(weights) {
            assert!((seen - weight as i64 * 10_000).abs() < 500, "{seen} for weight {weight}");
        }
    }
}
