//! Checking: a setting that cannot work is refused before anything is read.

use telemetra_core::{ConfigError, EventAccumulator, MomentRule, TimeConfig};

use super::{Checkpoints, Pipeline};
use crate::checkpoint::SEPARATOR;
use crate::failure::PipelineError;

impl<A: EventAccumulator> Pipeline<A> {
    /// Checks the settings, and returns the number of windows of the longest baseline.
    pub(super) fn check(&self) -> Result<u32, PipelineError> {
        let samples = self.rules.iter().map(MomentRule::max_samples).max().unwrap_or(0);
        self.ingress.check(samples, self.sources.len(), self.cluster.workers)?;
        let processes = self.cluster.addresses.len();
        if self.cluster.process >= processes.max(1) {
            let detail = format!("there is no process {} of {processes}", self.cluster.process);
            return Err(ConfigError::new("process", detail, "processes count from 0").into());
        }
        if self.sinks.iter().any(|sink| sink.shards == 0) {
            return Err(ConfigError::new("sharded_sink", "there is no shard", "give at least one").into());
        }
        let slide = self.ingress.time.windows.slide();
        if let Some(Checkpoints { every, .. }) = &self.checkpoints
            && (*every == 0 || every % slide != 0)
        {
            let detail = format!("{every} ms is not a multiple of the slide of {slide} ms");
            return Err(ConfigError::new("checkpoints", detail, "cuts are made between panes").into());
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if self.rules[..index].iter().any(|other| other.moment_type == rule.moment_type) {
                let detail = format!("two rules make moments of the type `{}`", rule.moment_type);
                return Err(ConfigError::new("rules", detail, "give each a type of its own").into());
            }
        }
        Ok(samples)
    }

    /// What state depends on: a checkpoint made with other settings does not fit.
    pub(super) fn fingerprint(&self) -> String {
        let TimeConfig { windows, allowed_lateness, out_of_orderness, deduplicate, horizon, .. } =
            &self.ingress.time;
        // What a judge remembers means nothing to one of another kind.
        let rules = self.rules.iter().map(|rule| match &rule.detector {
            judge if judge.is_pure() => rule.moment_type.to_string(),
            judge => format!("{} by {}", rule.moment_type, judge.method()),
        });
        let rules: Vec<_> = rules.collect();
        let sentiment = self.ingress.sentiment.as_ref().map(|scorer| scorer.identity());
        [
            format!("size {}", windows.size()),
            format!("slide {}", windows.slide()),
            format!("lateness {allowed_lateness}"),
            format!("disorder {out_of_orderness}"),
            format!("horizon {horizon:?}"),
            format!("deduplicate {deduplicate}"),
            format!("rules {rules:?}"),
            format!("sentiment by {}", sentiment.as_deref().unwrap_or("nothing")),
            format!("aggregates {}", std::any::type_name::<A>()),
        ]
        .join(SEPARATOR)
    }
}
