//! The fate of each event of a partition: many lives, each from the state that the one before kept, decide as one does.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::engine::{Placement, Sequencer, SequencerState};
use telemetra_core::{EventId, EventTime, Fate, Fates, TimeConfig, WindowSpec};

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

/// The fate of each event by its definition, and the end at which it counts.
struct Defined {
    time: TimeConfig,
    revisable_from: EventTime,
    greatest: EventTime,
    floor: EventTime,
    /// The end of the pane in which each id was seen.
    seen: Vec<(u8, EventTime)>,
}

impl Defined {
    fn watermark(&self) -> EventTime {
        self.greatest.minus(self.time.out_of_orderness.as_millis() as u64)
    }

    fn raise_floor(&mut self, floor: EventTime) {
        self.floor = self.floor.max(floor);
        let oldest = self.floor.minus(self.time.allowed_lateness.as_millis() as u64);
        self.seen.retain(|(_, end)| *end >= oldest);
    }

    fn fate_of(&mut self, time: EventTime, id: u8) -> (Fate, EventTime) {
        let (windows, lateness) = (self.time.windows, self.time.allowed_lateness.as_millis() as u64);
        let end = windows.pane_end(time);
        if self.time.max_future_skew.is_some_and(|skew| time > NOW.plus(skew.as_millis() as u64)) {
            return (Fate::FromFuture, end);
        }
        self.greatest = self.greatest.max(time);
        self.raise_floor(windows.pane_start(self.watermark()));
        if end.plus(lateness) < self.floor || end < self.revisable_from {
            return (Fate::TooLate, end);
        }
        if self.time.deduplicate && self.seen.iter().any(|(other, _)| *other == id) {
            return (Fate::Duplicate, end);
        }
        self.seen.push((id, end));
        match end > self.floor {
            true => (Fate::OnTime, end),
            false => (Fate::LateApplied, self.floor.plus(windows.slide())),
        }
    }
}

proptest! {
    #[test]
    fn fates_are_what_they_are_defined_to_be(
        time in time(),
        from in prop_oneof![Just(0_u64), 0..100_u64],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let time = TimeConfig { max_jump: None, ..time };
        let (revisable_from, zero) = (EventTime(from * 10), EventTime::MIN);
        let mut sequencer = Sequencer::new(&time, time.strategy()).revisable_from(revisable_from);
        let mut defined = Defined { time, revisable_from, greatest: zero, floor: zero, seen: Vec::new() };
        let mut fates = Fates::default();
        for step in &steps {
            let placed = take(&mut sequencer, step);
            match *step {
                Step::Event(time, id) => {
                    let (fate, effective_end) = defined.fate_of(EventTime(time), id);
                    let pane = defined.time.windows.pane_start(EventTime(time));
                    prop_assert_eq!(placed, Some(Placement { fate, pane, effective_end }), "{:?}", step);
                    fates.count(fate);
                }
                Step::Malformed => fates.count(Fate::Malformed),
                Step::Floor(floor) => defined.raise_floor(EventTime(floor)),
            }
            prop_assert_eq!(sequencer.floor(), defined.floor);
            prop_assert_eq!((sequencer.greatest(), sequencer.watermark()), (defined.greatest, defined.watermark()));
            prop_assert_eq!(sequencer.fates(), fates);
        }
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
    let day = 86_400_000;
    assert_eq!(fates_of(&[1, day + 1, 2 * day + 2]), [OnTime, OnTime, FromFuture], "a day is no jump yet");
    let gap = [1, year, year + 60_000, year + 30_000, year + 90_000];
    assert_eq!(fates_of(&gap), [OnTime, FromFuture, FromFuture, OnTime, OnTime], "time did go on");
}
