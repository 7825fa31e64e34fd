//! The checkpoint trigger, one call after the other; `tests/model.rs` checks its interleavings.

use std::time::Duration;

use telemetra_core::EventTime;

use crate::checkpoint::trigger::{Arrival, CheckpointTrigger};

const INTERVAL: u64 = 60_000;
const SLIDE: u64 = 5_000;
/// The greatest floor that partitions have noted.
const GREATEST: EventTime = EventTime(65_000);
/// The boundary before, of which there is a checkpoint.
const LAST: Option<EventTime> = Some(EventTime(60_000));

/// The trigger of one worker.
fn trigger(slide: u64, restored: Option<EventTime>) -> CheckpointTrigger {
    CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 1, slide, restored)
}

/// A checkpoint at 120,000, and none at 180,000, as that comes within the pause. Then the pause has passed.
fn pass_over(trigger: &mut CheckpointTrigger) {
    for arrival in [Arrival::Keep, Arrival::KeepAll] {
        let cut = EventTime(120_000);
        assert_eq!(trigger.limit(cut, GREATEST), (cut, Some(cut)));
        assert_eq!(trigger.arrive(cut, cut), arrival);
    }
    trigger.release(EventTime(120_000), EventTime(120_000));
    trigger.pause = Duration::MAX;
    let (cut, floor) = (EventTime(180_000), EventTime(185_000));
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)));
    assert_eq!(trigger.arrive(cut, floor), Arrival::Skip);
    assert_eq!(trigger.limit(floor, GREATEST), (floor, None), "the pause has not passed");
    trigger.pause = Duration::ZERO;
}

#[test]
fn a_checkpoint_that_the_pause_held_back_is_taken_when_it_has_passed() {
    let mut trigger = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 2, SLIDE, LAST);
    let _ = trigger.limit(GREATEST, GREATEST);
    pass_over(&mut trigger);
    // A worker that has seen less than others were given cannot say where everything was sent.
    assert_eq!(trigger.limit(EventTime(180_000), GREATEST), (EventTime(180_000), None));
    let (floor, cut) = (EventTime(185_000), EventTime(185_001));
    for arrival in [Arrival::Keep, Arrival::KeepAll] {
        assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)));
        assert_eq!(trigger.arrive(cut, floor), arrival);
    }
    trigger.release(cut, floor);
    assert_eq!(trigger.limit(floor, GREATEST), (floor, None), "one is enough");
    let next = EventTime(240_000);
    assert_eq!(trigger.limit(EventTime(250_000), GREATEST), (next, Some(next)));
}

#[test]
fn the_first_checkpoint_is_at_the_boundary_before_the_first_floor() {
    let trigger = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 1, SLIDE, None);
    let cut = EventTime(60_000);
    assert_eq!(trigger.limit(GREATEST, GREATEST), (cut, Some(cut)));
    let restored = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 1, SLIDE, LAST);
    assert_eq!(restored.limit(GREATEST, GREATEST), (GREATEST, None), "there is one of that");
}

#[test]
fn no_boundary_is_chosen_before_there_is_a_floor() {
    let trigger = trigger(SLIDE, None);
    assert_eq!(trigger.limit(EventTime::MIN, EventTime::MIN), (EventTime::MIN, None));
    let cut = EventTime(240_000);
    assert_eq!(trigger.limit(EventTime(250_000), GREATEST), (cut, Some(cut)));
}

#[test]
fn a_checkpoint_that_was_held_back_is_not_taken_while_a_worker_waits_at_the_next() {
    let mut trigger = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 2, SLIDE, LAST);
    let _ = trigger.limit(GREATEST, GREATEST);
    pass_over(&mut trigger);
    let (cut, floor) = (EventTime(240_000), EventTime(245_000));
    trigger.pause = Duration::MAX;
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)));
    trigger.pause = Duration::ZERO;
    assert_eq!(trigger.arrive(cut, floor), Arrival::Keep);
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)), "the other worker joins it");
    assert!(!trigger.is_released(cut));
}

