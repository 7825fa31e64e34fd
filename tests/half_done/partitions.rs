//! Partitions that come into being while a checkpoint is under way.

use crate::support::watch::until;
use crate::support::*;
use crate::world::World;

#[test]
fn one_that_is_found_when_a_worker_has_kept_its_part_is_in_the_checkpoint() {
    let mut world = World::<0>::new();
    let running = world.begun(2);
    // One partition is past the checkpoint, and a batch of it is held by one of the two workers.
    world.write(1, 120, 240);
    let read = world.len();
    until("it is read", || running.fates().read == read);
    world.gates.decoder.shut();
    world.append(1, format!("k0 {} held held m", BASE + 240));
    until("a worker is held", || world.gates.decoder.holds());
    world.write(0, 120, 240);
    world.half_done();
    world.grow(&running);
    world.gates.decoder.open();
    world.stop(running);
    assert_eq!(world.handles[2].committed(), 0, "nothing of it was read");
    world.goes_on((2, 1));
}

/// The second worker keeps its part after it has seen the partition, whose floor may be logged by then or not: some of it is read, or
/// nothing.
#[test]
fn one_that_is_found_before_the_second_worker_keeps_its_part_goes_on_from_the_checkpoint() {
    let mut world = World::<1>::new();
    let running = world.begun(1);
    world.gates.worker.shut();
    world.write(0, 120, 140);
    until("a worker is held", || world.gates.worker.holds());
    world.write(0, 140, 240);
    world.half_done();
    world.grow(&running);
    world.gates.worker.open();
    world.stop(running);
    world.goes_on((2, 1));
}

#[test]
fn one_that_is_found_before_a_checkpoint_is_complete_is_new_after_it() {
    let mut world = World::<2>::new();
    let running = world.begun(1);
    world.gates.sink.shut();
    world.write(0, 120, 240);
    until("the sink does not return", || world.gates.sink.holds());
    world.half_done();
    world.grow(&running);
    let read = world.len();
    until("it is read", || running.fates().read == read);
    world.gates.sink.open();
    // Nothing of it is in what the sink has.
    world.stop_ahead(running, 219);
    assert_eq!(world.handles[1].committed(), 0);
    world.goes_on((2, 2));
}

#[test]
fn one_of_which_the_sink_has_something_is_new_after_a_checkpoint_without_it() {
    let mut world = World::<3>::new();
    let running = world.begun(1);
    world.gates.sink.shut();
    world.write(0, 120, 240);
    until("the sink does not return", || world.gates.sink.holds());
    world.grow(&running);
    world.gates.sink.open();
    (0..2).for_each(|partition| world.write(partition, 260, 320));
    world.stop_ahead(running, 299);
    assert_eq!(world.handles[1].committed(), 0);
    world.continues_from(320).goes_on((2, 2));
}

#[test]
fn one_that_comes_into_being_between_two_lives_begins_after_what_the_sink_has() {
    let mut world = World::<4>::new();
    let running = world.begun(1);
    world.write(0, 120, 320);
    world.stop_ahead(running, 299);
    world.add(100, 320);
    world.continues_from(320).goes_on((1, 1));
}

/// The process that reads it has no sink, and cannot know how far that is but from the other.
#[test]
fn one_that_another_process_reads_begins_after_what_the_sink_has() {
    let mut world = World::<5>::new();
    let running = world.begun(1);
    world.write(0, 120, 320);
    world.stop_ahead(running, 299);
    world.add(100, 320);
    world.continues_from(320).goes_on_in(2, (1, 1));
}
