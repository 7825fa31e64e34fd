//! The partitions of a process together: how they begin, what they add up to, and what checkpoints keep.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::checkpoint::{CheckpointStore, encode};
use telemetra_core::{BoundedOutOfOrderness, EventTime, PartitionId, WatermarkStrategy, WindowSpec};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{FloorBlob, Raise, Raises, RestoredFloors, floors_name};
use crate::read::ingress::{Floors, Ingress, IngressConfig, Shared, lock};
use crate::read::partition::OpenPartition;
use crate::read::scripted::{Script, Word, config, resumed, shared};
use crate::support::failure::Failure;
use crate::support::retry::RetryDeadline;
use crate::testkit::world::MemoryStore;

fn id(name: &str) -> PartitionId {
    PartitionId::new(name)
}

fn raise(offset: u64, floor: u64) -> Raise {
    Raise { offset, floor: EventTime(floor) }
}

/// Sequences events of these times in a partition.
fn place(shared: &Shared, partition: usize, times: &[u64]) {
    let reader = Arc::clone(&shared.readers.read()[partition]);
    let number = lock(&reader.state).taken;
    lock(&reader.state).taken += 1;
    shared.sequence(&reader, number, |sequencer, _, now| {
        for time in times {
            let _ = sequencer.place(EventTime(*time), || None, now);
        }
    });
}

fn end(shared: &Shared, partition: usize) {
    lock(&shared.readers.read()[partition].state).exhausted = true;
    place(shared, partition, &[]);
}

/// The first floors of a run that knows these raises; and its log.
fn floors(is_known: bool, exact_after: Option<u64>, raises: Raises) -> (Floors, Arc<FloorLog>) {
    let log = Arc::new(FloorLog::new(String::new()));
    let restored = RestoredFloors { is_known, raises, exact_after: exact_after.map(EventTime) };
    (Floors { log: Arc::clone(&log), restored, patience: Duration::ZERO }, log)
}

/// The floors that a restart would find in a log.
fn found(blob: &FloorBlob) -> RestoredFloors {
    let mut store = MemoryStore::default();
    store.put(&floors_name(0), &encode(blob).unwrap()).unwrap();
    let deadline = RetryDeadline::new(Duration::ZERO, &Failure::default());
    RestoredFloors::read(&mut store, &[String::new()], None, &deadline).unwrap()
}

fn logged(log: &FloorLog) -> RestoredFloors {
    found(&log.unwritten().unwrap().1)
}

#[test]
fn reading_may_be_two_minutes_ahead_or_two_panes() {
    assert_eq!(IngressConfig::default().drift(), 120_000);
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let mut config = config();
    config.time.windows = WindowSpec::tumbling(hours(1)).unwrap();
    assert_eq!(config.drift(), 7_200_000);
    config.max_watermark_drift = Some(hours(3));
    assert_eq!(config.drift(), 10_800_000);
    config.watermarks = Some(Arc::new(|id| {
        assert_eq!(id.as_str(), "a");
        Box::new(BoundedOutOfOrderness::new(Duration::from_millis(7)))
    }));
    let watermark = |mut strategy: Box<dyn WatermarkStrategy>| {
        strategy.observe(EventTime(100));
        strategy.watermark()
    };
    assert_eq!(watermark(config.strategy(&id("a"))), EventTime(93));
    config.watermarks = None;
    assert_eq!(watermark(config.strategy(&id("a"))), EventTime(100), "by the settings of time");
}

#[test]
fn counters_of_partitions_add_up_and_each_states_its_lag() {
    let shared = shared(config(), vec![Script::default().open("a"), Script::default().open("b")]);
    place(&shared, 0, &[95, 96, 12]);
    place(&shared, 1, &[35]);
    assert_eq!((shared.floor(), shared.greatest_floor()), (EventTime(30), EventTime(90)));
    assert_eq!(shared.status().iter().map(|one| one.behind).collect::<Vec<_>>(), [0, 61]);
    let ingress = Ingress::<Word> { shared: Arc::clone(&shared), decoders: Arc::new([]) };
    let fates = ingress.clone().fates();
    assert_eq!((fates.read, fates.on_time, fates.too_late), (4, 3, 1));
    assert_eq!((shared.fates(), ingress.status()), (fates, shared.status()));
    assert_eq!(shared.fates_before.read, 0);
    end(&shared, 1);
    assert_eq!((shared.floor(), shared.greatest_floor()), (EventTime(90), EventTime(90)));
}

#[test]
fn a_restart_knows_what_was_counted_and_sends_nothing_before_the_checkpoint() {
    let before = shared(config(), vec![Script::default().open("a"), Script::default().open("b")]);
    place(&before, 0, &[95]);
    place(&before, 1, &[35, 36]);
    let kept = before.keep(EventTime(60));
    let open = kept.into_iter().zip([true, false]).map(|(kept, ended)| OpenPartition {
        sequencer: Some(kept.sequencer),
        ended,
        ..Script::default().open(kept.id.as_str())
    });
    let shared = resumed(config(), open.collect(), Some(60), None);
    assert_eq!((shared.fates_before.read, shared.fates()), (3, before.fates()));
    assert_eq!((shared.floor(), shared.greatest_floor()), (EventTime(60), EventTime(60)));
    assert!(shared.add(Script::default().open("c")));
    assert_eq!(shared.status()[2].floor, EventTime(60));
}

