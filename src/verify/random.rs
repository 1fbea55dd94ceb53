//! Reproducible random numbers: the same seed gives the same inputs with every version of every dependency.

/// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for every `seed` and `name`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a keeps the streams of two inputs apart.
        let hash =
            name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
        Self(hash ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_distributions_are_what_they_say() {
        let mut r = Random::new(1, "x");
        let n = 20_000;
        let normal: Vec<f64> = (0..n).map(|_| r.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let var = normal.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "{mean} {var}");
        let mut counts = [0; 4];
        (0..n).for_each(|_| counts[r.below(4)] += 1);
        assert!(counts.iter().all(|c| (4_500..5_500).contains(c)), "{counts:?}");
    }

    #[test]
    fn streams_are_apart_and_repeatable() {
        let first = |seed, name| Random::new(seed, name).uniform().to_bits();
        assert_eq!(first(7, "x"), first(7, "x"));
        assert_ne!(first(7, "x"), first(8, "x"));
        assert_ne!(first(7, "x"), first(7, "y"));
    }
}
