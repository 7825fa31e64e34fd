//! Checks of a pipeline's settings: settings that cannot work are refused before anything is read.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::engine::millis;
use telemetra_core::{ConfigError, Events, Table, TimeConfig, WindowSpec};

use crate::checkpoint::restored::SEPARATOR;
use crate::pipeline::builder::{Checkpoints, Parts};
use crate::pipeline::windows::gcd;
use crate::support::failure::PipelineError;

/// The settings that follow from a checked pipeline.
pub(crate) struct Checked {
    pub(crate) time: TimeConfig,
    /// The panes that determine floors and effective times. Their length is the greatest common divisor of
    /// all slides.
    pub(crate) pane: WindowSpec,
    /// The time for which rows of the user's operators may still change, in milliseconds.
    pub(crate) horizon: u64,
    pub(crate) tables: Vec<Arc<Table>>,
    /// The event time between checkpoints, in milliseconds; `None` without checkpoints.
    pub(crate) every: Option<u64>,
}

impl<E: Events> Parts<E> {
    /// Checks all settings and derives the panes, the horizon and the tables.
    pub(crate) fn check(&self) -> Result<Checked, PipelineError> {
        let time = self.ingress.time.clone();
        let mut pane = None;
        for plan in &self.plans {
            plan.check(&time)?;
            if let Some(slide) = plan.pane(&time)? {
                pane = Some(gcd(slide, pane.unwrap_or(0)));
            }
        }
        let pane = WindowSpec::tumbling(Duration::from_millis(pane.unwrap_or_else(|| time.windows.slide())))?;
        self.ingress.check(0, self.sources.len(), self.cluster.workers, pane)?;
        let processes = self.cluster.addresses.len();
        if self.cluster.process >= processes.max(1) {
            let detail = format!("there is no process {} of {processes}", self.cluster.process);
            return Err(ConfigError::new("process", detail, "processes count from 0").into());
        }
        if self.sinks.iter().any(|sink| sink.shards == 0) {
            return Err(ConfigError::new("sharded_sink", "there is no shard", "give at least one").into());
        }
        if let Some(start) = self.savepoint.as_ref().filter(|_| self.checkpoints.is_none()) {
            let detail = format!("the savepoint `{}` is to be started from, without checkpoints", start.name);
            let hint = "give a store to keep checkpoints in, by `checkpoints`";
            return Err(ConfigError::new("from_savepoint", detail, hint).into());
        }
        let every = match &self.checkpoints {
            Some(Checkpoints { every, .. }) => {
                Some(self.check_interval(millis::whole("checkpoints", *every)?, pane)?)
            }
            None => None,
        };
        let horizon = millis::of(time.horizon(0));
        Ok(Checked { horizon, tables: self.check_tables()?, time, pane, every })
    }

    /// Checks that checkpoints are taken at pane boundaries.
    fn check_interval(&self, every: u64, pane: WindowSpec) -> Result<u64, ConfigError> {
        if every == 0 || !every.is_multiple_of(pane.slide()) {
            let detail = format!("{every} ms is not a multiple of the panes of {} ms", pane.slide());
            return Err(ConfigError::new(
                "checkpoints",
                detail,
                "checkpoints are taken between panes: round it",
            ));
        }
        Ok(every)
    }

    /// Returns the tables of all plans and the declared tables, each once.
    fn check_tables(&self) -> Result<Vec<Arc<Table>>, ConfigError> {
        let mut tables: Vec<Arc<Table>> = Vec::new();
        for table in self.plans.iter().flat_map(|plan| plan.tables()).chain(self.tables.iter().cloned()) {
            table.check()?;
            if tables.iter().any(|other| other.name() == table.name()) {
                let detail = format!("two tables are called `{}`", table.name());
                return Err(ConfigError::new(
                    "table",
                    detail,
                    "give each grouping and each row type a table of its own",
                ));
            }
            tables.push(table);
        }
        Ok(tables)
    }

    /// Returns a description of the settings that state depends on. A checkpoint without a definition, as earlier versions
    /// wrote it, is refused if it was made with another one. The processes of a cluster compare theirs.
    pub(crate) fn fingerprint(&self) -> String {
        let TimeConfig { allowed_lateness, out_of_orderness, deduplicate, horizon, .. } = self.ingress.time;
        let mut decoders: Vec<String> = self.sources.iter().map(|(_, decoder)| decoder.identity()).collect();
        decoders.retain(|identity| !identity.is_empty());
        let mut parts = vec![
            format!("lateness {}", millis::of(allowed_lateness)),
            format!("disorder {}", millis::of(out_of_orderness)),
            format!("horizon {:?}", horizon.map(millis::of)),
            format!("deduplicate {deduplicate}"),
        ];
        parts.extend(decoders);
        parts.extend(self.plans.iter().map(|plan| plan.fingerprint(&self.ingress.time)));
        parts.join(SEPARATOR)
    }

    /// Returns a description of the settings that floors depend on.
    pub(crate) fn floor_settings(&self, pane: WindowSpec) -> String {
        let decoders = self.sources.iter().map(|(_, decoder)| decoder.identity());
        let mut parts: Vec<String> = decoders.filter(|identity| !identity.is_empty()).collect();
        parts.push(format!("disorder {}", millis::of(self.ingress.time.out_of_orderness)));
        parts.push(format!("panes {}", pane.slide()));
        parts.join(SEPARATOR)
    }
}
