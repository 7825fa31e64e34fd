//! The last checkpoint of a run that is drained with its windows kept.

use std::time::Duration;

use telemetra::core::source::Memory as MemorySource;
use telemetra::ops::{Drain, tumbling};

use crate::lives::{Lives, records, rows, time, undisturbed};
use crate::support::watch::{finish, until};

/// Checkpoints are taken all the time, so at some of the ends some workers have arrived at one.
#[test]
fn the_last_checkpoint_is_at_the_floor_also_when_one_is_under_way() {
    let records = records(0..300);
    let group = |pipeline: telemetra::ops::Pipeline<_>| {
        pipeline.group("sayings", tumbling(Duration::from_millis(10)), |a| a.count("sayings"))
    };
    let expected = rows(&undisturbed(&time(), &records, group), "sayings");
    for round in 0..8 {
        let lives = Lives::default();
        let mut source = MemorySource::default().records_per_poll(10);
        let partition = source.handle("p");
        records.iter().for_each(|record| partition.append(record.as_str()));
        let start = || group(lives.pipeline_from(source.clone())).workers(3).checkpoint_pause(Duration::ZERO);
        let running = start().start().unwrap();
        until("some is read", || running.fates().read > 100 + 100 * round);
        let floor = running.status().partitions[0].floor;
        let report = running.drain(Drain::KeepWindows).unwrap();
        assert_eq!(report.unfinished, None);
        let boundary = lives.boundary();
        assert!(boundary > floor, "round {round}: {boundary} is not after {floor}");
        // Sinks have all that ended before.
        assert_eq!(lives.sink.durable().map(|durable| durable.plus(1)), Some(boundary), "round {round}");

        partition.end();
        let running = start().start().unwrap();
        assert_eq!(running.fates_before().read, report.fates.read, "round {round}: nothing is read again");
        finish(running).unwrap();
        assert_eq!(rows(&lives.sink, "sayings"), expected, "round {round}");
    }
}
