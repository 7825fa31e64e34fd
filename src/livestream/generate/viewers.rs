//! The numbers of viewers: a random walk around each stream's own level, changed by planted moments.

use super::plan::{Plan, TICK};
use super::planted::{Effect, Plant};
use super::random::{Chance, Random, mix};

/// One report of a stream's viewers.
#[derive(Copy, Clone, Debug)]
pub(super) struct Audience {
    pub(super) now: u32,
    pub(super) unique: u32,
    pub(super) peak: u32,
}

/// The viewers of the streams of one partition.
#[derive(Default)]
pub(super) struct Viewers {
    /// The streams, by the second of the interval in which they report.
    by_second: Vec<Vec<Walk>>,
    leaps: Leaps,
}

/// The probabilities that a report is the first one of a raid, or of a drop.
#[derive(Copy, Clone, Default)]
struct Leaps {
    raid: Chance,
    drop: Chance,
}

struct Walk {
    stream: u32,
    level: i64,
    /// The distance of the walk from its level.
    strayed: i64,
    unique: u32,
    peak: u32,
    random: Random,
}

impl Viewers {
    pub(super) fn new(plan: &Plan, partition: usize) -> Self {
        let interval = plan.config.viewer_interval_ms / TICK;
        let mut by_second: Vec<Vec<Walk>> = Vec::new();
        by_second.resize_with(interval as usize, Vec::new);
        for &stream in plan.shares[partition].streams.iter().filter(|_| interval > 0) {
            let seed = mix(plan.config.seed ^ mix(u64::from(stream)));
            // The number is proportional to the chat, plus a few viewers who do not write.
            let level = 40 + plan.weights[stream as usize] as i64 / (plan.weights[0] as i64 / 20_000 + 1);
            let walk = Walk { stream, level, strayed: 0, unique: 0, peak: 0, random: Random::new(seed) };
            by_second[(seed % interval) as usize].push(walk);
        }
        let of_report = |per_hour: f64| {
            Chance::new((per_hour * plan.config.viewer_interval_ms as f64 / 3_600_000.0).min(0.5))
        };
        let leaps = Leaps {
            raid: of_report(plan.config.raids_per_hour),
            drop: of_report(plan.config.drops_per_hour),
        };
        Self { by_second, leaps }
    }

    /// Calls `report` for each stream that reports in this second, which is the second `in_act` of its act.
    pub(super) fn report(
        &mut self,
        plan: &Plan,
        plants: &[Plant],
        tick: u64,
        in_act: u64,
        mut report: impl FnMut(u32, Audience),
    ) {
        let interval = plan.config.viewer_interval_ms / TICK;
        let Some(walks) =
            tick.checked_rem(interval).and_then(|second| self.by_second.get_mut(second as usize))
        else {
            return;
        };
        let leaps = self.leaps;
        for walk in walks {
            let milli = plants
                .iter()
                .find(|plant| {
                    plant.stream == walk.stream
                        && matches!(plant.effect, Effect::ViewerSurge | Effect::ViewerDrop)
                        && plant.is_active(in_act)
                })
                .map_or(1000, |plant| plant.milli);
            report(walk.stream, walk.step(milli, leaps));
        }
    }
}

impl Walk {
    /// One step of the walk: an eighth of the way back to the level, plus a random part of up to a fortieth,
    /// or of single viewers.
    fn step(&mut self, milli: u64, leaps: Leaps) -> Audience {
        let noise = self.level / 40 + self.level.isqrt();
        let chance = self.random.below(noise as u64 + 1) + self.random.below(noise as u64 + 1);
        self.strayed += chance as i64 - noise - self.strayed / 8;
        // No random number is drawn where nothing depends on it, so that all other numbers stay the same.
        if leaps.raid.0 > 0 && self.random.happens(leaps.raid) {
            self.strayed += self.level * self.random.between(50, 200) as i64 / 100;
        }
        if leaps.drop.0 > 0 && self.random.happens(leaps.drop) {
            self.strayed -= self.level * self.random.between(25, 75) as i64 / 100;
        }
        let usual = (self.level + self.strayed).max(0) as u64;
        let now = u32::try_from(usual * milli / 1000).unwrap_or(u32::MAX);
        self.unique = if self.unique == 0 { now } else { self.unique.saturating_add(now / 100) }.max(now);
        self.peak = self.peak.max(now);
        Audience { now, unique: self.unique, peak: self.peak }
    }
}
