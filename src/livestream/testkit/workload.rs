use std::io::{self, Write};

use crate::core::{ConfigError, ExternalError, Polled, RecordBatch, Source};
use crate::livestream::generate::{Generator, GeneratorConfig};

/// The workload of the benchmarks: chat events as JSON of about 280 bytes, in order of arrival.
///
/// The [standard](Self::standard) workload has 2,000,000 events of 1,000 streams with a Zipf exponent of 0.9,
/// over 30 minutes of event time. Its events are out of order by an exponentially distributed delay of mean
/// 0.8 s; none is late, malformed or a duplicate. It is the same on every machine.
///
/// ```
/// use telemetra::livestream::testkit::Workload;
/// let mut lines = Vec::new();
/// let written = Workload::standard().streams(10).events(500).minutes(1).write_to(&mut lines)?;
/// assert_eq!(written, 500);
/// assert_eq!(lines.split_inclusive(|&byte| byte == b'\n').count(), 500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    streams: u32,
    events: u64,
    minutes: u32,
    partitions: u32,
    seed: u64,
}

impl Workload {
    /// Creates the standard workload: 2,000,000 events, 1,000 streams, 30 minutes, one partition.
    #[must_use]
    pub fn standard() -> Self {
        Self { streams: 1000, events: 2_000_000, minutes: 30, partitions: 1, seed: 1 }
    }

    /// Sets the number of streams.
    #[must_use]
    pub fn streams(self, streams: u32) -> Self {
        Self { streams, ..self }
    }

    /// Sets the number of events; exactly this many are generated.
    #[must_use]
    pub fn events(self, events: u64) -> Self {
        Self { events, ..self }
    }

    /// Sets the length of event time.
    #[must_use]
    pub fn minutes(self, minutes: u32) -> Self {
        Self { minutes, ..self }
    }

    /// Sets the number of partitions, for [`source`](Self::source).
    #[must_use]
    pub fn partitions(self, partitions: u32) -> Self {
        Self { partitions, ..self }
    }

    /// Sets the seed: other events of the same kind.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Returns the workload as a source, which generates the events as they are read.
    ///
    /// # Errors
    ///
    /// If a number is 0 or too great.
    pub fn source(&self) -> Result<Generator, ConfigError> {
        let seconds = f64::from(self.minutes) * 60.0;
        Generator::new(GeneratorConfig {
            seed: self.seed,
            streams: self.streams,
            partitions: self.partitions,
            duration_ms: u64::from(self.minutes) * 60_000,
            events_per_second: if seconds > 0.0 { self.events as f64 / seconds } else { 0.0 },
            ..GeneratorConfig::chat_only()
        })
    }

    /// Writes all events, one per line, and returns their number. Several partitions follow one another.
    ///
    /// # Errors
    ///
    /// If a number is 0 or too great, or `out` cannot be written.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        self.each_batch(|batch| {
            for record in batch.records() {
                out.write_all(batch.bytes_of(record))?;
                out.write_all(b"\n")?;
                written += 1;
            }
            Ok(())
        })?;
        Ok(written)
    }

    /// Returns all events in memory, one per line: 560 MB for the standard workload.
    ///
    /// # Errors
    ///
    /// If a number is 0 or too great.
    pub fn records(&self) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        self.write_to(&mut lines)?;
        Ok(lines)
    }

    fn each_batch(&self, mut visit: impl FnMut(&RecordBatch) -> io::Result<()>) -> io::Result<()> {
        let outside = |error: ExternalError| io::Error::other(error);
        let mut source = self.source().map_err(io::Error::other)?;
        let mut batch = RecordBatch::default();
        for id in source.partitions().map_err(outside)? {
            let mut partition = source.open(&id, None).map_err(outside)?;
            while partition.poll(&mut batch).map_err(outside)? != Polled::Done {
                visit(&batch)?;
                batch.clear();
            }
        }
        Ok(())
    }
}
