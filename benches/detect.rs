//! What a window costs, by detector: judged alone, and through a key's episodes.
#![allow(missing_docs, reason = "criterion's macros make public items")]

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use telemetra::core::testkit::{Noise, WatchedCounts};
use telemetra::core::{
    Baseline, ConfigError, Detector, Ewma, Model, NoveltyGap, PowerSums, RobustZScore, Side, TimeConfig,
    Tracker, Unseen, VarianceFloor, ZScore,
};

use cpu_time::CpuTime;

fn zscore(samples: u32) -> Result<ZScore, ConfigError> {
    ZScore::new(3.0)?.samples(8..=samples)?.side(Side::Upper).floor(VarianceFloor::Poisson)
}

/// One judgement by the default: of a calm window, of one that is looked at twice, of an anomalous one.
fn judge(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("zscore");
    let mut noise = Noise::new(1);
    let law = noise.law(100.0);
    for samples in [8, 30, 300] {
        let Ok(detector) = zscore(samples) else { return };
        let mut sums = PowerSums::default();
        (0..samples).for_each(|_| sums.add(noise.count(&law) as i64));
        for (name, value) in [("calm", 112), ("close", 124), ("anomalous", 400)] {
            group.bench_function(BenchmarkId::new(name, samples), |b| {
                let baseline = || Baseline { sums: black_box(sums), scale: 1, samples: &(), means: None };
                b.iter(|| detector.judge(black_box(value), &baseline()));
            });
        }
    }
}

/// A window of noise from its summary to its moments, retirement of an old one included.
fn window(c: &mut Criterion<CpuTime>) {
    type Watch = fn(&TimeConfig) -> Result<WatchedCounts, ConfigError>;
    let trackers: [(&str, Watch); 9] = [
        ("zscore_8_to_30", |time| Ok(WatchedCounts::new(time, zscore(30)?))),
        ("zscore_8_to_300", |time| Ok(WatchedCounts::new(time, zscore(300)?))),
        ("zscore_influence", |time| Ok(WatchedCounts::new(time, zscore(30)?.influence(0.1)?))),
        ("zscore_cooldown", |time| Ok(WatchedCounts::new(time, zscore(30)?.cooldown(60_000)))),
        ("robust_zscore", |time| Ok(WatchedCounts::new(time, RobustZScore::new(3.5)?.learning()))),
        ("ewma", |time| Ok(WatchedCounts::new(time, Ewma::new(3.0)?.learning()))),
        ("pewma", |time| Ok(WatchedCounts::new(time, Ewma::new(3.0)?.probabilistic(0.9)?.learning()))),
        ("novelty_gap", |time| Ok(WatchedCounts::new(time, NoveltyGap::new(0.05)?.learning()))),
        ("unseen", |time| Ok(WatchedCounts::new(time, Unseen::new(0.05)?.learning()))),
    ];
    let mut group = c.benchmark_group("window");
    group.throughput(Throughput::Elements(1));
    for (name, watch) in trackers {
        let mut noise = Noise::new(1);
        let law = noise.law(20.0);
        let counts: Vec<u64> = (0..65_536).map(|_| noise.count(&law)).collect();
        let Ok(mut watched) = watch(&TimeConfig::default()) else { continue };
        let mut next = counts.iter().cycle();
        for count in next.by_ref().take(25_000) {
            watched.pane(*count);
        }
        group.bench_function(name, |b| {
            b.iter(|| next.next().map(|count| watched.pane(black_box(*count))));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = judge, window
}
criterion_main!(benches);
