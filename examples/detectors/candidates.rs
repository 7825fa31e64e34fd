use telemetra::core::testkit::WatchedCounts;
use telemetra::core::{
    ConfigError, Detector, Ewma, Model, NoveltyGap, RobustZScore, Side, TimeConfig, Tracker, Unseen,
    VarianceFloor, ZScore,
};

/// A detector with a name, as in a rule for counts.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) watch: fn(&TimeConfig) -> Result<WatchedCounts, ConfigError>,
}

impl Candidate {
    pub(crate) const ALL: &'static [Self] = &[
        Self { name: "ZScore", watch: |time| Ok(WatchedCounts::new(time, zscore()?)) },
        Self {
            name: "ZScore, influence 0.1",
            watch: |time| Ok(WatchedCounts::new(time, zscore()?.influence(0.1)?)),
        },
        Self {
            name: "ZScore, hysteresis 2",
            watch: |time| Ok(WatchedCounts::new(time, zscore()?.hysteresis(2.0)?)),
        },
        Self {
            name: "ZScore, min_duration 2",
            watch: |time| Ok(WatchedCounts::new(time, zscore()?.min_duration(2)?)),
        },
        Self {
            name: "ZScore, cooldown 10 min",
            watch: |time| Ok(WatchedCounts::new(time, zscore()?.cooldown(600_000))),
        },
        Self { name: "RobustZScore", watch: |time| Ok(WatchedCounts::new(time, robust()?.learning())) },
        Self { name: "Ewma", watch: |time| Ok(WatchedCounts::new(time, ewma()?.learning())) },
        Self {
            name: "Ewma, probabilistic 0.9",
            watch: |time| Ok(WatchedCounts::new(time, ewma()?.probabilistic(0.9)?.learning())),
        },
        Self {
            name: "NoveltyGap 0.05",
            watch: |time| Ok(WatchedCounts::new(time, NoveltyGap::new(0.05)?.side(Side::Upper).learning())),
        },
        Self {
            name: "Unseen 0.05",
            watch: |time| Ok(WatchedCounts::new(time, Unseen::new(0.05)?.side(Side::Upper).learning())),
        },
        Self {
            name: "all(ZScore, Unseen 0.01)",
            watch: |time| {
                let unseen = Unseen::new(0.01)?.side(Side::Upper).learning();
                Ok(WatchedCounts::new(time, zscore()?.all(unseen)))
            },
        },
        Self {
            name: "max(ZScore, Ewma)",
            watch: |time| Ok(WatchedCounts::new(time, zscore()?.max(ewma()?.learning()))),
        },
    ];
}

pub(super) fn zscore() -> Result<ZScore, ConfigError> {
    ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)
}

fn robust() -> Result<RobustZScore, ConfigError> {
    RobustZScore::new(3.5)?.side(Side::Upper).floor(VarianceFloor::Poisson)
}

fn ewma() -> Result<Ewma, ConfigError> {
    Ewma::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)
}