#[test]
fn at_the_end_a_worker_cuts_where_another_waits() {
    let trigger = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 2, SLIDE, LAST);
    let (cut, floor) = (EventTime(120_000), EventTime(125_000));
    let _ = trigger.limit(GREATEST, GREATEST);
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)));
    assert_eq!(trigger.arrive(cut, floor), Arrival::Keep);
    assert_eq!(trigger.limit(EventTime::MAX, GREATEST), (cut, Some(cut)));
    assert_eq!(trigger.arrive(cut, EventTime::MAX), Arrival::KeepAll);
    trigger.release(cut, EventTime::MAX);
    // Beyond, nothing takes effect: one goes, and so nobody cuts any more, whatever floor it has seen.
    assert_eq!(trigger.limit(EventTime::MAX, GREATEST), (EventTime::MAX, None));
    assert_eq!(trigger.limit(EventTime(185_000), GREATEST), (EventTime(185_000), None));
    assert_eq!(trigger.arrive(EventTime(180_000), EventTime(185_000)), Arrival::Skip);
    assert_eq!(trigger.close(|| EventTime(185_000)), None);
}

#[test]
fn a_last_checkpoint_is_taken_at_the_floor_after_the_one_under_way() {
    let trigger = CheckpointTrigger::new(Some(INTERVAL), Duration::ZERO, 2, SLIDE, LAST);
    let (cut, floor, last) = (EventTime(120_000), EventTime(125_000), EventTime(125_001));
    let _ = trigger.limit(GREATEST, GREATEST);
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)));
    assert_eq!(trigger.arrive(cut, floor), Arrival::Keep);
    assert_eq!(trigger.close(|| floor), Some(last));
    assert!(!trigger.is_released(cut));
    assert_eq!(trigger.limit(floor, GREATEST), (cut, Some(cut)), "the other worker joins it");
    assert_eq!(trigger.arrive(cut, floor), Arrival::KeepAll);
    trigger.release(cut, floor);
    assert!(trigger.is_released(cut));
    for arrival in [Arrival::Keep, Arrival::KeepAll] {
        assert_eq!(trigger.limit(floor, GREATEST), (last, Some(last)));
        assert_eq!(trigger.arrive(last, floor), arrival);
    }
    trigger.release(last, floor);
    assert!(!trigger.is_released(last), "nobody goes on after the last one");
}

#[test]
fn at_the_end_there_is_a_checkpoint_of_what_none_has_if_one_was_asked_for() {
    let end = GREATEST.plus(1);
    let at_the_end = |trigger: CheckpointTrigger| trigger.limit(EventTime::MAX, GREATEST);
    assert_eq!(at_the_end(trigger(SLIDE, LAST).with_cut_at_the_end(true)), (end, Some(end)));
    let nothing = (EventTime::MAX, None);
    assert_eq!(at_the_end(trigger(SLIDE, LAST).with_cut_at_the_end(false)), nothing);
    assert_eq!(
        at_the_end(trigger(SLIDE, Some(end)).with_cut_at_the_end(true)),
        nothing,
        "there is one of that"
    );
    assert_eq!(
        at_the_end(trigger(1, LAST).with_cut_at_the_end(true)),
        nothing,
        "something may take effect there"
    );
    let without = CheckpointTrigger::new(None, Duration::ZERO, 1, SLIDE, None).with_cut_at_the_end(true);
    assert_eq!(at_the_end(without), nothing);
}

#[test]
fn a_boundary_after_the_end_is_not_waited_for() {
    let trigger = trigger(SLIDE, LAST);
    assert_eq!(trigger.limit(GREATEST, GREATEST), (GREATEST, None));
    assert_eq!(trigger.limit(EventTime::MAX, GREATEST), (EventTime::MAX, None));
}

#[test]
fn a_cut_just_after_the_floor_waits_for_the_floor_to_come_near() {
    let trigger = trigger(SLIDE, LAST);
    let floor = EventTime(100_000);
    assert_eq!(trigger.limit(GREATEST, GREATEST), (GREATEST, None));
    assert_eq!(trigger.close(|| floor), Some(EventTime(100_001)));
    let far = EventTime(95_000);
    assert_eq!(trigger.limit(far, GREATEST), (far, None), "a worker has not seen as much");
    assert_eq!(trigger.limit(floor, GREATEST).1, Some(EventTime(100_001)));
}

#[test]
fn boundaries_in_a_gap_of_the_data_are_passed_over_but_for_the_last() {
    let trigger = trigger(SLIDE, LAST);
    let cut = |floor, cut| {
        assert_eq!(trigger.limit(EventTime(floor), GREATEST), (EventTime(cut), Some(EventTime(cut))));
        assert_eq!(trigger.arrive(EventTime(cut), EventTime(floor)), Arrival::KeepAll);
        trigger.release(EventTime(cut), EventTime(floor));
    };
    assert_eq!(trigger.limit(GREATEST, GREATEST), (GREATEST, None));
    cut(1_000_000, 120_000);
    cut(1_000_000, 960_000);
    cut(1_020_000, 1_020_000);
}
