//! The HyperLogLog sketch.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{Accumulate, Accumulator, TwoStacks};

/// The approximate number of different ids, by HyperLogLog with `2^P` registers of a byte, 4 ≤ `P` ≤ 18.
///
/// The standard error is `1.04 / √(2^P)`: 1.6 % for `P` = 12, in 4 KiB. Up to `2^P / 16` ids are counted
/// exactly, by a list of their 64-bit hashes. Merging takes the maximum of each register, so the estimate
/// does not depend on the split of the inputs. The estimator is Ertl's (*New cardinality estimation
/// algorithms for HyperLogLog sketches*, 2017), which needs no bias tables.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, HyperLogLog};
/// let mut users = HyperLogLog::<12>::default();
/// for n in 0..100_000 {
///     users.add(format!("user_{n}").as_str());
/// }
/// assert!(users.finish().abs_diff(100_000) < 5_000);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Content", into = "Content")]
pub struct HyperLogLog<const P: u32 = 12>(Content);

/// The content of a sketch, small or large.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Content {
    /// The hashes, sorted.
    Few(Vec<u64>),
    /// The greatest rank in each register.
    Registers(Vec<u8>),
}

impl<const P: u32> Default for HyperLogLog<P> {
    fn default() -> Self {
        const { assert!(P >= 4 && P <= 18, "the precision of a HyperLogLog must be from 4 to 18") };
        Self(Content::Few(Vec::new()))
    }
}

impl<const P: u32> HyperLogLog<P> {
    const REGISTERS: usize = 1 << P;
    const FEW: usize = Self::REGISTERS / 16;
    /// The greatest possible rank: one more than the number of hash bits that do not choose the register.
    const TOP: usize = 64 - P as usize + 1;

    fn insert(&mut self, hash: u64) {
        match &mut self.0 {
            Content::Registers(registers) => raise::<P>(registers, hash),
            Content::Few(hashes) => {
                if let Err(at) = hashes.binary_search(&hash) {
                    hashes.insert(at, hash);
                    if hashes.len() > Self::FEW {
                        self.spread();
                    }
                }
            }
        }
    }

    /// Converts hashes to registers.
    fn spread(&mut self) {
        if let Content::Few(hashes) = &self.0 {
            let mut registers = vec![0; Self::REGISTERS];
            hashes.iter().for_each(|&hash| raise::<P>(&mut registers, hash));
            self.0 = Content::Registers(registers);
        }
    }
}

fn raise<const P: u32>(registers: &mut [u8], hash: u64) {
    let rank = ((hash << P) | 1 << (P - 1)).leading_zeros() as u8 + 1;
    let register = &mut registers[(hash >> (64 - P)) as usize];
    *register = rank.max(*register);
}

impl<const P: u32> Accumulator for HyperLogLog<P> {
    type Output = u64;
    type Sliding = TwoStacks<Self>;

    fn merge(&mut self, other: &Self) {
        match &other.0 {
            Content::Few(hashes) => hashes.iter().for_each(|&hash| self.insert(hash)),
            Content::Registers(theirs) => {
                self.spread();
                if let Content::Registers(ours) = &mut self.0 {
                    ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours = (*ours).max(*theirs));
                }
            }
        }
    }

    fn finish(&self) -> u64 {
        match &self.0 {
            Content::Few(hashes) => hashes.len() as u64,
            Content::Registers(registers) => {
                let mut histogram = [0u32; 66];
                registers.iter().for_each(|&rank| histogram[usize::from(rank)] += 1);
                estimate(&histogram[..=Self::TOP], Self::REGISTERS as f64).round() as u64
            }
        }
    }
}

impl<const P: u32> Accumulate<&str> for HyperLogLog<P> {
    fn add(&mut self, input: &str) {
        self.insert(xxh3_64(input.as_bytes()));
    }
}

impl<const P: u32> From<HyperLogLog<P>> for Content {
    fn from(sketch: HyperLogLog<P>) -> Self {
        sketch.0
    }
}

impl<const P: u32> TryFrom<Content> for HyperLogLog<P> {
    type Error = &'static str;

    fn try_from(content: Content) -> Result<Self, Self::Error> {
        let fits = match &content {
            Content::Few(hashes) => hashes.len() <= Self::FEW && hashes.is_sorted(),
            Content::Registers(registers) => {
                registers.len() == Self::REGISTERS && registers.iter().all(|&r| usize::from(r) <= Self::TOP)
            }
        };
        fits.then_some(Self(content)).ok_or("a hyperloglog of another precision, or damaged")
    }
}

