//! The pipeline of the live-stream job: its groupings, tables and rules.

use std::time::Duration;

use crate::core::{ConfigError, MomentRule, Side, VarianceFloor, ZScore};
use crate::livestream::summarize::OFF_AIR;
use crate::livestream::{
    ChatAggregate, Event, LiveEvents, StreamId, StreamPatch, StreamRows, TransactionRow, ViewerRow,
    chat_aggregate, chat_migration, moment_layout, summary_layout,
};
use crate::ops::{Group, OwnKey, Pipeline, WindowKind, sliding};

/// The windows of `chat_burst`.
const BURST_WINDOW: Duration = Duration::from_secs(30);
const BURST_SLIDE: Duration = Duration::from_secs(10);

/// A pipeline over live-stream events whose last grouping is `chat_summary_minute`.
pub type LiveStreams = Pipeline<LiveEvents, Group<LiveEvents, StreamId, ChatAggregate, OwnKey>>;

/// The version of the state of `chat_summary_minute`.
const VERSION: u32 = 1;

/// The options of the live-stream pipeline, for [`pipeline_with`]. By default all are off.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct LiveOptions {
    /// Whether the [words of messages are counted](ChatAggregate::words), so that the explanation of a moment
    /// contains the words that became frequent.
    pub words: bool,
    /// The threshold of the rule for [short bursts](pipeline_with_short_bursts); `None` leaves the rule out.
    pub short_bursts: Option<f64>,
}

/// Creates the pipeline of the live-stream domain: it aggregates [`Event`](super::Event)s by stream and window, and has
/// the tables `streams`, `viewer_timeseries`, `transactions`, `chat_summary_minute` and `moments`. Add sources, rules
/// (such as [`default_rules`](super::default_rules)) and sinks to it, and start it.
///
/// The [settings of time](Pipeline::time) set the windows; by default they have a length of one minute and slide by ten
/// seconds.
///
/// ```
/// use telemetra::livestream::{self, JsonDecoder, default_rules};
/// use telemetra::prelude::*;
///
/// let record = r#"{"event_id": "1", "timestamp": "2026-01-01T12:00:00Z", "stream_id": "ada", "viewer_count": 42}"#;
/// let tables = MemorySink::new();
/// let report = livestream::pipeline()
///     .source(MemorySource::default().partition("viewer", [record]), JsonDecoder::mixed())
///     .rules(default_rules(3.0)?)
///     .sink(tables.clone())
///     .start()?
///     .wait()?;
/// assert_eq!(report.fates.on_time, 1);
/// assert_eq!(tables.table("viewer_timeseries").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn pipeline() -> LiveStreams {
    finish(begin().rows(TransactionRow::of), false)
}

/// Creates the pipeline of the live-stream domain with options; [`pipeline`] has the defaults.
///
/// # Errors
///
/// If the threshold of short bursts cannot work, as [`ZScore::new`] finds.
///
/// ```
/// use telemetra::livestream::{self, LiveOptions};
/// let pipeline = livestream::pipeline_with(LiveOptions { words: true, ..LiveOptions::default() })?;
/// # Ok::<(), telemetra::core::ConfigError>(())
/// ```
pub fn pipeline_with(options: LiveOptions) -> Result<LiveStreams, ConfigError> {
    let Some(threshold) = options.short_bursts else {
        return Ok(finish(begin().rows(TransactionRow::of), options.words));
    };
    let detector = ZScore::new(threshold)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
    let rule = MomentRule::count("chat_burst", detector, |messages: &u64| *messages);
    let bursts = begin()
        .group("chat_burst_windows", sliding(BURST_WINDOW, BURST_SLIDE), |a| a.count("messages"))
        .key_columns(["stream_id"])
        .filter(|event| matches!(event, Event::Chat(_)))
        .unpublished()
        .rules([rule.absent_after(OFF_AIR)])
        .moments_table("chat_bursts");
    Ok(finish(bursts.rows(TransactionRow::of), options.words))
}

/// Creates the pipeline of the live-stream domain with a second rule for bursts of chat that are shorter than its
/// windows: `chat_burst`, over windows of 30 seconds that slide by ten, with a baseline of up to 15 minutes. The
/// moments of this rule are in a table of their own, `chat_bursts`, with the columns of `moments`.
///
/// At the same rate of false alarms the rule finds more bursts of 20 seconds than `chat_spike` (53 % instead of
/// 37 %, for bursts of 1.5 times the rate at three messages a second), as many of 40, and fewer of a minute or
/// longer; both rules find most bursts. So use it where such short bursts matter, for example to find places
/// to cut a video. Its windows are fixed, whatever the [settings of time](Pipeline::time) say, and cost about
/// as much as those of the job.
///
/// # Errors
///
/// If the threshold cannot work, as [`ZScore::new`] finds.
///
/// ```
/// use telemetra::livestream;
/// use telemetra::prelude::*;
///
/// // Three messages a second, and for 30 seconds six.
/// let message = |n: u64| {
///     let (minutes, seconds, millis) = (n / 60_000, n / 1_000 % 60, n % 1_000);
///     format!(
///         r#"{{"event_id": "{n}", "timestamp": "2026-01-01T12:{minutes:02}:{seconds:02}.{millis:03}Z",
///         "stream_id": "ada", "user_id": "u", "username": "u", "message": "hi"}}"#
///     )
/// };
/// let usual = (0..1_800_000).step_by(333);
/// let burst = (1_200_000..1_230_000).step_by(333).map(|n| n + 100);
/// let mut times: Vec<u64> = usual.chain(burst).collect();
/// times.sort_unstable();
/// let tables = MemorySink::new();
/// livestream::pipeline_with_short_bursts(3.0)?
///     .source(MemorySource::default().partition("chat", times.into_iter().map(message)), livestream::JsonDecoder::mixed())
///     .sink(tables.clone())
///     .start()?
///     .wait()?;
/// assert_eq!(tables.table("chat_bursts").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pipeline_with_short_bursts(threshold: f64) -> Result<LiveStreams, ConfigError> {
    pipeline_with(LiveOptions { short_bursts: Some(threshold), ..LiveOptions::default() })
}

/// The tables that are made from single events, except transactions.
fn begin() -> Pipeline<LiveEvents> {
    Pipeline::<LiveEvents>::new()
        .table::<crate::livestream::StreamRow>()
        .collect("streams", StreamPatch::of, |graph, patches| {
            graph.publish(patches.stream_rows(graph.context()));
        })
        .rows(ViewerRow::of)
}

/// Adds the windows of the job as the last grouping.
fn finish(pipeline: Pipeline<LiveEvents>, words: bool) -> LiveStreams {
    let group = pipeline
        .group("chat_summary_minute", WindowKind::default(), |_| chat_aggregate().words(words))
        .layouts(summary_layout(), moment_layout())
        .state_version(VERSION);
    let earlier = (0..VERSION).filter_map(|from| Some((from, chat_migration(from)?)));
    earlier.fold(group, |group, (from, (state, output))| group.migrate_state(from, state, output))
}
