//! Random counts with a Poisson distribution.

/// A random generator for counts of independent events. The same seed gives the same counts on every machine.
///
/// ```
/// use telemetra_core::testkit::Noise;
/// let mut noise = Noise::new(7);
/// let tens = noise.law(10.0);
/// let sum: u64 = (0..10_000).map(|_| noise.count(&tens)).sum();
/// assert!((99_000..101_000).contains(&sum));
/// ```
#[derive(Clone, Debug)]
pub struct Noise(u64);

/// A Poisson distribution, as cumulative probabilities.
#[derive(Clone, Debug)]
pub struct Law {
    first: u64,
    sums: Vec<f64>,
}

impl Noise {
    /// A generator with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The Poisson distribution with this mean, from 0 to 100,000.
    ///
    /// # Panics
    ///
    /// If the mean is not in that range.
    #[must_use]
    pub fn law(&self, mean: f64) -> Law {
        assert!((0.0..=100_000.0).contains(&mean), "{mean} is not between 0 and 100000");
        let reach = 12.0 * mean.sqrt() + 40.0;
        let (first, last) = ((mean - reach).max(0.0) as u64, (mean + reach) as u64);
        // The terms are computed from the middle, so that the first one is not too small.
        let middle = mean as u64;
        let mut terms = vec![0.0; (last - first + 1) as usize];
        terms[(middle - first) as usize] = 1.0;
        for count in middle + 1..=last {
            terms[(count - first) as usize] = terms[(count - first) as usize - 1] * mean / count as f64;
        }
        for count in (first..middle).rev() {
            terms[(count - first) as usize] = terms[(count - first) as usize + 1] * (count + 1) as f64 / mean;
        }
        let total: f64 = terms.iter().sum();
        let mut sum = 0.0;
        let sums = terms.iter().map(|term| {
            sum += term / total;
            sum
        });
        Law { first, sums: sums.collect() }
    }

    /// A random count with this distribution.
    pub fn count(&mut self, law: &Law) -> u64 {
        let at = self.uniform();
        law.first + law.sums.partition_point(|sum| *sum < at) as u64
    }

    /// A uniform random number between 0 and 1, both excluded, by SplitMix64.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}