/// Ertl's improved raw estimate, from the number of registers with each rank.
fn estimate(histogram: &[u32], registers: f64) -> f64 {
    let [zeros, ranks @ .., top] = histogram else { return 0.0 };
    let mut z = registers * tau(1.0 - f64::from(*top) / registers);
    for &count in ranks.iter().rev() {
        z = 0.5 * (z + f64::from(count));
    }
    z += registers * sigma(f64::from(*zeros) / registers);
    registers * registers / (2.0 * std::f64::consts::LN_2 * z)
}

/// The sum `x + Σ x^(2^k) · 2^(k−1)` over k ≥ 1.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power *= 2.0;
        if sum <= before {
            return sum;
        }
    }
}

/// The number `(1 − x − Σ (1 − x^(2^−k))² · 2^−k) / 3`, summed over k ≥ 1.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut power, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * power;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative error over sixty independent sets has a mean near 0 and a deviation near 1.04 / √m.
    #[test]
    fn the_error_is_as_stated() {
        for size in [300u64, 2_000, 20_000] {
            let errors: Vec<f64> = (0..60u64)
                .map(|set| {
                    let mut sketch = HyperLogLog::<10>::default();
                    (0..size).for_each(|n| sketch.insert(xxh3_64(&(set * 1_000_000 + n).to_le_bytes())));
                    sketch.finish() as f64 / size as f64 - 1.0
                })
                .collect();
            let promised = 1.04 / 32.0;
            let mean = errors.iter().sum::<f64>() / 60.0;
            let deviation = (errors.iter().map(|e| e * e).sum::<f64>() / 60.0).sqrt();
            assert!(mean.abs() < 3.5 * promised / 60f64.sqrt(), "a bias of {mean} at {size}");
            assert!(deviation < 1.3 * promised, "an error of {deviation} at {size}");
        }
    }

    /// So many ids that registers reach the greatest rank, of which a test could not add one by one.
    #[test]
    fn the_estimate_of_what_is_expected_is_the_number() {
        const P: i32 = 10;
        for power in [12, 20, 40, 50, 60, 63, 66] {
            let (number, registers) = (2f64.powi(power), 2f64.powi(P));
            // The share of registers of rank `rank` at most: none of its ids has a greater one.
            let up_to = |rank: i32| match rank {
                ..0 => 0.0,
                rank if rank == 64 - P + 1 => 1.0,
                rank => (-number / registers * 2f64.powi(-rank)).exp(),
            };
            // Counts are whole, so there are a million times as many registers.
            let of_rank = |rank| (1e6 * registers * (up_to(rank) - up_to(rank - 1))).round() as u32;
            let histogram: Vec<u32> = (0..=64 - P + 1).map(of_rank).collect();
            let found = estimate(&histogram, 1e6 * registers) / 1e6;
            assert!((found / number - 1.0).abs() < 1e-3, "{found} instead of 2^{power}");
        }
        assert_eq!(estimate(&[16, 0, 0], 16.0), 0.0);
    }

    #[test]
    fn the_first_bits_of_a_hash_choose_the_register_and_the_rest_its_rank() {
        let rank = |hash: u64| {
            let mut registers = vec![0; HyperLogLog::<10>::REGISTERS];
            raise::<10>(&mut registers, 5 << 54 | hash);
            raise::<10>(&mut registers, 5 << 54 | ((1 << 54) - 1));
            assert_eq!(registers.iter().filter(|rank| **rank > 0).count(), 1);
            usize::from(registers[5])
        };
        assert_eq!(rank(1 << 53), 1);
        assert_eq!(rank(1 << 30 | 1), 24);
        assert_eq!(rank(1), 54);
        assert_eq!(rank(0), HyperLogLog::<10>::TOP);
    }

    #[test]
    fn few_ids_are_counted_exactly_and_of_another_precision_is_refused() {
        let mut sketch = HyperLogLog::<12>::default();
        (0..256).for_each(|n| sketch.add(format!("user {n}").as_str()));
        assert_eq!(sketch.finish(), 256);
        sketch.add("one more");
        let bytes = bincode::serialize(&sketch).unwrap_or_default();
        assert!(bincode::deserialize::<HyperLogLog<12>>(&bytes).is_ok());
        assert!(bincode::deserialize::<HyperLogLog<11>>(&bytes).is_err());
    }
}
