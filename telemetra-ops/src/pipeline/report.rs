//! The final report of a pipeline.

use telemetra_core::Fates;

use crate::observe::comparison::MomentsStatus;
use crate::read::ingress::PartitionStatus;
use crate::spill::SpillReport;
use crate::support::restore_plan::RestorePlan;

/// The final report of a pipeline that ended without an error, from [`Running::wait`](crate::Running::wait),
/// [`drain`](crate::Running::drain) or [`stop`](crate::Running::stop). It covers the partitions of this
/// process; in a cluster each process has a report of its own.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
///
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Pipeline, minutes, tumbling};
///
/// let lines = [r#"{"device": "d1", "time": 1000}"#, "no JSON"];
/// let report = Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///     .start()?
///     .wait()?;
/// assert_eq!((report.fates.read, report.fates.on_time, report.fates.malformed), (2, 1, 1));
/// assert_eq!(report.partitions[0].offset, 2);
/// assert!(report.restored.is_none() && report.unfinished.is_none());
/// # Ok::<(), telemetra_ops::PipelineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The number of events by fate: on time, late, too late, malformed, from the future, duplicate. Events
    /// that were read before the restart from a checkpoint are included.
    pub fates: Fates,
    /// The same counts for each partition that this process read, with its last offset and watermark. Empty
    /// in a process of a cluster that read none.
    pub partitions: Vec<PartitionStatus>,
    /// The number of moments found in the last settled period, and the number expected by chance, for each
    /// grouping with rules.
    pub moments: Vec<MomentsStatus>,
    /// The treatment of each part of the checkpoint's state at the start; `None` if the pipeline did not
    /// start from a checkpoint.
    pub restored: Option<RestorePlan>,
    /// A description, in one line for a log, of why draining was given up at its
    /// [timeout](crate::Pipeline::drain_timeout), and of where the next start continues. `None` if the
    /// pipeline was not drained or was drained in time.
    pub unfinished: Option<String>,
    /// The state that was kept on disk; `None` without the setting [`spill`](crate::Pipeline::spill).
    pub spill: Option<SpillReport>,
}
