//! Random counts with a Poisson distribution, or with one that varies more.

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

/// A distribution of counts, as cumulative probabilities.
#[derive(Clone, Debug)]
pub struct Law {
    first: u64,
    sums: Vec<f64>,
}

impl Law {
    /// The distribution with these probabilities from a count on, up to a factor.
    fn of(first: u64, terms: &[f64]) -> Self {
        let total: f64 = terms.iter().sum();
        let mut sum = 0.0;
        let sums = terms.iter().map(|term| {
            sum += term / total;
            sum
        });
        Self { first, sums: sums.collect() }
    }

    /// The probability of at least this count, to an accuracy of 1e-15.
    ///
    /// ```
    /// use telemetra_core::testkit::Noise;
    /// let law = Noise::new(7).law(1.0);
    /// assert!((law.at_least(2) - (1.0 - 2.0 * (-1.0_f64).exp())).abs() < 1e-14);
    /// assert_eq!((law.at_least(0), law.at_least(1_000)), (1.0, 0.0));
    /// ```
    #[must_use]
    pub fn at_least(&self, count: u64) -> f64 {
        let Some(below) = count.checked_sub(self.first + 1) else { return 1.0 };
        let below = self.sums.get(usize::try_from(below).unwrap_or(usize::MAX));
        below.map_or(0.0, |sum| (1.0 - sum).max(0.0))
    }
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
        Law::of(first, &terms)
    }

    /// The negative binomial distribution with this mean, and a variance of `ratio` times the mean: counts of
    /// events that come in groups, as people answer each other. Sums of such counts are of this kind, with the
    /// same ratio.
    ///
    /// # Panics
    ///
    /// If the mean is not above 0 and at most 10,000, or the ratio not above 1 and at most 100.
    #[must_use]
    pub fn scattered_law(&self, mean: f64, ratio: f64) -> Law {
        assert!(mean > 0.0 && mean <= 10_000.0, "{mean} is not between 0 and 10000");
        assert!(ratio > 1.0 && ratio <= 100.0, "{ratio} is not between 1 and 100");
        let size = mean / (ratio - 1.0);
        let last = (mean + 40.0 * (mean * ratio).sqrt() + 60.0 * ratio) as u64;
        // Logarithms, as the first term may be too small for a float.
        let mut logarithm = 0.0;
        let logarithms: Vec<f64> = (0..=last)
            .map(|count| {
                let term = logarithm;
                logarithm += ((count as f64 + size) / (count + 1) as f64 * (1.0 - 1.0 / ratio)).ln();
                term
            })
            .collect();
        let greatest = logarithms.iter().copied().fold(f64::MIN, f64::max);
        let terms: Vec<f64> = logarithms.iter().map(|term| (term - greatest).exp()).collect();
        Law::of(0, &terms)
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
