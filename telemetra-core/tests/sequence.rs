//! The fate of each event of a partition: many lives, each from the state that the one before kept, decide as one does.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::engine::{Placement, Sequencer, SequencerState};
use telemetra_core::{EventId, EventTime, Fate, TimeConfig, WindowSpec};

const NOW: EventTime = EventTime(1_000_000);

/// An event's time and id, or that others made the floor of the idle partition rise.
#[derive(Clone, Debug)]
enum Step {
    Event(u64, u8),
    Malformed,
    Floor(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0u64..2_000, any::<u8>()).prop_map(|(time, id)| Step::Event(time, id)),
        1 => (0u64..2_000_000, any::<u8>()).prop_map(|(time, id)| Step::Event(time, id)),
        1 => Just(Step::Malformed),
        1 => (0u64..200).prop_map(|panes| Step::Floor(panes * 10)),
    ]
}

fn time() -> impl Strategy<Value = TimeConfig> {
    let jumps = prop_oneof![Just(None), Just(Some(300)), Just(Some(100_000))];
    (0u64..300, 0u64..500, any::<bool>(), prop_oneof![Just(None), Just(Some(500))], jumps).prop_map(
        |(out_of_orderness, allowed_lateness, deduplicate, max_future_skew, max_jump)| TimeConfig {
            windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10)).unwrap(),
            out_of_orderness: Duration::from_millis(out_of_orderness),
            allowed_lateness: Duration::from_millis(allowed_lateness),
            deduplicate,
            max_future_skew: max_future_skew.map(Duration::from_millis),
            max_jump: max_jump.map(Duration::from_millis),
            ..TimeConfig::default()
        },
    )
}

fn take(sequencer: &mut Sequencer, step: &Step) -> Option<Placement> {
    match *step {
        Step::Event(time, id) => {
            Some(sequencer.place(EventTime(time), || Some(EventId(u128::from(id))), NOW))
        }
        Step::Malformed => {
            sequencer.malformed();
            None
        }
        Step::Floor(floor) => {
            sequencer.raise_floor(EventTime(floor));
            None
        }
    }
}

proptest! {
    #[test]
    fn the_fates_of_many_lives_are_those_of_one(
        time in time(),
        steps in prop::collection::vec((step(), prop::bool::weighted(0.1)), 1..200),
    ) {
        let mut whole = Sequencer::new(&time, time.strategy());
        let mut living = Sequencer::new(&time, time.strategy());
        for (index, (step, ends)) in steps.iter().enumerate() {
            prop_assert_eq!(take(&mut living, step), take(&mut whole, step), "at {} of {:?}", index, steps);
            prop_assert_eq!((living.floor(), living.fates()), (whole.floor(), whole.fates()));
            if *ends {
                let kept = bincode::serialize(&living.state()).unwrap();
                let kept: SequencerState = bincode::deserialize(&kept).unwrap();
                living = Sequencer::new(&time, time.strategy());
                living.restore(kept);
            }
        }
        prop_assert!(whole.fates().is_balanced());
    }
}

fn fates_of(times: &[u64]) -> Vec<Fate> {
    let time = TimeConfig {
        max_future_skew: None,
        max_jump: Some(Duration::from_secs(86_400)),
        ..TimeConfig::default()
    };
    let mut sequencer = Sequencer::new(&time, time.strategy());
    times.iter().map(|time| sequencer.place(EventTime(*time), || None, NOW).fate).collect()
}

#[test]
fn a_jump_that_nothing_confirms_moves_no_watermark() {
    use Fate::{FromFuture, OnTime};
    let year = 31_536_000_000;
    assert_eq!(fates_of(&[year, 1000 + year, 2000 + year]), [OnTime; 3]);
    let mixed = [1, year, 2, 3, year + 5, year + 6, 4, year + 7, 5];
    let expected = [OnTime, FromFuture, OnTime, OnTime, FromFuture, FromFuture, OnTime, FromFuture, OnTime];
    assert_eq!(fates_of(&mixed), expected, "never three in a row");
    assert_eq!(
        fates_of(&[1, year, 9 * year, 5 * year, 2]),
        [OnTime, FromFuture, FromFuture, FromFuture, OnTime]
    );
    let gap = [1, year, year + 60_000, year + 30_000, year + 90_000];
    assert_eq!(fates_of(&gap), [OnTime, FromFuture, FromFuture, OnTime, OnTime], "time did go on");
}
