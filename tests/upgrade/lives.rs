//! Two runs of pipelines over one input: the first is drained with its windows kept, the second goes on to the end.

use std::time::Duration;

use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::ops::{Drain, LastPlan, Pipeline, PipelineError, Report, Running};
use telemetra::sinks::MemorySink;

use crate::support::watch::{finish, until};
use crate::support::{BASE, Saying, Words, clock, small_time};

/// Records of three keys, `milliseconds` from the beginning on, one each millisecond and key, and more where it is busy.
pub fn records(milliseconds: std::ops::Range<u64>) -> Vec<String> {
    let mut records = Vec::new();
    for n in milliseconds {
        for key in 0..3 {
            let many = 1 + (n * 7 + key * 3) % 4 + if (n / 10 + key) % 13 == 0 { 9 } else { 0 };
            let line = |m| {
                format!("k{key} {} e{n}-{key}-{m} u{} {}", BASE + n, m % 3, "m".repeat(1 + m as usize % 5))
            };
            records.extend((0..many).map(line));
        }
    }
    records
}

/// Small settings of time; each event is another one.
pub fn time() -> TimeConfig {
    TimeConfig {
        windows: WindowSpec::tumbling(Duration::from_millis(10)).unwrap(),
        deduplicate: false,
        horizon: Some(Duration::from_millis(800)),
        ..small_time()
    }
}

/// The runs of a test.
pub struct Lives {
    pub folder: tempfile::TempDir,
    pub sink: MemorySink,
    pub time: TimeConfig,
}

impl Default for Lives {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sink: MemorySink::new(), time: time() }
    }
}

impl Lives {
    /// A pipeline over these records, without groupings. If the records are not all, more may come.
    pub fn pipeline(&self, records: &[String], all: bool) -> Pipeline<Saying> {
        let mut source = MemorySource::default();
        let partition = source.handle("p");
        records.iter().for_each(|record| partition.append(record.as_str()));
        if all {
            partition.end();
        }
        self.pipeline_from(source)
    }

    /// A pipeline over this source, without groupings.
    pub fn pipeline_from(&self, source: MemorySource) -> Pipeline<Saying> {
        Self::pipeline_over(source, &self.time)
            .sink(self.sink.clone())
            .checkpoints(Directory::new(self.folder.path()), Duration::from_millis(20))
    }

    /// A pipeline over this source, without groupings, sinks and checkpoints.
    pub fn pipeline_over(source: MemorySource, time: &TimeConfig) -> Pipeline<Saying> {
        Pipeline::<Saying>::new()
            .source(source, Words)
            .time(time.clone())
            .clock(clock())
            .max_watermark_drift(Duration::from_secs(10))
    }

    /// A run over these records, which is drained with its windows kept.
    pub fn first<L: LastPlan<Saying>>(
        &self,
        records: &[String],
        build: impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying, L>,
    ) -> Report {
        let running = build(self.pipeline(records, false)).start().unwrap();
        until("all is read", || running.fates().read == records.len() as u64);
        let report = running.drain(Drain::KeepWindows).unwrap();
        assert_eq!(report.unfinished, None);
        report
    }

    /// A run over all records, to the end.
    pub fn last<L: LastPlan<Saying>>(
        &self,
        records: &[String],
        build: impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying, L>,
    ) -> Report {
        finish(self.start(records, build).unwrap()).unwrap()
    }

    pub fn start<L: LastPlan<Saying>>(
        &self,
        records: &[String],
        build: impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying, L>,
    ) -> Result<Running, PipelineError> {
        build(self.pipeline(records, true)).workers(2).start()
    }

    /// The names of all blobs and the content of each.
    pub fn stored(&self) -> Vec<(String, Vec<u8>)> {
        use telemetra::core::checkpoint::CheckpointStore;
        let mut store = Directory::new(self.folder.path());
        let names = store.list().unwrap();
        names.into_iter().map(|name| (name.clone(), store.get(&name).unwrap().unwrap())).collect()
    }

    /// The time before which everything has taken effect in the newest checkpoint.
    pub fn boundary(&self) -> EventTime {
        let newest = self
            .stored()
            .into_iter()
            .rev()
            .find_map(|(name, _)| Some(EventTime(name.strip_suffix("/complete")?.parse().unwrap())));
        newest.expect("there is a checkpoint")
    }
}

/// The rows of a table as texts: the event time that each is of, its revision, and its values but for the time at which it
/// was written.
pub fn rows(sink: &MemorySink, table: &str) -> Vec<String> {
    let text = |change: &Change| {
        let time = change.row.time().unwrap_or_default();
        let mut values = vec![time.0.to_string(), change.revision.to_string()];
        change.row.values(&mut |value| values.push(format!("{value:?}")));
        values.join(", ")
    };
    sink.table(table).iter().map(text).collect()
}

/// The rows of an undisturbed run over the same records.
pub fn undisturbed<L: LastPlan<Saying>>(
    time: &TimeConfig,
    records: &[String],
    build: impl FnOnce(Pipeline<Saying>) -> Pipeline<Saying, L>,
) -> MemorySink {
    let lives = Lives { time: time.clone(), ..Lives::default() };
    lives.last(records, build);
    lives.sink
}

/// The event time that one of [`rows`] is of: the end of its window.
pub fn window_end(row: &str) -> EventTime {
    EventTime(row.split(',').next().unwrap().parse().unwrap())
}
