//! Bursts that follow another burst, or a change of level.

use anyhow::Result;
use comfy_table::Table;
use telemetra::core::testkit::{Noise, WatchedCounts};
use telemetra::core::{MomentRule, TimeConfig};

use super::candidates::zscore;
use super::{BURST, Options, RATES, VISIBLE, pass, table};

/// The number of panes of ten seconds in a minute.
const PER_MINUTE: u64 = 6;
/// The minutes before a burst, in panes: a third more than the default's longest baseline.
const BEFORE: u64 = 40 * PER_MINUTE;
/// The factor of a burst over the rate before it.
const FACTOR: f64 = 2.0;

/// The events before a burst: minutes at multiples of the rate, the last of which are at the usual rate.
struct Story {
    name: &'static str,
    phases: &'static [(u64, f64)],
}

const STORIES: &[Story] = &[
    Story { name: "a first burst", phases: &[] },
    Story { name: "1 minute after another", phases: &[(1, FACTOR), (1, 1.0)] },
    Story { name: "5 minutes after another", phases: &[(1, FACTOR), (5, 1.0)] },
    Story { name: "20 minutes after another", phases: &[(1, FACTOR), (20, 1.0)] },
    Story { name: "15 minutes after a rise to 4 times the rate", phases: &[(40, 0.25), (15, 1.0)] },
    Story { name: "15 minutes after a fall to a quarter", phases: &[(40, 4.0), (15, 1.0)] },
    Story { name: "15 minutes after 5 busy ones, 4 times the rate", phases: &[(5, 4.0), (15, 1.0)] },
];

/// The number of bursts that are found, with moments in baselines and without.
pub(super) fn found_again(options: &Options) -> Result<Table> {
    let mut table = table("burst");
    for story in STORIES {
        for included in [true, false] {
            let baselines = if included { "with moments in baselines" } else { "by default" };
            let mut row = vec![format!("{}, {baselines}", story.name)];
            for (seed, rate) in (options.seed + 2_000..).step_by(1_000).zip(RATES) {
                let mut found = 0;
                for burst in 0..options.bursts {
                    let rule = MomentRule::count("spike", zscore()?, |count: &u64| *count);
                    let rule = if included { rule.include_moments() } else { rule };
                    let mut watched = WatchedCounts::of_rule(&TimeConfig::default(), rule);
                    found +=
                        u64::from(is_found(&mut watched, story, rate * 10.0, &mut Noise::new(seed + burst)));
                }
                row.push(format!("{:.0} %", 100.0 * found as f64 / options.bursts.max(1) as f64));
            }
            table.add_row(row);
        }
    }
    Ok(table)
}

fn is_found(watched: &mut WatchedCounts, story: &Story, per_pane: f64, noise: &mut Noise) -> bool {
    let first = story.phases.first().filter(|(minutes, _)| minutes * PER_MINUTE >= BEFORE);
    if first.is_none() {
        pass(watched, BEFORE, &noise.law(per_pane), noise);
    }
    for (minutes, factor) in story.phases {
        pass(watched, minutes * PER_MINUTE, &noise.law(per_pane * factor), noise);
    }
    let (usual, burst) = (noise.law(per_pane), noise.law(per_pane * FACTOR));
    // The first windows may still contain events from before.
    (0..VISIBLE)
        .filter(|pane| watched.pane(noise.count(if *pane < BURST { &burst } else { &usual })).anomalous)
        .count()
        > 0
}
