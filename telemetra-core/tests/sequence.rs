//! The fate of each event of a partition: many lives, each from the state that the one before kept, decide as one does.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use proptest::prelude::*;
use telemetra_core::engine::{Placement, Sequencer, SequencerState};
use telemetra_core::{EventId, EventTime, TimeConfig, WindowSpec};

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
    (0u64..300, 0u64..500, any::<bool>(), prop_oneof![Just(None), Just(Some(500))]).prop_map(
        |(out_of_orderness, allowed_lateness, deduplicate, max_future_skew)| TimeConfig {
            windows: WindowSpec::sliding(30, 10).unwrap(),
            out_of_orderness,
            allowed_lateness,
            deduplicate,
            max_future_skew,
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
