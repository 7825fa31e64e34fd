//! Running a simulation with many seeds, and repeating one that failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::failure::panic_text;
use crate::testkit::world::shared::lock;
use crate::testkit::world::{Violation, World};

/// Runs this seed alone.
const SEED: &str = "TELEMETRA_WORLD_SEED";
/// Runs as many seeds.
const SEEDS: &str = "TELEMETRA_WORLD_SEEDS";
/// The first of them.
const FIRST: &str = "TELEMETRA_WORLD_FIRST";

/// So many seeds that break are enough.
const ENOUGH: usize = 3;
/// Worlds at a time by core: they wait more than they work.
const BY_CORE: usize = 4;

impl World {
    /// Runs the seeds in `kept`, which failed in the past, and the seeds from 0 to `seeds - 1`, four at a
    /// time for each core. It stops early once three have failed. Call it in a test.
    ///
    /// Environment variables change the selection: `TELEMETRA_WORLD_SEEDS` sets another number of seeds,
    /// `TELEMETRA_WORLD_FIRST` the first of them, and `TELEMETRA_WORLD_SEED` the only seed to be run.
    ///
    /// # Panics
    ///
    /// If a check fails for a seed. The message has the failed checks and the command that repeats the seed;
    /// add the seed to `kept` when you have repaired the error.
    pub fn check(&self, kept: &[u64], seeds: u64) {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let all: Vec<u64> = match number(SEED) {
            Some(seed) => vec![seed],
            None => {
                let first = number(FIRST).unwrap_or(0);
                kept.iter().copied().chain(first..first + number(SEEDS).unwrap_or(seeds)).collect()
            }
        };
        let violation = self.find(&all, ENOUGH);
        let Some(first) = violation.first() else { return };
        let test = std::thread::current().name().unwrap_or("the test").to_owned();
        let seeds: Vec<u64> = violation.iter().map(|violation| violation.seed).collect();
        panic!(
            "{seeds:?} of {} seeds break\n{first}repeat it with `{SEED}={} cargo test {test}`, \
             and keep it in the list of the test",
            all.len(),
            first.seed
        );
    }

    /// Runs the seeds from 0 to `seeds - 1` until one fails, and returns its failed checks; `None` if all
    /// pass. For tests with a [`Defect`](super::Defect), where a failure is expected.
    #[must_use]
    pub fn first_violation(&self, seeds: u64) -> Option<Violation> {
        self.find(&(0..seeds).collect::<Vec<_>>(), 1).into_iter().next()
    }

    /// Returns up to `enough` of these that break, by seed.
    fn find(&self, seeds: &[u64], enough: usize) -> Vec<Violation> {
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let violation = Mutex::new(Vec::new());
        let work = || {
            while !over.load(Ordering::SeqCst) {
                let index = usize::try_from(next.fetch_add(1, Ordering::SeqCst)).unwrap_or(usize::MAX);
                let Some(&seed) = seeds.get(index) else { return };
                let ran = catch_unwind(AssertUnwindSafe(|| self.run(seed).map(drop)));
                let ran = ran.unwrap_or_else(|panic| {
                    let findings = vec![format!("a panic: {}", panic_text(&*panic))];
                    Err(Violation { seed, findings, runs: Vec::new() })
                });
                if let Err(one) = ran {
                    let mut violation = lock(&violation);
                    violation.push(one);
                    over.store(violation.len() >= enough, Ordering::SeqCst);
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let threads = (cores * BY_CORE).min(seeds.len());
            (0..threads).for_each(|_| drop(scope.spawn(work)));
        });
        let mut violation = violation.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        violation.sort_by_key(|violation| violation.seed);
        violation
    }
}
