//! The run whose rows a place holds: its pipeline, its last durable time, and whether the run that is open now
//! starts over.

use serde::{Deserialize, Serialize};
use telemetra_core::{EventTime, ExternalError};

use crate::owner::Owner;

/// The part of a sink's progress that is the same for every place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The last durable time.
    pub(crate) time: Option<EventTime>,
    #[serde(default)]
    owner: Owner,
    /// True if the rows are those of an earlier run, which the first change of this run deletes.
    #[serde(default)]
    pub(crate) starts_over: bool,
    /// The last durable time of that run.
    #[serde(default)]
    before: Option<EventTime>,
}

impl Run {
    /// Registers a pipeline as the owner of the place. With `over` it starts over: its time is cleared, and
    /// existing rows, if it `has_rows`, count as those of an earlier run. Returns whether anything is new.
    ///
    /// # Errors
    ///
    /// The reason why the place is another pipeline's.
    pub(crate) fn enter(
        &mut self,
        owner: Owner,
        has_rows: bool,
        (over, resumes): (bool, bool),
    ) -> Result<bool, String> {
        let known = &self.owner;
        if !known.pipeline.is_empty() && known.pipeline != owner.pipeline {
            return Err(format!(
                "it belongs to the pipeline `{}`, and this one is called `{}`",
                known.pipeline, owner.pipeline
            ));
        }
        if !known.pipeline.is_empty()
            && let Some(why) = owner.differs(known)
        {
            return Err(why);
        }
        let found = self.clone();
        if over && !self.starts_over {
            (self.starts_over, self.before, self.time) = (has_rows, self.time, None);
        } else if over {
            self.time = None;
        } else if resumes && self.starts_over && self.time.is_none() {
            // A run that began to start over took no checkpoint, so the run before it continues.
            (self.starts_over, self.time, self.before) = (false, self.before, None);
        }
        self.owner = owner;
        Ok(*self != found)
    }

    /// The pipeline that owns the place.
    #[cfg(feature = "clickhouse")]
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Forgets the earlier run.
    pub(crate) fn begin_over(&mut self) {
        (self.time, self.starts_over, self.before) = (None, false, None);
    }
}

/// Builds the error of a place that another pipeline owns.
pub(crate) fn refused(place: &str, why: &str) -> ExternalError {
    ExternalError::permanent(format!("could not go on in {place}: {why}, or use another folder"))
}