#[test]
fn a_partition_that_is_added_joins_at_the_last_floor() {
    let (floors, log) = floors(true, None, Raises::new());
    let shared = resumed(config(), vec![Script::default().open("a")], None, Some(floors));
    place(&shared, 0, &[95]);
    assert_eq!(shared.floor(), EventTime(90));
    let mut known = Vec::new();
    shared.refresh(&mut known);
    assert!(shared.add(Script::default().open("b")));
    assert_eq!(shared.status()[1].floor, EventTime(90));
    assert!(shared.takes_floors() && !shared.takes_floors(), "its beginning is logged");
    assert_eq!(logged(&log).raises, [(id("b"), vec![raise(0, 90)])].into());
    shared.refresh(&mut known);
    assert_eq!(known.iter().map(|reader| reader.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn without_checkpoints_no_floor_is_logged() {
    let shared = shared(config(), vec![Script::default().open("a")]);
    shared.begin_after(EventTime(55));
    assert!(!shared.takes_floors());
    assert_eq!(shared.floor(), EventTime::MIN);
    assert!(shared.add(Script::default().open("b")));
    assert_eq!(shared.status()[1].floor, EventTime(60), "what joins is behind the sinks");
}

#[test]
fn what_joins_at_a_start_begins_behind_the_sinks_if_there_was_a_run_before() {
    for (resume, is_known, expected) in [(None, false, 0), (None, true, 60), (Some(20), false, 60)] {
        let (floors, log) = floors(is_known, None, Raises::new());
        let shared = resumed(config(), vec![Script::default().open("a")], resume, Some(floors));
        shared.begin_after(EventTime(55));
        assert_eq!(shared.floor(), EventTime(expected), "{resume:?} {is_known}");
        assert_eq!(shared.greatest_floor(), EventTime(expected));
        assert_eq!(logged(&log).raises, [(id("a"), vec![raise(0, expected)])].into());
        assert!(shared.takes_floors());
        shared.begin_after(EventTime(99));
        assert!(!shared.takes_floors(), "it begins once");
    }
    let (floors, _) = floors(true, None, Raises::new());
    let shared = resumed(config(), vec![Script::default().open("a")], None, Some(floors));
    shared.begin_after(EventTime::MIN);
    assert_eq!(shared.floor(), EventTime::MIN, "no sink has anything");
}

#[test]
fn raises_of_other_processes_are_kept_and_sinks_beyond_the_log_are_exact_no_more() {
    let raises = || Raises::from([(id("a"), vec![raise(0, 0)]), (id("theirs"), vec![raise(4, u64::MAX)])]);
    for (exact_after, durable, expected, is_exact) in [
        (Some(30), 55, 30, true),
        (Some(55), 55, 55, false),
        (Some(70), 55, 70, false),
        (None, 55, 55, false),
    ] {
        let (floors, log) = floors(true, exact_after, raises());
        let shared = resumed(config(), vec![Script::default().open("a")], None, Some(floors));
        shared.begin_after(EventTime(durable));
        let found = logged(&log);
        assert_eq!(found.exact_after, Some(EventTime(expected)), "{exact_after:?}");
        let theirs = vec![raise(4, 60)];
        assert_eq!(found.raises, [(id("a"), vec![raise(0, 0)]), (id("theirs"), theirs)].into());
        let reader = Arc::clone(&shared.readers.read()[0]);
        let mut guard = lock(&reader.state);
        let state = &mut *guard;
        assert_eq!(state.floors.may_raise(EventTime(40)), !is_exact);
        assert!(
            state.floors.may_raise(EventTime(50)),
            "sinks have everything before, and not all of that pane"
        );
        assert!(!state.floors.is_settled(&mut state.sequencer), "the log is not written");
        log.written(log.unwritten().unwrap().0);
        assert!(state.floors.is_settled(&mut state.sequencer));
    }
}

#[test]
fn a_complete_checkpoint_is_committed_to_partitions_with_their_offsets_at_the_cut() {
    let scripts = [Script::default(), Script::default()];
    let open = scripts.iter().zip(["a", "b"]).map(|(script, name)| script.open(name));
    let (floors, log) = floors(false, None, Raises::new());
    let shared = resumed(config(), open.collect(), None, Some(floors));
    for cut in 1..=4 {
        scripts[0].lock().offset = cut;
        scripts[1].lock().offset = 10 * cut;
        let kept = shared.keep(EventTime(cut));
        assert_eq!(kept.iter().map(|kept| kept.offset).collect::<Vec<_>>(), [cut, 10 * cut]);
    }
    let committed = || scripts.each_ref().map(|script| script.lock().committed.clone());
    shared.commit(EventTime(2));
    assert_eq!(committed(), [vec![2], vec![20]]);
    shared.commit(EventTime(1));
    shared.commit(EventTime(2));
    assert_eq!(committed(), [vec![2], vec![20]], "an earlier one is of no use any more");
    shared.commit(EventTime(4));
    shared.commit(EventTime(3));
    assert_eq!(committed(), [vec![2, 4], vec![20, 40]]);
    for offset in [2, 3] {
        log.raise(&id("a"), raise(offset, 90));
    }
    log.prune(EventTime(3));
    assert_eq!(logged(&log).raises, [(id("a"), vec![raise(3, 90)])].into(), "the log knows the cuts");
}
